"""Sidecars: docs/format.md, section 8. A restore never needs one."""

import struct

from .fields import Fields, same_digest
from .layer import FOOTER_BYTES_MAX, LayerReference
from .refusal import Refused, demand
from .stores import Store

MAGIC = b'DVPAGES\0'
TAIL_MAGIC = b'DVPAGEND'
TAIL_BYTES = 32 + 4 + 8
GROUP = struct.Struct('<QII32s')
BITMAP_BYTES = 512
HASH_BYTES = 16


def check_sidecar(store: Store, reference: LayerReference) -> bytes:
    """Proves all of a sidecar; returns the digest of the layer that it is about."""
    name = f'sidecars/{reference.layer_id}'
    length = store.size(name)
    demand(length == reference.length_bytes, name, '', 'the object is not as long as its record says')
    origin = length - reference.footer_bytes
    demand(
        64 + TAIL_BYTES <= reference.footer_bytes <= FOOTER_BYTES_MAX and origin >= 0,
        name,
        '',
        'the record gives a footer length that cannot be',
    )
    data = store.read(name, origin, reference.footer_bytes)
    ends = data[-8:] == TAIL_MAGIC and int.from_bytes(data[-12:-8], 'little') == len(data)
    demand(ends, name, f'byte {length - 12}', 'the footer does not end as a footer does')
    same_digest(data[:-TAIL_BYTES], data[-TAIL_BYTES:-12], name, f'footer at byte {origin}')
    if data[-TAIL_BYTES:-12] != reference.digest:
        raise Refused(
            'digest-mismatch', name, f'footer at byte {origin}', 'this is another sidecar than the record names'
        )
    fields = Fields(data[:-TAIL_BYTES], name, origin)
    fields.magic(MAGIC)
    fields.version()
    fields.zero(3)
    count = fields.u32()
    fields.take(16)
    layer_digest = bytes(fields.take(32))
    demand(
        count * GROUP.size == len(fields.data) - fields.at,
        name,
        fields.place(),
        'the list of groups has another length',
    )
    check_groups(store, name, fields.take(count * GROUP.size), origin)
    return layer_digest


def check_groups(store: Store, name: str, groups: memoryview, origin: int) -> None:
    at, after = 0, -1
    for number, length, zero, digest in GROUP.iter_unpack(groups):
        place = f'group at byte {at}'
        longest = BITMAP_BYTES + 4096 * HASH_BYTES
        demand(zero == 0 and number > after and length <= longest, name, place, 'its entry in the footer cannot be')
        group = store.read(name, at, length)
        same_digest(group, digest, name, place)
        pages = int.from_bytes(group[:BITMAP_BYTES], 'little').bit_count()
        demand(length == BITMAP_BYTES + pages * HASH_BYTES, name, place, 'its bits and its hashes differ in number')
        at, after = at + length, number
    demand(at == origin, name, f'byte {at}', 'the groups do not end where the footer begins')
