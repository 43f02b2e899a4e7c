"""Merges a disk's layers, newest wins, and writes what they show."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from .frame import FrameOpener, read_frame
from .keys import KeyRing
from .layer import Layer, open_layer
from .record import Disk, RecoveryPoint
from .refusal import Refused
from .shard import SECTOR, Shard
from .stores import Store

SHARDS_KEPT_BYTES = 256 * 1024 * 1024
FRAMES_KEPT_BYTES = 64 * 1024 * 1024


class Sink(Protocol):
    """A disk of zeros that is written to, in order of offset."""

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Writes whole sectors."""


@dataclass(frozen=True)
class Piece:
    """A part of the disk, in sectors, that one frame's bytes show from `position` on, in sectors."""

    first: int
    end: int
    shard: Shard
    frame: int
    position: int


def disk_of_point(point: RecoveryPoint, disk: str) -> Disk:
    """That disk, or a refusal that names those there are."""
    for found in point.disks:
        if found.disk == disk:
            return found
    names = ', '.join(found.disk for found in point.disks)
    raise Refused('not-found', point.object_name, 'disks', f'there is no disk {disk}; there are: {names}')


def open_stack(store: Store, disk: Disk) -> list[Layer]:
    """The disk's layers, newest first."""
    return [open_layer(store, reference) for reference in disk.stack]


def restore_disk(store: Store, keys: KeyRing, disk: Disk, sink: Sink) -> None:
    """Writes everything that is not zero. Memory does not grow with the disk, but for the fence key of each shard."""
    frames = Frames(store, keys)
    for piece in pieces(Shards(store, open_stack(store, disk)), disk.size_bytes // SECTOR):
        plain = frames.plain(piece.shard, piece.frame)
        begin = piece.position * SECTOR
        sink.write(piece.first * SECTOR, memoryview(plain)[begin : begin + (piece.end - piece.first) * SECTOR])


def pieces(shards: 'Shards', sectors: int) -> Iterator[Piece]:
    """What the stack shows of the disk and is not zero, in order of offset. A layer may be of a larger disk, which this one took the place of."""
    layers = shards.layers
    ends = {min(sector, sectors) for layer in layers for fence in layer.fences for sector in (fence.first, fence.end)}
    cuts = sorted(ends)
    at = [0] * len(layers)
    for begin, end in zip(cuts, cuts[1:]):
        active = []
        for number, layer in enumerate(layers):
            while at[number] < len(layer.fences) and layer.fences[at[number]].end <= begin:
                at[number] += 1
            if at[number] < len(layer.fences) and layer.fences[at[number]].first < end:
                active.append((number, at[number]))
        yield from shown(shards, active, begin, end)


def shown(shards: 'Shards', active: list[tuple[int, int]], begin: int, end: int) -> list[Piece]:
    """What one shard of each of these layers shows between two sectors; older ones fill what newer ones leave open."""
    found: list[Piece] = []
    still_open = [(begin, end)]
    for layer, fence in active:
        if not still_open:
            break
        shard = shards.shard(layer, fence)
        still_open = [gap for part in still_open for gap in painted(shard, part, found)]
    return sorted(found, key=lambda piece: piece.first)


def painted(shard: Shard, part: tuple[int, int], found: list[Piece]) -> list[tuple[int, int]]:
    """Adds what the shard shows of a part; returns what it leaves open."""
    gaps = []
    at, end = part
    for run in shard.runs_from(at):
        if run.first >= end:
            break
        if run.end <= at:
            continue
        first, last = max(run.first, at), min(run.end, end)
        if first > at:
            gaps.append((at, first))
        if run.frame is not None:
            found.append(Piece(first, last, shard, run.frame, run.position + first - run.first))
        at = last
    if at < end:
        gaps.append((at, end))
    return gaps


class Shards:
    """Decoded shards; the least recently used are forgotten."""

    def __init__(self, store: Store, layers: list[Layer]) -> None:
        self.store = store
        self.layers = layers
        self.kept: dict[tuple[int, int], Shard] = {}
        self.kept_bytes = 0

    def shard(self, layer: int, fence: int) -> Shard:
        found = self.kept.pop((layer, fence), None)
        if found is None:
            found = self.layers[layer].shard(self.store, fence)
            self.kept_bytes += found.cost_bytes
            while self.kept and self.kept_bytes > SHARDS_KEPT_BYTES:
                self.kept_bytes -= self.kept.pop(next(iter(self.kept))).cost_bytes
        self.kept[(layer, fence)] = found
        return found


class Frames:
    """Plain bytes of frames, of which runs may alternate; the least recently used are forgotten."""

    def __init__(self, store: Store, keys: KeyRing) -> None:
        self.store = store
        self.opener = FrameOpener(store, keys)
        self.kept: dict[tuple[str, int, int], bytes] = {}
        self.kept_bytes = 0

    def plain(self, shard: Shard, number: int) -> bytes:
        key = (shard.name, shard.origin, number)
        found = self.kept.pop(key, None)
        if found is None:
            found = self.opener.plain(read_frame(self.store, shard.frames[number]))
            self.kept_bytes += len(found)
            while self.kept and self.kept_bytes > FRAMES_KEPT_BYTES:
                self.kept_bytes -= len(self.kept.pop(next(iter(self.kept))))
        self.kept[key] = found
        return found
