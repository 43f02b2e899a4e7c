"""The one way in which this reader says no."""


class Refused(Exception):
    """Stored bytes, or what was asked for, that cannot be used. `name` is the object, `place` a place in it."""

    def __init__(self, code: str, name: str, place: str, what: str) -> None:
        super().__init__(what)
        self.code = code
        self.name = name
        self.place = place
        self.what = what

    def line(self) -> str:
        """One line for people: which object, where, what."""
        at = f', {self.place}' if self.place else ''
        return f'{self.name}{at}: {self.what} [{self.code}]'


def demand(holds: bool, name: str, place: str, what: str) -> None:
    """Refuses bytes that the format does not allow."""
    if not holds:
        raise Refused('malformed', name, place, what)
