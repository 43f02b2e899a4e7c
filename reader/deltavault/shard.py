"""Shards: docs/format.md, section 5."""

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from .fields import Fields
from .frame import CAPACITY_MAX, HEADER_MAX, TAIL_BYTES, Birth, FrameEntry
from .names import DISK_PATTERN, ID_PATTERN, SEGMENT_PATTERN
from .refusal import demand

MAGIC = b'DVSHARD\0'
SECTOR = 512
SHARD_BYTES_MAX = 64 * 1024 * 1024
RUN = struct.Struct('<IIHH')
HEADER_MIN = 64 + 2 * 3 + TAIL_BYTES


@dataclass(frozen=True)
class Run:
    """A part of a disk in sectors, zero where `frame` is None; else `position` is where its bytes begin, in sectors."""

    first: int
    end: int
    frame: int | None
    position: int


class Shard:
    """A decoded, proven shard. `name` and `origin` say where it lies, for errors."""

    def __init__(self, data: bytes, name: str, origin: int, capacity: int = CAPACITY_MAX) -> None:
        fields = Fields(data, name, origin)
        self.name = name
        self.origin = origin
        fields.magic(MAGIC)
        fields.version()
        fields.zero(3)
        run_count, frame_count = fields.u32(), fields.u32()
        birth_count, segment_count = fields.u16(), fields.u16()
        run_list_bytes = fields.u32()
        fields.zero(4)
        self.first, self.end = fields.u64(), fields.u64()
        demand(run_count >= 1, name, fields.place(), 'a shard without runs')
        demand(run_list_bytes == run_count * RUN.size, name, fields.place(), 'the run list has another length')
        demand(frame_count <= 65_535, name, fields.place(), 'more frames than a run can name')
        demand(
            frame_count == 0 or segment_count * birth_count > 0, name, fields.place(), 'frames without segment or birth'
        )
        births = [birth(fields) for _ in range(birth_count)]
        self.segments = [fields.matching(SEGMENT_PATTERN, 'name of a segment') for _ in range(segment_count)]
        self.frames = [self.frame_entry(fields, births, capacity) for _ in range(frame_count)]
        self.run_origin = origin + fields.at
        self.run_bytes = fields.take(run_list_bytes)
        fields.end()
        self.firsts = array('Q')
        self.data_sectors = 0
        self.zero_sectors = 0
        self.prove_lists(births)
        self.prove_runs()

    def frame_entry(self, fields: Fields, births: list[Birth], capacity: int) -> FrameEntry:
        place = fields.place()
        segment, birth_number = fields.u16(), fields.u16()
        frame_place, stored_length, plain_length, ordinal = fields.u32(), fields.u32(), fields.u32(), fields.u32()
        fields.zero(4)
        digest = bytes(fields.take(32))
        demand(segment < len(self.segments), self.name, place, 'the frame names a segment that is not listed')
        demand(birth_number < len(births), self.name, place, 'the frame names a birth that is not listed')
        whole = plain_length % SECTOR == 0 and SECTOR <= plain_length <= capacity
        demand(whole, self.name, place, 'the frame has a length that no frame may have')
        demand(
            HEADER_MIN < stored_length <= plain_length + HEADER_MAX,
            self.name,
            place,
            'the frame has a stored length that no frame may have',
        )
        return FrameEntry(
            self.segments[segment], births[birth_number], frame_place, stored_length, plain_length, ordinal, digest
        )

    def prove_lists(self, births: list[Birth]) -> None:
        distinct = len(set(births)) == len(births) and len(set(self.segments)) == len(self.segments)
        demand(distinct, self.name, f'byte {self.origin + 48}', 'a birth or a segment is listed twice')

    def prove_runs(self) -> None:
        """Sorted, apart from each other, inside their frames, and every frame in use."""
        sectors = [frame.plain_length // SECTOR for frame in self.frames]
        used = bytearray(len(sectors))
        before = 0
        for number, (low, rest, frame, position) in enumerate(RUN.iter_unpack(self.run_bytes)):
            first = low | (rest & 0xFF) << 32
            length = rest >> 8 & 0x7FFFFF
            is_fine = length > 0 and first >= before
            if rest >> 31:
                is_fine = is_fine and frame == 0 and position == 0
                self.zero_sectors += length
            else:
                is_fine = is_fine and frame < len(sectors) and position + length <= sectors[frame]
                self.data_sectors += length
                if is_fine:
                    used[frame] = 1
            if not is_fine:
                demand(
                    False,
                    self.name,
                    f'byte {self.run_origin + number * RUN.size}',
                    'the run is not one that may stand here',
                )
            before = first + length
            self.firsts.append(first)
        ends = self.firsts[0] == self.first and before == self.end
        demand(ends, self.name, f'byte {self.origin + 32}', 'first and end sector are not those of the runs')
        demand(all(used), self.name, f'byte {self.origin + 16}', 'a frame is named by no run')

    def runs_from(self, sector: int) -> Iterator[Run]:
        """Runs in order, beginning with the last one that starts at or before that sector."""
        for number in range(max(bisect_right(self.firsts, sector) - 1, 0), len(self.firsts)):
            low, rest, frame, position = RUN.unpack_from(self.run_bytes, number * RUN.size)
            first = low | (rest & 0xFF) << 32
            yield Run(first, first + (rest >> 8 & 0x7FFFFF), None if rest >> 31 else frame, position)

    @property
    def cost_bytes(self) -> int:
        """About what it takes to keep this in memory."""
        return len(self.run_bytes) + 8 * len(self.firsts) + 400 * len(self.frames) + 1000


def birth(fields: Fields) -> Birth:
    """One entry of the list of births."""
    return Birth(fields.matching(ID_PATTERN, 'id'), fields.matching(DISK_PATTERN, 'disk'), fields.u32(), fields.u32())
