"""Reads the integers, texts and digests of docs/format.md out of one object's bytes."""

import hashlib
import re
import struct

from .refusal import Refused, demand

WHOLE_MAX = 2**53 - 1


def sha256(part: bytes | memoryview) -> bytes:
    """The digest of the format."""
    return hashlib.sha256(part).digest()


class Fields:
    """A cursor over bytes that lie at `origin` in the object `name`. It never reads past the end."""

    def __init__(self, data: bytes | memoryview, name: str, origin: int = 0) -> None:
        self.data = memoryview(data)
        self.name = name
        self.origin = origin
        self.at = 0

    def place(self) -> str:
        """Where the cursor is, for an error."""
        return f'byte {self.origin + self.at}'

    def take(self, length: int) -> memoryview:
        """The next bytes."""
        end = self.at + length
        demand(end <= len(self.data), self.name, self.place(), f'{length} bytes expected, the end is nearer')
        part = self.data[self.at : end]
        self.at = end
        return part

    def whole(self, layout: str, length: int) -> int:
        value: int = struct.unpack(layout, self.take(length))[0]
        return value

    def u8(self) -> int:
        return self.whole('<B', 1)

    def u16(self) -> int:
        return self.whole('<H', 2)

    def u32(self) -> int:
        return self.whole('<I', 4)

    def u64(self) -> int:
        """At most 2^53 - 1, as the format says."""
        place = self.place()
        value = self.whole('<Q', 8)
        demand(value <= WHOLE_MAX, self.name, place, 'the number is above 2^53 - 1')
        return value

    def text(self) -> str:
        """A length and that many ASCII bytes."""
        place = self.place()
        part = bytes(self.take(self.u16()))
        demand(part.isascii(), self.name, place, 'the text is not ASCII')
        return part.decode('ascii')

    def matching(self, pattern: re.Pattern[str], what: str) -> str:
        """A text that must match as a whole."""
        place = self.place()
        found = self.text()
        demand(pattern.match(found) is not None, self.name, place, f'the text is no {what}')
        return found

    def magic(self, wanted: bytes) -> None:
        place = self.place()
        demand(bytes(self.take(len(wanted))) == wanted, self.name, place, 'the magic is another')

    def version(self) -> None:
        """Version 1 or none."""
        place = self.place()
        found = self.u8()
        if found != 1:
            raise Refused('unsupported-version', self.name, place, f'format version {found}; this reader knows 1')

    def zero(self, length: int) -> None:
        place = self.place()
        demand(not any(self.take(length)), self.name, place, 'bytes that the format keeps zero are not')

    def end(self) -> None:
        demand(self.at == len(self.data), self.name, self.place(), 'bytes are left over')


def same_digest(part: bytes | memoryview, wanted: bytes, name: str, place: str) -> None:
    """Refuses bytes whose SHA-256 is not the one that was promised."""
    if sha256(part) != wanted:
        raise Refused('digest-mismatch', name, place, 'the SHA-256 differs: the bytes are damaged')
