"""Proves frames one by one, and opens those that it has keys for or that need none."""

from dataclasses import dataclass

from .findings import Findings
from .frame import FrameEntry, FrameOpener, StoredFrame, read_frame
from .keys import KeyRing, prove_key
from .needed import DAMAGED, LOCKED, NEEDED, SEEN, FrameMarks
from .refusal import Refused
from .stores import Store


@dataclass
class KeyState:
    """Why no revision of the key's object can be used, whether the key is at hand, whether none of the keys given opens it, and whether a frame
    that restores need is under it."""

    refused: Refused | None
    opens: bool
    is_locked: bool
    is_needed: bool = False


class FrameCheck:
    """Writes down what it finds, in the marks of the frames too."""

    def __init__(self, store: Store, keys: KeyRing, marks: FrameMarks, findings: Findings) -> None:
        self.store = store
        self.keys = keys
        self.marks = marks
        self.findings = findings
        self.opener = FrameOpener(store, keys)
        self.keys_seen: dict[str, KeyState] = {}

    def check(self, entry: FrameEntry) -> bool:
        """True where it is damaged, or no key given opens it."""
        before = self.marks.of(entry)
        is_needed = bool(before & NEEDED)
        found, is_proven, is_opened = DAMAGED, False, False
        try:
            frame = read_frame(self.store, entry)
            found, is_opened = self.open_frame(frame, is_needed)
            is_proven = not is_opened
        except Refused as refused:
            is_all_lost = refused.place == '' and self.marks.segment(entry.segment).count(NEEDED) > 0
            self.findings.damage(refused, is_needed or is_all_lost)
        self.marks.add(entry, SEEN | found)
        if not before & SEEN:
            self.findings.frames += 1
            self.findings.frames_needed += is_needed
            self.findings.frames_opened += is_opened
            self.findings.frames_proven += is_proven
            self.findings.frame_bytes += entry.stored_length
        return found != 0

    def open_frame(self, frame: StoredFrame, is_needed: bool) -> tuple[int, bool]:
        """Marks of a frame whose digest is right, and whether it was opened."""
        if frame.key_id is None:
            self.opener.plain(frame)
            return 0, True
        if frame.key_id not in self.keys_seen:
            self.keys_seen[frame.key_id] = self.key_state(frame.key_id)
        key = self.keys_seen[frame.key_id]
        key.is_needed |= is_needed
        found = DAMAGED if key.refused is not None else LOCKED if key.is_locked else 0
        if key.refused is not None:
            self.findings.damage(key.refused, is_needed)
        if not key.opens:
            return found, False
        try:
            self.opener.plain(frame)
            return found, True
        except Refused as refused:
            if refused.code != 'wrong-key' or key.refused is None:
                raise
            return found, False

    def needs_key_object(self, key_id: str, is_highest: bool) -> bool:
        """An earlier revision stands in for the highest, but only for who has what it was wrapped with."""
        key = self.keys_seen.get(key_id)
        return key is not None and key.is_needed and (key.refused is not None or (is_highest and not key.opens))

    def key_state(self, key_id: str) -> KeyState:
        """A data key that is handed in stands in for an object that is lost. Without a check value, only frames tell
        whether it is the right one."""
        refused = None
        try:
            prove_key(self.store, key_id)
        except Refused as found:
            refused = found
        if self.keys.is_empty:
            return KeyState(refused, False, False)
        try:
            self.keys.data_key(self.store, key_id)
            return KeyState(refused, True, False)
        except Refused as found:
            if found.code != 'key-locked':
                return KeyState(refused, False, False)
            self.findings.lock(found)
            return KeyState(refused, False, True)
