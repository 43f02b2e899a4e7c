"""Reads everything that a vault's recovery points reach, and names what is damaged."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .frame import FrameEntry, FrameOpener, StoredFrame, read_frame
from .keys import KeyRing, prove_key, read_key_record
from .layer import Layer, LayerReference, open_layer
from .names import KEY_PATTERN, SegmentKey, segment_key, segment_name
from .record import Disk, Listed, RecoveryPoint, listed_points, parsed_record
from .refusal import Refused, demand
from .segment import check_segment
from .shard import SECTOR, Shard
from .sidecar import check_sidecar
from .stores import Store


@dataclass
class Findings:
    """What a check saw. `damaged` has one line for each place, `touched` names what hangs on it. `locked` has one line for each data key that
    none of the keys given opens: its frames are proven by their digests alone, as are those of all keys where none was given."""

    damaged: dict[str, None] = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)
    locked: dict[str, None] = field(default_factory=dict)
    recovery_points: int = 0
    layers: int = 0
    frames: int = 0
    frames_opened: int = 0
    frame_bytes: int = 0


@dataclass(frozen=True)
class KeyState:
    """Whether a revision of the key's object is whole, whether the key is at hand, and the line that says that none
    of the keys given opens it."""

    is_whole: bool
    opens: bool
    locked: str | None


@dataclass
class LayerState:
    """What was found of one layer."""

    is_whole: bool = True
    key_ids: set[str] = field(default_factory=set)


class Check:
    """One pass. Without keys it proves every digest; frames that it has keys for, or that need none, it opens too."""

    def __init__(self, store: Store, keys: KeyRing, tell: Callable[[str], None]) -> None:
        self.store = store
        self.keys = keys
        self.tell = tell
        self.opener = FrameOpener(store, keys)
        self.findings = Findings()
        self.refusals = 0
        self.layers: dict[LayerReference, LayerState] = {}
        self.keys_seen: dict[str, KeyState] = {}
        self.first_digests: dict[tuple[str, str], str] = {}
        self.chain: list[RecoveryPoint] = []

    def run(self) -> Findings:
        for name in self.store.names('keys/'):
            if KEY_PATTERN.match(name):
                self.attempt(read_key_record, self.store, name)
        for listed in listed_points(self.store):
            self.check_point(listed)
        for point in self.chain:
            self.attempt(self.check_previous, point)
        return self.findings

    def attempt(self, act: Callable[..., object], *of: object) -> bool:
        """False where the act was refused; the refusal is written down once."""
        try:
            act(*of)
            return True
        except Refused as refused:
            self.refusals += 1
            line = refused.line()
            if line not in self.findings.damaged:
                self.findings.damaged[line] = None
                self.tell(f'damaged: {line}')
            return False

    def check_point(self, listed: Listed) -> None:
        """All revisions; the disks of the highest."""
        points: list[RecoveryPoint | None] = []

        def read(name: str) -> None:
            point, digest = parsed_record(self.store, name)
            if name == listed.revisions[0]:
                self.first_digests[(listed.vm_key, listed.recovery_point_id)] = digest
            points.append(point)

        whole = [self.attempt(read, name) for name in listed.revisions]
        place = f'{listed.vm_key} {listed.recovery_point_id}'
        if not whole[-1]:
            self.touch(place)
            return
        point = points[-1]
        if point is None:
            return
        self.findings.recovery_points += 1
        self.chain.append(point)
        for disk in point.disks:
            self.check_stack(disk, f'{place} {disk.disk}')
            self.attempt(self.check_page_hashes, disk, len(listed.revisions) == 1)

    def check_stack(self, disk: Disk, place: str) -> None:
        layers = [self.check_reference(reference) for reference in disk.stack]
        keys = [self.keys_seen[key_id] for key_id in set().union(*(layer.key_ids for layer in layers))]
        if not all(state.is_whole for state in [*layers, *keys]):
            self.touch(place)
        elif any(key.locked for key in keys):
            self.touch(f'{place}, not opened')

    def touch(self, what: str) -> None:
        self.findings.touched.append(what)
        self.tell(f'touched: {what}')

    def check_previous(self, point: RecoveryPoint) -> None:
        """The chain may end at a recovery point that is gone, but it may not lead to another record."""
        if point.previous is None:
            return
        found = self.first_digests.get((point.vm_key, point.previous[0]))
        if None not in (found, point.previous[1]) and found != point.previous[1]:
            raise Refused(
                'digest-mismatch',
                point.object_name,
                'previous',
                f'{point.previous[0]} is another record than this one follows',
            )

    def check_page_hashes(self, disk: Disk, is_first: bool) -> None:
        """In a later revision the sidecar's layer may have been folded into another."""
        if disk.sidecar is None:
            return
        layer_digest = check_sidecar(self.store, disk.sidecar)
        is_known = layer_digest in [reference.digest for reference in disk.stack]
        demand(
            is_known or not is_first,
            f'sidecars/{disk.sidecar.layer_id}',
            'footer',
            'is about a layer that is not in the stack',
        )

    def check_reference(self, reference: LayerReference) -> LayerState:
        """Each layer once, however many recovery points stand on it. Damage that another layer met first counts too."""
        if reference not in self.layers:
            before = self.refusals
            state = LayerState()
            self.attempt(self.check_layer, reference, state)
            state.is_whole = self.refusals == before
            self.layers[reference] = state
        return self.layers[reference]

    def check_layer(self, reference: LayerReference, state: LayerState) -> None:
        layer = open_layer(self.store, reference)
        same_length = self.store.size(reference.name) == reference.length_bytes
        demand(
            same_length, reference.name, f'byte {reference.length_bytes}', 'the object is longer than its record says'
        )
        self.findings.layers += 1
        segments = Segments(layer)
        totals = [0, 0, 0]

        def check_shard(number: int) -> None:
            shard = layer.shard(self.store, number)
            totals[0] += len(shard.firsts)
            totals[1] += shard.data_sectors * SECTOR
            totals[2] += shard.zero_sectors * SECTOR
            segments.mark(shard)
            for entry in sorted(shard.frames, key=lambda frame: (frame.segment, frame.place)):
                self.attempt(self.check_frame, entry, state)

        shards_are_whole = [self.attempt(check_shard, number) for number in range(len(layer.fences))]
        for number, key in enumerate(segments.all()):
            self.attempt(self.check_segment, key, segments.marks[number] == 1 or not all(shards_are_whole))
        if all(shards_are_whole):
            same = totals == [layer.runs, layer.data_bytes, layer.zero_bytes]
            demand(same, reference.name, 'footer', 'its figures of runs, data and zeros are not those of the shards')

    def check_segment(self, key: SegmentKey, is_named: bool) -> None:
        """One that no shard names may only be there for a slice without data."""
        frames = check_segment(self.store, segment_name(key))
        demand(
            is_named or frames == 0,
            segment_name(key),
            '',
            'has frames, but no shard of the layer that lists it names it',
        )

    def check_frame(self, entry: FrameEntry, state: LayerState) -> None:
        frame = read_frame(self.store, entry)
        self.findings.frames += 1
        self.findings.frame_bytes += entry.stored_length
        if frame.key_id is None:
            self.open_frame(frame)
            return
        state.key_ids.add(frame.key_id)
        if frame.key_id not in self.keys_seen:
            self.keys_seen[frame.key_id] = self.key_state(frame.key_id)
        key = self.keys_seen[frame.key_id]
        if not key.opens:
            return
        try:
            self.open_frame(frame)
        except Refused as refused:
            if refused.code != 'wrong-key' or key.is_whole:
                raise

    def open_frame(self, frame: StoredFrame) -> None:
        self.opener.plain(frame)
        self.findings.frames_opened += 1

    def key_state(self, key_id: str) -> KeyState:
        """A data key that is handed in stands in for an object that is lost. Without a check value, only frames tell
        whether it is the right one."""
        is_whole = self.attempt(prove_key, self.store, key_id)
        if self.keys.is_empty:
            return KeyState(is_whole, False, None)
        try:
            self.keys.data_key(self.store, key_id)
            return KeyState(is_whole, True, None)
        except Refused as refused:
            if refused.code != 'key-locked':
                return KeyState(is_whole, False, None)
            line = refused.line()
            self.findings.locked[line] = None
            self.tell(f'not opened, no key: {line}')
            return KeyState(is_whole, False, line)


class Segments:
    """The segments that a footer names, and which of them its shards have named: one bit each."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.offsets: list[int] = []
        total = 0
        for ranged in layer.ranges:
            self.offsets.append(total)
            total += ranged.last - ranged.first + 1
        most = layer.frames + len(layer.fences)
        demand(total <= most, layer.reference.name, 'footer', 'it names more segments than its frames can lie in')
        self.marks = bytearray(total)

    def all(self) -> list[SegmentKey]:
        return [
            (ranged.id, ranged.disk, ranged.slice, ranged.attempt, n)
            for ranged in self.layer.ranges
            for n in range(ranged.first, ranged.last + 1)
        ]

    def mark(self, shard: Shard) -> None:
        for name in shard.segments:
            number, key = self.layer.range_of(name), segment_key(name)
            if number is not None and key is not None:
                self.marks[self.offsets[number] + key[4] - self.layer.ranges[number].first] = 1
