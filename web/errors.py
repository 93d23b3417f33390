"""The error of a request, with the HTTP status that reports it."""

from __future__ import annotations


class Refused(Exception):
    """A request is refused with a status, a reason and perhaps a hint."""

    def __init__(self, status: int, reason: str, hint: str | None = None, **more: object) -> None:
        self.status, self.reason, self.hint, self.more = status, reason, hint, more
        super().__init__(reason)

    def as_dict(self) -> dict[str, object]:
        """Return the body of the answer."""
        return {"error": self.reason, **({"hint": self.hint} if self.hint else {}), **self.more}
