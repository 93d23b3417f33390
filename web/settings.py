"""What one monitor is told at its start."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Settings:
    """The monitor's choices; all have a default that is safe."""

    #: database URL or path; None: $STATEMACHINE_DB, else data/pipeline.db
    db: str | None = None
    #: where configurations and docs/fsm-diagrams are looked for
    project_root: Path = field(default_factory=Path.cwd)
    event_socket: str | None = None
    control_prefix: str | None = None
    #: address that the server listens on; what is not loopback needs a token
    host: str = "127.0.0.1"
    port: int | None = None
    websocket_port: int | None = None
    token: str | None = None
    read_only: bool = False
    #: further names under which browsers may ask for the page, such as a proxy's
    allowed_hosts: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Names that a Host header may give; others are refused, so that no foreign site's name can lead here."""
        own = {self.host.strip("[]").lower(), *self.allowed_hosts, *LOOPBACK_NAMES}
        if is_wildcard(self.host):
            own |= _names_of_this_computer()
        return frozenset(own)

    def knows(self, name: str) -> bool:
        """Whether a request may call this server so; an address in figures is no name that a foreign site can take."""
        name = name.strip("[]").lower()
        return name in self.names or (is_wildcard(self.host) and _is_address(name))


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach a server that listens there."""
    name = host.strip("[]")
    if name == "localhost":
        return True
    return _is_address(name) and ipaddress.ip_address(name).is_loopback


def is_wildcard(host: str) -> bool:
    """Whether the server listens on every address."""
    return host.strip("[]") in ("", "0.0.0.0", "::")


# Helpers


@cache
def _names_of_this_computer() -> frozenset[str]:
    """Asked once: the answer may come from a name server."""
    return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
