"""Run one program to its end: keep its output, limit its time, and end its whole process group if necessary."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from ..concurrency.cancel_token import CancelToken
from .procfs import has_live_member

#: bytes of each output stream that are kept, counted from its end
KEPT_BYTES = 64 * 1024
#: seconds in which background children may still write once the program has ended
DRAIN_S = 1.0
#: seconds that a process group has between SIGTERM and SIGKILL
GRACE_S = 2.0
#: seconds in which the output of a killed group is read; only a child that left the group uses them up
LAST_WORDS_S = 0.1
_GROUP_TICK_S = 0.005
#: seconds between two checks for the exit, where the system has no pidfd
_EXIT_TICK_S = 0.02
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))


class Ended(NamedTuple):
    """The end of a program, and its output."""

    #: negative if it was ended by that signal
    exit_code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool
    cancelled: bool


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    timeout_s: float | None = None,
    cancel: CancelToken | None = None,
    kept_bytes: int = KEPT_BYTES,
    on_output: Callable[[bytes], None] | None = None,
) -> Ended:
    """Run a program in a session of its own until its end, its time limit or the cancellation.

    In the last two cases its process group gets SIGTERM and, if that does not end it, SIGKILL. Children that it left
    in the background are waited for only DRAIN_S. `on_output` gets the output of both streams as it comes. Raises
    OSError if the program cannot be started.
    """
    process = _Process(kept_bytes, on_output)
    forget = cancel.on_cancel(process.cancel) if cancel else None
    try:
        process.start(argv, env, cwd, stdin)
        return process.wait(timeout_s)
    finally:
        if forget:
            forget()
        process.close()


class _Process:
    """One program; only `cancel` may be called from other threads."""

    def __init__(self, kept_bytes: int, on_output: Callable[[bytes], None] | None) -> None:
        self._on_output = on_output
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[bytes] | None = None
        self._exit_fd: int | None = None
        self._stdout, self._stdout_end = os.pipe()
        self._stderr, self._stderr_end = os.pipe()
        self._cancel_seen, self._cancel_end = os.pipe()
        self._tails = {self._stdout: OutputTail(kept_bytes), self._stderr: OutputTail(kept_bytes)}
        self._open = set(self._tails)
        self._exited = self._cancelled = self._closed = False

    def start(self, argv: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None, stdin: bytes | None) -> None:
        with _input(stdin) as source:
            self._popen = subprocess.Popen(
                argv, env=env, cwd=cwd, stdin=source, stdout=self._stdout_end, stderr=self._stderr_end,
                start_new_session=True,
            )  # fmt: skip
        self._close_writing_ends()
        self._exit_fd = _exit_fd(self._popen.pid)
        self._poller = select.poll()
        for fd in (self._stdout, self._stderr, self._cancel_seen, self._exit_fd):
            if fd is not None:
                self._poller.register(fd, select.POLLIN)

    def wait(self, timeout_s: float | None) -> Ended:
        assert self._popen is not None
        timed_out = not self._run_until(None if timeout_s is None else time.monotonic() + timeout_s)
        if timed_out or self._cancelled:
            self._end_group()
        else:
            self._drain()
        code = self._popen.wait()
        return Ended(
            code, self._tails[self._stdout].text(), self._tails[self._stderr].text(), timed_out, self._cancelled
        )

    def cancel(self) -> None:
        """Have the waiting thread end the program; from any thread, also after the end."""
        with self._lock:
            if not self._closed:
                os.write(self._cancel_end, b"x")

    def close(self) -> None:
        if self._popen is not None and self._popen.returncode is None:
            self._signal(signal.SIGKILL)
            self._popen.wait()
        self._close_writing_ends()
        with self._lock:
            self._closed = True
            os.close(self._cancel_end)
        for fd in (self._stdout, self._stderr, self._cancel_seen, self._exit_fd):
            if fd is not None:
                os.close(fd)

    def _run_until(self, deadline: float | None) -> bool:
        """Read output until the program has ended or was cancelled; return False at the deadline (monotonic)."""
        while not self._exited and not self._cancelled:
            left_s = None if deadline is None else deadline - time.monotonic()
            if left_s is not None and left_s <= 0:
                return False
            self._pump(left_s)
        return True

    def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_S
        while self._open and not self._cancelled and (left_s := deadline - time.monotonic()) > 0:
            self._pump(left_s)

    def _end_group(self) -> None:
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        tick_s = _GROUP_TICK_S
        while self._group_lives() and time.monotonic() < deadline:
            self._pump(tick_s)
            tick_s = min(2 * tick_s, 10 * _GROUP_TICK_S)
        self._signal(signal.SIGKILL)
        last_words_until = time.monotonic() + LAST_WORDS_S
        while self._open and (left_s := last_words_until - time.monotonic()) > 0:
            self._pump(left_s)

    def _pump(self, timeout_s: float | None) -> None:
        """Wait for output, the exit or the cancellation, and handle what came."""
        if self._exit_fd is None:
            timeout_s = _EXIT_TICK_S if timeout_s is None else min(timeout_s, _EXIT_TICK_S)
            self._exited = self._popen is not None and self._popen.poll() is not None
        # poll() counts whole milliseconds and must not return just before the deadline
        for fd, _ in self._poller.poll(None if timeout_s is None else int(timeout_s * 1000) + 1):
            if fd in self._tails:
                self._read(fd)
                continue
            self._poller.unregister(fd)
            if fd == self._exit_fd:
                self._exited = True
            else:
                self._cancelled = True

    def _read(self, fd: int) -> None:
        data = os.read(fd, KEPT_BYTES)
        if data:
            self._tails[fd].add(data)
            if self._on_output is not None:
                self._on_output(data)
        else:
            self._poller.unregister(fd)
            self._open.discard(fd)

    def _group_lives(self) -> bool:
        assert self._popen is not None
        if self._exited:
            self._popen.wait()  # until it is waited for, a dead leader still counts as a member
        try:
            os.killpg(self._popen.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return has_live_member(self._popen.pid)

    def _signal(self, number: signal.Signals) -> None:
        assert self._popen is not None
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def _close_writing_ends(self) -> None:
        for fd in {self._stdout_end, self._stderr_end} - {-1}:
            os.close(fd)
        self._stdout_end = self._stderr_end = -1


class OutputTail:
    """The last bytes of a stream, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._cut = False

    def add(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > 2 * self._limit:
            self._trim()

    def text(self) -> bytes:
        if len(self._kept) > self._limit:
            self._trim()
        return bytes(self._kept.lstrip(_CONTINUATION_BYTES) if self._cut else self._kept)

    def _trim(self) -> None:
        del self._kept[: -self._limit]
        self._cut = True


@contextmanager
def _input(stdin: bytes | None) -> Iterator[IO[bytes] | int]:
    """Yield the program's input as a file: a pipe would have to be written while the output is read."""
    if stdin is None:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(stdin)
        file.seek(0)
        yield file


def _exit_fd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or forbidden in this container
        return None
