"""Everything that one monitor consists of; a Flask app carries it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import cast

from flask import current_app

from ..storage.clock import system_clock
from .counts import Counts
from .feed.feed import Feed
from .feed.store import Store
from .library import Library
from .machines import Machines
from .settings import Settings

EXTENSION = "statemachine_monitor"


class Monitor:
    """Made with the app; its feed starts with the first request that needs it, never before a fork."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.db, create=not settings.read_only)
        self.feed = Feed(self.store, settings.event_socket)
        self.library = Library(settings.project_root)
        self.machines = Machines(self.store, self.feed, self.library)
        self.counts = Counts()
        self._secret = (settings.token or secrets.token_hex(32)).encode()

    @property
    def read_only(self) -> bool:
        """Whether it refuses every write: told so, or because the database does."""
        return self.settings.read_only or bool(self.store.barred)

    @property
    def csrf_token(self) -> str:
        """What a page of ours sends with each write, and no foreign site can know."""
        return self._digest("csrf")

    @property
    def cookie_name(self) -> str:
        """Under which a browser keeps it; cookies know no ports, so monitors side by side each need their own."""
        return f"statemachine_monitor_{self._digest('cookie name')[:8]}"

    @property
    def cookie_token(self) -> str:
        """What a browser keeps after it has shown the token."""
        return self._digest("cookie")

    def now(self) -> float:
        """Epoch seconds."""
        return system_clock.now()

    def close(self) -> None:
        """Stop the feed and close the database; idempotent."""
        self.feed.stop()
        self.store.close()

    def _digest(self, purpose: str) -> str:
        return hmac.new(self._secret, purpose.encode(), hashlib.sha256).hexdigest()[:40]


def the_monitor() -> Monitor:
    """The current app's."""
    return cast(Monitor, current_app.extensions[EXTENSION])
