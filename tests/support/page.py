"""The monitor's page as a person sees it: a real browser, a real server, real machines."""

from __future__ import annotations

import re
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statemachine_engine.storage import audit
from statemachine_engine.storage.audit import Note
from statemachine_engine.storage.engine.database import Database
from tests.support.project import Project
from tests.support.until import PATIENCE_S, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: collects what the page's policy refused, and errors that nobody caught
WATCH = """
globalThis.page_errors = [];
document.addEventListener("securitypolicyviolation", (event) => page_errors.push(event.effectiveDirective));
addEventListener("error", (event) => page_errors.push(String(event.message)));
addEventListener("unhandledrejection", (event) => page_errors.push(String(event.reason)));
"""


class Monitor:
    """A project folder with a server on a port of its own."""

    def __init__(self, folder: Path, browser: Browser) -> None:
        self.folder = folder
        self.project = Project(folder)
        self.db = Database.open(folder / "data" / "pipeline.db")
        self._browser = browser
        self._pages: list[Page] = []
        self._server: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def happen(self, *events: tuple[str, str, dict[str, Any]]) -> None:
        """Put (machine, type, payload) on record as a runtime does."""
        audit.write(self.db, [Note(machine, type, payload, self.db.now()) for machine, type, payload in events])

    def serve(self, *options: str) -> None:
        """Start the server; on the same port as before, if there was one."""
        self.port = self.port or free_port()
        self._server = self.project.start(f"statemachine-ui --no-websocket --port {self.port} {' '.join(options)}")
        until(self._answers)

    def stop(self) -> None:
        """End the server."""
        assert self._server is not None
        self._server.terminate()
        self._server.wait(20)

    def run(self, *configs: str) -> Any:
        """Start machines."""
        return self.project.start(f"statemachine {' '.join(configs)}")

    def open(self, address: str = "#/", **options: Any) -> Page:
        """Open the page in its own window; `options` are those of playwright's new_context."""
        context = self._browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(PATIENCE_S * 1000)
        context.add_init_script(WATCH)
        page = context.new_page()
        page.goto(self.url + address)
        self._pages.append(page)
        return page

    def page_errors(self) -> list[str]:
        """Return the errors that the pages or the server reported."""
        said = [text for page in self._pages for text in page.evaluate("page_errors")]
        return said + re.findall("broke its own rules.*", self.project.log())

    def close(self) -> None:
        for page in self._pages:
            page.context.close()
        self.db.close()
        self.project.close()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def free_port() -> int:
    """Return a port on which no process listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def seen(look: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
    """Wait for an element and return it. Playwright's own wait would evaluate text, which the policy forbids."""
    return until(look, timeout_s=timeout_s)
