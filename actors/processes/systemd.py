"""What systemd hears of a service of `Type=notify` (sd_notify(3)): that it is ready, how it fares, that it lives."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import MutableMapping

log = logging.getLogger(__name__)


def in_short(running: int, failed: int) -> str:
    """How the machines of a service fare, for its status line."""
    return f"machines running: {running}" + (f", failed: {failed}" if failed else "")


class Systemd:
    """The socket in $NOTIFY_SOCKET; where there is none, nothing is said to anybody.

    The variables are taken out of the environment, so that no command that a machine starts speaks for the service.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        path = environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        timeout_us, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        wanted = timeout_us.isdecimal() and pid in ("", str(os.getpid()))
        #: seconds between two signs of life, half of what WatchdogSec says; None: none are asked for
        self.interval_s = int(timeout_us) / 2e6 if wanted else None
        self._next_s = 0.0

    def ready(self, status: str) -> None:
        """All that the service does is running."""
        self._tell("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """It has begun to end."""
        self._tell("STOPPING=1", "STATUS=stopping")

    def alive(self, status: str) -> None:
        """It makes progress; may be called more often than systemd asks for."""
        now_s = time.monotonic()
        if self.interval_s is not None and now_s >= self._next_s:
            self._next_s = now_s + self.interval_s - 0.5  # who calls once a second must not come too late
            self._tell("WATCHDOG=1", f"STATUS={status}")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(1.0)
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("systemd cannot be told %s: %s", lines[0], error)
