"""The settings of one monitor."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Settings:
    """The monitor's settings; all defaults are safe."""

    #: database URL or path; None: $STATEMACHINE_DB, else data/pipeline.db
    db: str | None = None
    #: folder with configurations and docs/fsm-diagrams
    project_root: Path = field(default_factory=Path.cwd)
    event_socket: str | None = None
    control_prefix: str | None = None
    #: address to listen on; one beyond loopback needs a token
    host: str = "127.0.0.1"
    port: int | None = None
    websocket_port: int | None = None
    token: str | None = None
    read_only: bool = False
    #: further host names of the page, such as a proxy's
    allowed_hosts: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Names that a Host header may have; others are refused, so that no foreign site's name leads here."""
        own = {self.host.strip("[]").lower(), *self.allowed_hosts, *LOOPBACK_NAMES}
        if is_wildcard(self.host):
            own |= _names_of_this_computer()
        return frozenset(own)

    def knows(self, name: str) -> bool:
        """Return True if the Host name is ours; a numeric address is no name that a foreign site can take."""
        name = name.strip("[]").lower()
        return name in self.names or (is_wildcard(self.host) and _is_address(name))


@cache
def version() -> str:
    """Return the version of the installed package."""
    return metadata.version("statemachine-engine")


def is_loopback(host: str) -> bool:
    """Return True if only this computer can reach a server that listens there."""
    name = host.strip("[]")
    if name == "localhost":
        return True
    return _is_address(name) and ipaddress.ip_address(name).is_loopback


def is_wildcard(host: str) -> bool:
    """Return True if the server listens on every address."""
    return host.strip("[]") in ("", "0.0.0.0", "::")


# Helpers


@cache
def _names_of_this_computer() -> frozenset[str]:
    """Return the host's names; cached, because the answer may come from a name server."""
    return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
