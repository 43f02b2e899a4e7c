"""Layers: docs/format.md, section 6."""

import struct
from bisect import bisect_right
from dataclasses import dataclass

from .fields import Fields, same_digest
from .frame import CAPACITY_MAX
from .names import DISK_PATTERN, ID_AND_DISK_PATTERN, ID_PATTERN, SegmentKey, segment_key
from .refusal import Refused, demand
from .shard import SECTOR, SHARD_BYTES_MAX, Shard
from .stores import Store

MAGIC = b'DVINDEX\0'
TAIL_MAGIC = b'DVINDEND'
TAIL_BYTES = 32 + 4 + 8
FENCE = struct.Struct('<QQQII32s')
FOOTER_BYTES_MAX = 1024 * 1024 * 1024


@dataclass(frozen=True)
class LayerReference:
    """A layer as a commit record names it."""

    layer_id: str
    length_bytes: int
    footer_bytes: int
    digest: bytes

    @property
    def name(self) -> str:
        return f'layers/{self.layer_id}'


@dataclass(frozen=True)
class SegmentRange:
    """Segments of one attempt, `last` included."""

    id: str
    disk: str
    slice: int
    attempt: int
    first: int
    last: int


@dataclass(frozen=True)
class Fence:
    """Where one shard lies and what it covers, in sectors."""

    first: int
    end: int
    place: int
    length: int
    frames: int
    digest: bytes


@dataclass(frozen=True)
class Layer:
    """A layer's footer, proven against its reference. Shards are read on demand."""

    reference: LayerReference
    capacity: int
    size_bytes: int
    data_bytes: int
    zero_bytes: int
    frames: int
    runs: int
    ranges: list[SegmentRange]
    fences: list[Fence]

    def shard(self, store: Store, number: int) -> Shard:
        """One shard, proven against its fence key."""
        fence = self.fences[number]
        name = self.reference.name
        data = store.read(name, fence.place, fence.length)
        same_digest(data, fence.digest, name, f'shard at byte {fence.place}')
        shard = Shard(data, name, fence.place, self.capacity)
        same = (shard.first, shard.end, len(shard.frames)) == (fence.first, fence.end, fence.frames)
        demand(same, name, f'shard at byte {fence.place}', 'the shard is not what its fence key says')
        for segment in shard.segments:
            named = self.range_of(segment) is not None
            demand(named, name, f'shard at byte {fence.place}', f'{segment} is in no range of the footer')
        return shard

    def range_of(self, segment: str) -> int | None:
        """Number of the range that names the segment; None where none does."""
        key = segment_key(segment)
        if key is None:
            return None
        number = bisect_right(self.ranges, key, key=range_key) - 1
        if number < 0:
            return None
        found = self.ranges[number]
        return number if range_key(found)[:4] == key[:4] and key[4] <= found.last else None


def open_layer(store: Store, reference: LayerReference) -> Layer:
    """Reads the footer and proves it against the reference's digest."""
    name = reference.name
    origin = reference.length_bytes - reference.footer_bytes
    fits = TAIL_BYTES + 120 <= reference.footer_bytes <= FOOTER_BYTES_MAX and origin >= 0
    demand(fits, name, '', 'the record gives a footer length that cannot be')
    data = store.read(name, origin, reference.footer_bytes)
    if data[-8:] != TAIL_MAGIC or int.from_bytes(data[-12:-8], 'little') != len(data):
        demand(False, name, f'byte {reference.length_bytes - 12}', 'the footer does not end as a footer does')
    same_digest(data[:-TAIL_BYTES], data[-TAIL_BYTES:-12], name, f'footer at byte {origin}')
    if data[-TAIL_BYTES:-12] != reference.digest:
        raise Refused(
            'digest-mismatch', name, f'footer at byte {origin}', 'this is another layer than the record names'
        )
    return parsed(data[:-TAIL_BYTES], reference, origin)


