"""Where a restored disk goes."""

import hashlib
import os
import struct

from .refusal import Refused

PAGE = 4096
ZERO_PAGE = bytes(PAGE)


class SparseFile:
    """A new file in which zeros are holes. Until `finish` it is called `<name>.partial`: what has its name is whole."""

    def __init__(self, path: str, size_bytes: int) -> None:
        self.path = path
        self.partial = f'{path}.partial'
        if os.path.lexists(path):
            raise Refused('target', path, '', 'exists; a restore writes a new file')
        try:
            self.descriptor = os.open(self.partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise Refused('target', self.partial, '', error.strerror or 'cannot be written') from None
        try:
            os.ftruncate(self.descriptor, size_bytes)
        except OSError as error:
            self.abandon()
            raise Refused('target', self.partial, '', error.strerror or 'cannot be written') from None

    def write(self, offset: int, data: bytes | memoryview) -> None:
        view = memoryview(data)
        at = 0
        while at < len(view):
            end = min(at + PAGE - (offset + at) % PAGE, len(view))
            if is_zero(view[at:end]):
                at = end
                continue
            while end < len(view) and not is_zero(view[end : end + PAGE]):
                end = min(end + PAGE, len(view))
            self.write_all(offset + at, view[at:end])
            at = end

    def write_all(self, offset: int, view: memoryview) -> None:
        try:
            while view:
                written = os.pwrite(self.descriptor, view, offset)
                offset, view = offset + written, view[written:]
        except OSError as error:
            raise Refused('target', self.partial, f'byte {offset}', error.strerror or 'cannot be written') from None

    def finish(self) -> None:
        """Gives the whole file its name."""
        try:
            os.fsync(self.descriptor)
            os.close(self.descriptor)
            os.rename(self.partial, self.path)
        except OSError as error:
            raise Refused('target', self.path, '', error.strerror or 'cannot be written') from None

    def abandon(self) -> None:
        """Leaves nothing behind."""
        os.close(self.descriptor)
        os.unlink(self.partial)


class PageDigest:
    """Tells two disks apart without writing them: SHA-256 over the pages that are not zero and the disk's size."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.pages: dict[int, bytearray] = {}

    def write(self, offset: int, data: bytes | memoryview) -> None:
        at = 0
        while at < len(data):
            page, inside = divmod(offset + at, PAGE)
            end = min(at + PAGE - inside, len(data))
            self.pages.setdefault(page, bytearray(PAGE))[inside : inside + end - at] = data[at:end]
            at = end

    def hexdigest(self) -> str:
        digest = hashlib.sha256(struct.pack('<Q', self.size_bytes))
        for page in sorted(self.pages):
            if self.pages[page] != ZERO_PAGE:
                digest.update(struct.pack('<Q', page))
                digest.update(self.pages[page])
        return digest.hexdigest()


def is_zero(view: memoryview) -> bool:
    """Of at most one page."""
    return view == ZERO_PAGE[: len(view)]
