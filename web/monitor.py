"""The parts of one monitor; a Flask app carries it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import cast

from flask import current_app

from ..storage.clock import system_clock
from .feed.feed import Feed
from .feed.store import Store
from .library import Library
from .machines import Machines, TransitionCounts
from .settings import Settings

EXTENSION = "statemachine_monitor"


class Monitor:
    """Made with the app. Its feed starts with the first request that needs it, never before a fork."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.db, create=not settings.read_only)
        self.feed = Feed(self.store, settings.event_socket)
        self.library = Library(settings.project_root)
        self.machines = Machines(self.store, self.feed, self.library)
        self.transition_counts = TransitionCounts()
        self._secret = (settings.token or secrets.token_hex(32)).encode()

    @property
    def read_only(self) -> bool:
        """True if it refuses every write, by its settings or because the database is read-only."""
        return self.settings.read_only or bool(self.store.barred)

    @property
    def csrf_token(self) -> str:
        """The token that our page sends with each write; other sites cannot know it."""
        return self._digest("csrf")

    @property
    def cookie_name(self) -> str:
        """The cookie's name; cookies ignore ports, so that each monitor on a host needs its own name."""
        return f"statemachine_monitor_{self._digest('cookie name')[:8]}"

    @property
    def cookie_token(self) -> str:
        """The cookie's value after the browser has shown the token."""
        return self._digest("cookie")

    def now(self) -> float:
        """Return epoch seconds."""
        return system_clock.now()

    def close(self) -> None:
        """Stop the feed and close the database; idempotent."""
        self.feed.stop()
        self.store.close()

    def _digest(self, purpose: str) -> str:
        return hmac.new(self._secret, purpose.encode(), hashlib.sha256).hexdigest()[:40]


def the_monitor() -> Monitor:
    """Return the monitor of the current app."""
    return cast(Monitor, current_app.extensions[EXTENSION])
