"""Where a vault's objects lie. Every store reads exact ranges and lists names in order."""

import os
from collections.abc import Iterator
from typing import Protocol

from .refusal import Refused


class Store(Protocol):
    """A vault's container: names to bytes."""

    def size(self, name: str) -> int:
        """Length of the object; refuses where there is none."""

    def read(self, name: str, at: int, length: int) -> bytes:
        """Exactly these bytes; refuses a shorter object."""

    def names(self, prefix: str) -> Iterator[str]:
        """Names that begin with the prefix, which ends with `/`, in order of their bytes."""


def missing(name: str) -> Refused:
    """The refusal of an object that is not there."""
    return Refused('object-missing', name, '', 'there is no such object')


def short(name: str, at: int, length: int) -> Refused:
    """The refusal of an object that ends too early."""
    return Refused('short', name, f'byte {at}', f'{length} bytes expected, the object ends before')


def read_all(store: Store, name: str, length_max: int) -> bytes:
    """A whole object that is known to be small."""
    length = store.size(name)
    if length > length_max:
        raise Refused(
            'malformed', name, '', f'{length} bytes are more than the {length_max} that such an object may have'
        )
    return store.read(name, 0, length)


class FolderStore:
    """A folder whose files have the objects' names."""

    def __init__(self, folder: str) -> None:
        if not os.path.isdir(folder):
            raise Refused('object-missing', folder, '', 'there is no such folder')
        inner = os.path.join(folder, 'vault')
        self.folder = inner if os.path.isdir(inner) else folder
        self.open_files: dict[str, int] = {}

    def descriptor(self, name: str) -> int:
        """An open file; the oldest of 32 is closed for a new one."""
        found = self.open_files.pop(name, None)
        if found is None:
            try:
                found = os.open(os.path.join(self.folder, *name.split('/')), os.O_RDONLY)
            except (FileNotFoundError, NotADirectoryError):
                raise missing(name) from None
            except OSError as error:
                raise Refused('unreadable', name, '', error.strerror or 'cannot be opened') from None
            if len(self.open_files) >= 32:
                os.close(self.open_files.pop(next(iter(self.open_files))))
        self.open_files[name] = found
        return found

    def size(self, name: str) -> int:
        return os.fstat(self.descriptor(name)).st_size

    def read(self, name: str, at: int, length: int) -> bytes:
        descriptor = self.descriptor(name)
        if at + length > os.fstat(descriptor).st_size:
            raise short(name, at, length)
        try:
            part = os.pread(descriptor, length, at)
            while len(part) < length:
                more = os.pread(descriptor, length - len(part), at + len(part))
                if not more:
                    raise short(name, at, length)
                part += more
        except OSError as error:
            raise Refused('unreadable', name, f'byte {at}', error.strerror or 'cannot be read') from None
        return part

    def names(self, prefix: str) -> Iterator[str]:
        yield from sorted(self.below(prefix.rstrip('/')))

    def below(self, name: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(os.path.join(self.folder, *name.split('/'))))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise Refused('unreadable', name, '', error.strerror or 'cannot be listed') from None
        for entry in entries:
            child = f'{name}/{entry.name}'
            if entry.is_dir():
                yield from self.below(child)
            else:
                yield child


class MemoryStore:
    """Objects in memory: a vault with some of them replaced or taken away, for tests."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def size(self, name: str) -> int:
        if name not in self.objects:
            raise missing(name)
        return len(self.objects[name])

    def read(self, name: str, at: int, length: int) -> bytes:
        if at + length > self.size(name):
            raise short(name, at, length)
        return self.objects[name][at : at + length]

    def names(self, prefix: str) -> Iterator[str]:
        yield from sorted(name for name in self.objects if name.startswith(prefix))
