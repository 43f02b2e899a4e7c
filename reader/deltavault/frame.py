"""Frames: docs/format.md, section 3."""

import struct
import zlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .compression import decompress
from .fields import Fields, same_digest
from .keys import KeyRing, derived
from .names import DISK_PATTERN, ID_PATTERN
from .refusal import Refused, demand
from .stores import Store

MAGIC = b'\x89DVFRM\r\n'
CAPACITY_MAX = 16 * 1024 * 1024
TAIL_BYTES = 52
# The digest and the CRC-32: what the digest does not cover.
CHECK_BYTES = 36
# The magic and the fixed fields, two texts of 100 bytes at most, the tail.
HEADER_MAX = 64 + 2 * 102 + TAIL_BYTES
FRAME_KEYS_KEPT = 64


@dataclass(frozen=True)
class Birth:
    """What a frame was made as; with its ordinal it says which frame this is."""

    recovery_point_id: str
    disk: str
    slice: int
    attempt: int


@dataclass(frozen=True)
class FrameEntry:
    """A frame as a shard's table promises it."""

    segment: str
    birth: Birth
    place: int
    stored_length: int
    plain_length: int
    ordinal: int
    digest: bytes


@dataclass(frozen=True)
class StoredFrame:
    """A frame whose header and payload are what the table promised."""

    entry: FrameEntry
    compression: int
    key_id: str | None
    nonce: bytes
    tag: bytes
    additional: bytes
    payload: bytes


def read_frame(store: Store, entry: FrameEntry) -> StoredFrame:
    """Reads a frame and proves it against its table entry; needs no key."""
    stored = store.read(entry.segment, entry.place, entry.stored_length)
    fields = Fields(stored, entry.segment, entry.place)
    fields.magic(MAGIC)
    fields.version()
    compression = fields.u8()
    encryption = fields.u8()
    demand(compression <= 1, entry.segment, f'byte {entry.place + 9}', f'unknown compression {compression}')
    demand(encryption <= 1, entry.segment, f'byte {entry.place + 10}', f'unknown encryption {encryption}')
    fields.zero(1)
    header_length = fields.u16()
    fields.zero(2)
    payload_length = fields.u32()
    plain_length = fields.u32()
    slice_number, attempt, ordinal = fields.u32(), fields.u32(), fields.u32()
    key_id, nonce = bytes(fields.take(16)), bytes(fields.take(12))
    birth = Birth(fields.matching(ID_PATTERN, 'id'), fields.matching(DISK_PATTERN, 'disk'), slice_number, attempt)
    additional = bytes(fields.data[: fields.at])
    tag, digest = bytes(fields.take(16)), bytes(fields.take(32))
    crc = zlib.crc32(fields.data[: fields.at])
    place = f'frame header at byte {entry.place}'
    demand(fields.u32() == crc, entry.segment, place, 'the CRC-32 differs: the header is damaged')
    lengths = header_length == fields.at and entry.stored_length == header_length + payload_length
    demand(lengths, entry.segment, place, 'its lengths do not fit each other or the index')
    if (birth, ordinal, plain_length) != (entry.birth, entry.ordinal, entry.plain_length):
        raise Refused('wrong-birth', entry.segment, place, 'this is another frame than the index names')
    sizes = payload_length == plain_length if compression == 0 else 0 < payload_length < plain_length
    demand(sizes, entry.segment, place, 'the payload is not as long as its compression allows')
    if digest != entry.digest:
        raise Refused('digest-mismatch', entry.segment, place, 'header and index promise different digests')
    payload = bytes(fields.take(payload_length))
    digested = bytes(fields.data[: header_length - CHECK_BYTES]) + payload
    same_digest(digested, digest, entry.segment, f'frame at byte {entry.place}')
    if encryption == 0:
        bare = not any(key_id + nonce + tag)
        demand(bare, entry.segment, place, 'key id, nonce and tag of a plain frame are not zero')
    else:
        demand(any(key_id), entry.segment, place, 'an encrypted frame names no key')
    return StoredFrame(entry, compression, key_id.hex() if encryption else None, nonce, tag, additional, payload)


class FrameOpener:
    """Decrypts and decompresses frames; keeps the frame keys of a few attempts."""

    def __init__(self, store: Store, keys: KeyRing) -> None:
        self.store = store
        self.keys = keys
        self.ciphers: dict[tuple[str, Birth], AESGCM] = {}

    def plain(self, frame: StoredFrame) -> bytes:
        """The frame's plain bytes, exactly as many as its header says."""
        packed = frame.payload if frame.key_id is None else self.decrypted(frame, frame.key_id)
        if frame.compression == 0:
            return packed
        place = f'frame payload at byte {frame.entry.place}'
        return decompress(packed, frame.entry.plain_length, frame.entry.segment, place)

    def decrypted(self, frame: StoredFrame, key_id: str) -> bytes:
        cipher = self.cipher(key_id, frame.entry.birth)
        try:
            return cipher.decrypt(frame.nonce, frame.payload + frame.tag, frame.additional)
        except InvalidTag:
            place = f'frame at byte {frame.entry.place}'
            what = f'the payload is whole, but data key {key_id} does not open it: a wrong key'
            raise Refused('wrong-key', frame.entry.segment, place, what) from None

    def cipher(self, key_id: str, birth: Birth) -> AESGCM:
        known = self.ciphers.get((key_id, birth))
        if known is not None:
            return known
        info = b'deltavault frame v1\0' + text(birth.recovery_point_id) + text(birth.disk)
        info += struct.pack('<II', birth.slice, birth.attempt)
        cipher = AESGCM(derived(self.keys.data_key(self.store, key_id), info, 32))
        if len(self.ciphers) >= FRAME_KEYS_KEPT:
            self.ciphers.pop(next(iter(self.ciphers)))
        self.ciphers[(key_id, birth)] = cipher
        return cipher


def text(value: str) -> bytes:
    """A text as the format writes it."""
    return struct.pack('<H', len(value)) + value.encode('ascii')
