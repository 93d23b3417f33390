"""Errors of the monitor; each has the HTTP status that reports it."""

from __future__ import annotations


class WebError(Exception):
    """The monitor cannot do what was asked."""


class Refused(WebError):
    """A request is refused with a status, a reason and perhaps a hint."""

    def __init__(self, status: int, reason: str, hint: str | None = None, **more: object) -> None:
        self.status, self.reason, self.hint, self.more = status, reason, hint, more
        super().__init__(reason)

    def as_dict(self) -> dict[str, object]:
        """The body of the answer."""
        return {"error": self.reason, **({"hint": self.hint} if self.hint else {}), **self.more}


class PortTaken(WebError):
    """Another program listens on the port."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        super().__init__(f"port {port} on {host} is taken by another program; choose one with --port")
