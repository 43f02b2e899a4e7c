"""Reads everything that a vault's recovery points reach, and names what is damaged: what restores need, and what none needs."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .findings import Findings
from .frame_check import FrameCheck
from .keys import KeyRing, read_key_record
from .layer import Layer, LayerReference, open_layer
from .names import KEY_PATTERN
from .needed import DAMAGED, LOCKED, NEEDED, SEEN, FrameMarks, NamedSegments, WatchedShards, frames_shown
from .record import Disk, Listed, RecoveryPoint, listed_points, parsed_record, read_point
from .refusal import Refused, demand
from .segment import check_segment
from .shard import SECTOR
from .sidecar import check_sidecar
from .stores import Store


@dataclass
class LayerState:
    """What was found of one layer: which of its shards restores ask for, and whether a shard or a frame is damaged or not opened."""

    reference: LayerReference
    asked: bytearray = field(default_factory=bytearray)
    is_troubled: bool = False


class Check:
    """One pass. Without keys it proves every digest; frames that it has keys for, or that need none, it opens too. First it goes through the
    stacks as restores would, by which it knows what they need; then it reads everything."""

    def __init__(self, store: Store, keys: KeyRing, tell: Callable[[str], None]) -> None:
        self.store = store
        self.findings = Findings(tell)
        self.marks = FrameMarks()
        self.frames = FrameCheck(store, keys, self.marks, self.findings)
        self.layers: dict[LayerReference, LayerState] = {}
        self.walked: dict[tuple[LayerReference, ...], int] = {(): 2**64}
        self.first_digests: dict[tuple[str, str], str] = {}
        self.points: list[tuple[Listed, RecoveryPoint]] = []

    def run(self) -> Findings:
        for listed in listed_points(self.store):
            self.check_point(listed)
        for state in self.layers.values():
            self.check_layer(state)
        self.check_hidden_frames()
        self.check_keys()
        for listed, point in self.points:
            self.findings.attempt(False, self.check_previous, point)
            for disk in point.disks:
                self.findings.attempt(False, self.check_page_hashes, disk, len(listed.revisions) == 1)
                self.check_touched(disk, f'{place_of(listed)} {disk.disk}')
        return self.findings

    def check_keys(self) -> None:
        revisions: dict[str, list[str]] = {}
        for name in self.store.names('keys/'):
            match = KEY_PATTERN.match(name)
            if match is not None:
                revisions.setdefault(match[1], []).append(name)
        for key_id, names in revisions.items():
            for name in names:
                is_needed = self.frames.needs_key_object(key_id, name == names[-1])
                self.findings.attempt(is_needed, read_key_record, self.store, name)

    def check_point(self, listed: Listed) -> None:
        """All revisions; the stacks of the one that counts."""

        def read(name: str) -> None:
            _, digest = parsed_record(self.store, name)
            if name.endswith('/0001.json'):
                self.first_digests[(listed.vm_key, listed.recovery_point_id)] = digest

        point = None
        try:
            point = read_point(self.store, listed)
        except Refused as refused:
            self.findings.damage(refused, True)
            self.findings.touch(place_of(listed))
        for name in listed.revisions:
            self.findings.attempt(False, read, name)
        if point is None:
            return
        self.findings.recovery_points += 1
        self.points.append((listed, point))
        for disk in point.disks:
            self.mark_needed(disk)

    def mark_needed(self, disk: Disk) -> None:
        """Newer layers only hide: where another disk's stack is the lower part of this one, what of it is needed is known."""
        states = [self.layers.setdefault(reference, LayerState(reference)) for reference in disk.stack]
        stack, sectors = tuple(disk.stack), disk.size_bytes // SECTOR
        depth = next(at for at in range(len(stack) + 1) if self.walked.get(stack[at:], -1) >= sectors)
        shards, _ = self.opened(states[:depth])
        for entry in frames_shown(shards, sectors):
            self.marks.add(entry, NEEDED)
        self.walked[stack] = max(sectors, self.walked.get(stack, 0))

    def opened(self, states: list[LayerState]) -> tuple[WatchedShards, bool]:
        """The layers as a restore reads them, without those that cannot be opened; false where there are such."""
        found = [(state, self.open(state)) for state in states]
        layers = [(state, layer) for state, layer in found if layer is not None]
        shards = WatchedShards(self.store, [layer for _, layer in layers], [state.asked for state, _ in layers])
        return shards, len(layers) == len(states)

    def open(self, state: LayerState) -> Layer | None:
        try:
            layer = open_layer(self.store, state.reference)
        except Refused as refused:
            self.findings.damage(refused, True)
            state.is_troubled = True
            return None
        if not state.asked:
            state.asked.extend(bytes(len(layer.fences)))
        return layer

    def check_touched(self, disk: Disk, place: str) -> None:
        """Whether a restore of the disk meets what is damaged, or what no key given opens."""
        states = [self.layers[reference] for reference in disk.stack]
        if not any(state.is_troubled for state in states):
            return
        shards, are_open = self.opened(states)
        marks = 0
        for entry in frames_shown(shards, disk.size_bytes // SECTOR):
            marks |= self.marks.of(entry)
        if marks & DAMAGED or not shards.are_whole or not are_open:
            self.findings.touch(place)
        elif marks & LOCKED:
            self.findings.touch(f'{place}, not opened')

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

    def check_layer(self, state: LayerState) -> None:
        """Each layer once, however many recovery points stand on it."""
        layer = self.open(state)
        if layer is not None:
            self.findings.layers += 1
            self.check_opened(state, layer)

    def check_opened(self, state: LayerState, layer: Layer) -> None:
        """All that the layer says, and all that lies in its segments."""
        self.findings.attempt(False, self.check_length, state.reference)
        segments = NamedSegments(layer)
        self.findings.attempt(False, segments.open)
        totals = [0, 0, 0]

        def check_shard(number: int) -> None:
            shard = layer.shard(self.store, number)
            totals[0] += len(shard.firsts)
            totals[1] += shard.data_sectors * SECTOR
            totals[2] += shard.zero_sectors * SECTOR
            segments.mark(shard)
            for entry in sorted(shard.frames, key=lambda frame: (frame.segment, frame.place)):
                state.is_troubled |= self.frames.check(entry)

        shards_are_whole = [
            self.findings.attempt(bool(state.asked[number]), check_shard, number) for number in range(len(layer.fences))
        ]
        state.is_troubled |= not all(shards_are_whole)
        for name, is_named in segments.all():
            self.findings.attempt(False, self.check_segment, name, is_named or not all(shards_are_whole))
        if all(shards_are_whole):
            self.findings.attempt(False, check_totals, layer, totals)

    def check_length(self, reference: LayerReference) -> None:
        same = self.store.size(reference.name) == reference.length_bytes
        demand(same, reference.name, f'byte {reference.length_bytes}', 'the object is longer than its record says')

    def check_segment(self, name: str, is_named: bool) -> None:
        """One that no shard names may only be there for a slice without data."""
        segment = self.marks.segment(name)
        if segment.listed is None:
            segment.listed = len(check_segment(self.store, name).frames)
        demand(
            is_named or segment.listed == 0, name, '', 'has frames, but no shard of the layer that lists it names it'
        )

    def check_hidden_frames(self) -> None:
        """Frames that lie in segments of layers and that no layer names."""

        def check(name: str) -> None:
            for entry in check_segment(self.store, name).frames:
                if not self.marks.of(entry) & SEEN:
                    self.frames.check(entry)

        for name, segment in self.marks.segments.items():
            if segment.listed is not None and segment.listed > segment.count(SEEN):
                self.findings.attempt(False, check, name)


def place_of(listed: Listed) -> str:
    return f'{listed.vm_key} {listed.recovery_point_id}'


def check_totals(layer: Layer, totals: list[int]) -> None:
    same = totals == [layer.runs, layer.data_bytes, layer.zero_bytes]
    demand(same, layer.reference.name, 'footer', 'its figures of runs, data and zeros are not those of the shards')
