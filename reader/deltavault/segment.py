"""Segments: docs/format.md, section 4. A restore reads frames by the layers; only a check looks at directories."""

import zlib

from .fields import Fields, same_digest
from .names import segment_key
from .refusal import Refused, demand
from .shard import SHARD_BYTES_MAX, Shard
from .stores import Store

MAGIC = b'DVSEGEND'
TRAILER_BYTES = 68


def check_segment(store: Store, name: str) -> Shard:
    """The directory, from which a lost index can be made again; trailer and directory are proven."""
    length = store.size(name)
    demand(length >= TRAILER_BYTES, name, '', 'is too short for a trailer')
    origin = length - TRAILER_BYTES
    trailer = store.read(name, origin, TRAILER_BYTES)
    fields = Fields(trailer, name, origin)
    fields.magic(MAGIC)
    fields.version()
    place = f'trailer at byte {origin}'
    crc_is_right = int.from_bytes(trailer[64:], 'little') == zlib.crc32(trailer[:64])
    demand(crc_is_right, name, place, 'the CRC-32 differs: the trailer is damaged')
    demand(fields.u8() <= 1, name, place, 'the mark of the last segment is neither 0 nor 1')
    fields.zero(2)
    frames, directory_place, directory_length, n = fields.u32(), fields.u32(), fields.u32(), fields.u32()
    fields.zero(4)
    key = segment_key(name)
    if key is None or key[4] != n:
        raise Refused('wrong-birth', name, place, f'this is segment {n} of its attempt')
    demand(
        directory_place + directory_length == origin, name, place, 'the directory does not end where the trailer begins'
    )
    demand(directory_length <= SHARD_BYTES_MAX, name, place, 'the directory is longer than a shard may be')
    directory = store.read(name, directory_place, directory_length)
    same_digest(directory, bytes(fields.take(32)), name, f'directory at byte {directory_place}')
    shard = Shard(directory, name, directory_place)
    demand(len(shard.frames) == frames, name, place, 'the number of frames is not that of the directory')
    own = shard.segments == ([name] if frames > 0 else [])
    demand(own, name, f'directory at byte {directory_place}', 'it is about other segments than its own')
    at = 0
    for entry in sorted(shard.frames, key=lambda frame: frame.place):
        demand(entry.place == at, name, f'byte {at}', 'the frames do not follow each other')
        at += entry.stored_length
    demand(at == directory_place, name, f'byte {at}', 'the frames do not end where the directory begins')
    return shard