def parsed(data: bytes, reference: LayerReference, origin: int) -> Layer:
    name = reference.name
    fields = Fields(data, name, origin)
    fields.magic(MAGIC)
    fields.version()
    demand(fields.u8() == 2, name, fields.place(), 'this is no layer')
    fields.zero(2)
    fields.u32()
    demand(fields.u32() == 0, name, fields.place(), 'a layer names an attempt')
    shard_count, capacity, range_count = fields.u32(), fields.u32(), fields.u32()
    demand(SECTOR <= capacity <= CAPACITY_MAX, name, f'byte {origin + 24}', 'the frame capacity is one that cannot be')
    size_bytes = fields.u64()
    for _ in ('changed', 'received', 'joined'):
        fields.u64()
    data_bytes, zero_bytes = fields.u64(), fields.u64()
    for _ in ('length of all segments', 'milliseconds'):
        fields.u64()
    frames, runs, _requests = fields.u64(), fields.u64(), fields.u64()
    place = fields.place()
    born = f'{fields.matching(ID_PATTERN, "id")}/{fields.matching(DISK_PATTERN, "disk")}'
    if born != reference.layer_id or not ID_AND_DISK_PATTERN.match(born):
        raise Refused('wrong-birth', name, place, f'this is the layer {born}')
    ranges = [segment_range(fields) for _ in range(range_count)]
    demand(
        shard_count * FENCE.size == len(fields.data) - fields.at,
        name,
        fields.place(),
        'the fence keys have another length',
    )
    fences = [Fence(*values) for values in FENCE.iter_unpack(fields.take(shard_count * FENCE.size))]
    layer = Layer(reference, capacity, size_bytes, data_bytes, zero_bytes, frames, runs, ranges, fences)
    prove_ranges(layer, origin)
    prove_fences(layer, origin)
    return layer


def range_key(ranged: SegmentRange) -> SegmentKey:
    """Sorts ranges, and finds the one of a segment."""
    return (ranged.id, ranged.disk, ranged.slice, ranged.attempt, ranged.first)


def segment_range(fields: Fields) -> SegmentRange:
    place = fields.place()
    found = fields.matching(ID_PATTERN, 'id')
    disk = fields.matching(DISK_PATTERN, 'disk')
    ranged = SegmentRange(found, disk, fields.u32(), fields.u32(), fields.u32(), fields.u32())
    in_names = ranged.slice <= 999_999 and ranged.attempt <= 9_999 and ranged.last <= 99_999
    demand(in_names and ranged.first <= ranged.last, fields.name, place, 'a range of segments that cannot be')
    return ranged


def prove_ranges(layer: Layer, origin: int) -> None:
    """Sorted, apart, and joined where they could be."""
    for one, next_one in zip(layer.ranges, layer.ranges[1:]):
        keys = [(item.id, item.disk, item.slice, item.attempt) for item in (one, next_one)]
        is_fine = keys[0] < keys[1] or (keys[0] == keys[1] and one.last + 1 < next_one.first)
        demand(
            is_fine,
            layer.reference.name,
            f'footer at byte {origin}',
            'the ranges of segments are not sorted or not joined',
        )


def prove_fences(layer: Layer, origin: int) -> None:
    """Sorted, apart, on the disk, and the shards one after another from byte 0 to the footer."""
    name = layer.reference.name
    sector = place = frames = 0
    for number, fence in enumerate(layer.fences):
        at = f'fence key {number}'
        demand(sector <= fence.first < fence.end, name, at, 'the shards are not sorted')
        demand(fence.place == place, name, at, 'the shards do not follow each other')
        demand(fence.length <= SHARD_BYTES_MAX, name, at, 'the shard is longer than a shard may be')
        sector, place, frames = fence.end, place + fence.length, frames + fence.frames
    demand(place == origin, name, f'byte {place}', 'the shards do not end where the footer begins')
    demand(sector * SECTOR <= layer.size_bytes, name, f'footer at byte {origin}', 'runs beyond the end of the disk')
    demand(frames == layer.frames, name, f'footer at byte {origin}', 'the number of frames is not that of the shards')
