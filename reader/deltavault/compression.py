"""Undoes a frame's compression without ever making more bytes than the frame says."""

import zstandard

from .refusal import demand


def decompress(stored: bytes, plain_length: int, name: str, place: str) -> bytes:
    """One zstd frame, with a checksum of its content, that holds exactly `plain_length` bytes."""
    try:
        parameters = zstandard.get_frame_parameters(stored)
        demand(parameters.has_checksum, name, place, 'the zstd frame has no checksum of its content')
        demand(stored[4] & 3 == 0, name, place, 'the zstd frame names a dictionary')
        known = parameters.content_size != zstandard.CONTENTSIZE_UNKNOWN
        demand(not known or parameters.content_size == plain_length, name, place, 'the zstd frame has another length')
        demand(zstd_length(stored) == len(stored), name, place, 'the payload is not exactly one zstd frame')
        plain = zstandard.ZstdDecompressor().decompress(stored, max_output_size=plain_length)
    except (zstandard.ZstdError, IndexError):
        demand(False, name, place, 'the payload is no readable zstd frame')
        raise
    demand(len(plain) == plain_length, name, place, 'the zstd frame has another length')
    return plain


def zstd_length(stored: bytes) -> int:
    """Where the first zstd frame ends (RFC 8878, 3.1.1); -1 where the bytes are no such frame."""
    if stored[:4] != b'\x28\xb5\x2f\xfd':
        return -1
    descriptor = stored[4]
    is_single = descriptor >> 5 & 1
    size_flag = descriptor >> 6
    size_bytes = is_single if size_flag == 0 else 1 << size_flag
    at = 5 + (1 - is_single) + (0, 1, 2, 4)[descriptor & 3] + size_bytes
    while True:
        block = int.from_bytes(stored[at : at + 3], 'little')
        at += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
        if at > len(stored):
            return -1
        if block & 1:
            return at + (4 if descriptor >> 2 & 1 else 0)
