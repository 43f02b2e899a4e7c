"""Which frames restores need. A frame whose bytes newer layers hide from every recovery point, or that no layer names, is needed by none."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from .frame import FrameEntry
from .layer import Layer
from .names import segment_key, segment_name
from .refusal import Refused, demand
from .restore import Shards, pieces
from .shard import Run, Shard
from .stores import Store

NEEDED = 1
SEEN = 2
DAMAGED = 4
LOCKED = 8


class SegmentMarks:
    """What is known of one segment's frames, by their places: five bytes a frame. `listed` is how many its directory has, None where that was
    not read."""

    __slots__ = ('places', 'marks', 'listed')

    def __init__(self) -> None:
        self.places = array('I')
        self.marks = bytearray()
        self.listed: int | None = None

    def of(self, place: int) -> int:
        """The marks of the frame there; 0 where it has none."""
        at = bisect_left(self.places, place)
        return self.marks[at] if at < len(self.places) and self.places[at] == place else 0

    def add(self, place: int, marks: int) -> None:
        at = bisect_left(self.places, place)
        if at == len(self.places) or self.places[at] != place:
            self.places.insert(at, place)
            self.marks.insert(at, 0)
        self.marks[at] |= marks

    def count(self, mark: int) -> int:
        return sum(1 for marks in self.marks if marks & mark)


class FrameMarks:
    """The marks of all segments that were met."""

    def __init__(self) -> None:
        self.segments: dict[str, SegmentMarks] = {}

    def segment(self, name: str) -> SegmentMarks:
        return self.segments.setdefault(name, SegmentMarks())

    def of(self, entry: FrameEntry) -> int:
        return self.segment(entry.segment).of(entry.place)

    def add(self, entry: FrameEntry, marks: int) -> None:
        self.segment(entry.segment).add(entry.place, marks)


class NoRuns(Shard):
    """Stands in for a shard that cannot be read: what lies below it may be needed."""

    def __init__(self) -> None:
        self.frames = []

    def runs_from(self, _sector: int) -> Iterator[Run]:
        return iter(())


class WatchedShards(Shards):
    """Notes which shards a restore asks for, `asked` having a byte for each of each layer, and goes on where one cannot be read."""

    def __init__(self, store: Store, layers: list[Layer], asked: list[bytearray]) -> None:
        super().__init__(store, layers)
        self.asked = asked
        self.are_whole = True

    def shard(self, layer: int, fence: int) -> Shard:
        self.asked[layer][fence] = 1
        try:
            return super().shard(layer, fence)
        except Refused:
            self.are_whole = False
            return NoRuns()


def frames_shown(shards: WatchedShards, sectors: int) -> Iterator[FrameEntry]:
    """The frames that a restore of these layers reads, some more than once."""
    for piece in pieces(shards, sectors):
        yield piece.shard.frames[piece.frame]


class NamedSegments:
    """The segments that a footer names, and which of them its shards have named: a byte each."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.offsets: list[int] = []
        self.marks = bytearray()

    def open(self) -> None:
        """Refuses more segments than the layer can need; then it has none."""
        total = 0
        for ranged in self.layer.ranges:
            self.offsets.append(total)
            total += ranged.last - ranged.first + 1
        most = self.layer.frames + len(self.layer.fences)
        demand(total <= most, self.layer.reference.name, 'footer', 'it names more segments than its frames can lie in')
        self.marks.extend(bytes(total))

    def mark(self, shard: Shard) -> None:
        for name in shard.segments:
            number, key = self.layer.range_of(name), segment_key(name)
            if self.marks and number is not None and key is not None:
                self.marks[self.offsets[number] + key[4] - self.layer.ranges[number].first] = 1

    def all(self) -> Iterator[tuple[str, bool]]:
        """Each segment's name, and whether a shard has named it."""
        if not self.marks:
            return
        for ranged, offset in zip(self.layer.ranges, self.offsets):
            for n in range(ranged.first, ranged.last + 1):
                name = segment_name((ranged.id, ranged.disk, ranged.slice, ranged.attempt, n))
                yield name, bool(self.marks[offset + n - ranged.first])
