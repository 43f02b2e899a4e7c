"""What a check finds, told as it is found."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .refusal import Refused


@dataclass
class Findings:
    """What a check saw. `damaged` has one line for each place, true where a restore needs it; `touched` names what hangs on those. `locked` has
    one line for each data key that none of the keys given opens: its frames are proven by their digests alone, as are those of all keys
    where none was given. A frame counts once, however many layers name it."""

    tell: Callable[[str], None]
    damaged: dict[str, bool] = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)
    locked: dict[str, None] = field(default_factory=dict)
    recovery_points: int = 0
    layers: int = 0
    frames: int = 0
    frames_needed: int = 0
    frames_opened: int = 0
    frames_proven: int = 0
    frame_bytes: int = 0

    @property
    def needed(self) -> list[str]:
        """The lines of damage that a restore would meet."""
        return [line for line, is_needed in self.damaged.items() if is_needed]

    def damage(self, refused: Refused, is_needed: bool) -> None:
        """Told once; once more where what seemed to be needed by no restore turns out to be."""
        line = refused.line()
        if self.damaged.get(line) in (True, is_needed):
            return
        self.damaged[line] = is_needed
        self.tell(f'damaged: {line}' if is_needed else f'damaged, but no restore needs it: {line}')

    def attempt(self, is_needed: bool, act: Callable[..., object], *of: object) -> bool:
        """False where the act was refused."""
        try:
            act(*of)
            return True
        except Refused as refused:
            self.damage(refused, is_needed)
            return False

    def touch(self, what: str) -> None:
        self.touched.append(what)
        self.tell(f'touched: {what}')

    def lock(self, refused: Refused) -> None:
        line = refused.line()
        self.locked[line] = None
        self.tell(f'not opened, no key: {line}')
