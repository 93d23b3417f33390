"""Notify systemd that a service of `Type=notify` is ready, alive or stopping (sd_notify(3))."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import MutableMapping

log = logging.getLogger(__name__)


def in_short(running: int, failed: int) -> str:
    """Return the status line of a service: the number of its running and failed machines."""
    return f"machines running: {running}" + (f", failed: {failed}" if failed else "")


class Systemd:
    """The socket in $NOTIFY_SOCKET; without the variable, all methods do nothing.

    The variables are removed from the environment, so that no command that a machine starts speaks for the service.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        path = environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        timeout_us, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        wanted = timeout_us.isdecimal() and pid in ("", str(os.getpid()))
        #: seconds between two keep-alive messages, half of WatchdogSec; None if systemd wants none
        self.interval_s = int(timeout_us) / 2e6 if wanted else None
        self._next_s = 0.0

    def ready(self, status: str) -> None:
        """Report that the service is ready."""
        self._send("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """Report that the service is stopping."""
        self._send("STOPPING=1", "STATUS=stopping")

    def alive(self, status: str) -> None:
        """Report that the service makes progress; calls between two keep-alive messages do nothing."""
        now_s = time.monotonic()
        if self.interval_s is not None and now_s >= self._next_s:
            self._next_s = now_s + self.interval_s - 0.5  # a caller that calls once a second must not be late
            self._send("WATCHDOG=1", f"STATUS={status}")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(1.0)
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("systemd cannot be notified of %s: %s", lines[0], error)
