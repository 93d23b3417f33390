"""`statemachine-events`: prints what the machines do, line by line, as it happens."""

from __future__ import annotations

import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from .options import Seconds, TextType, db_given, db_option
from .output import counted, json_text, text
from .program import DONE, FAILED, Program, console_script, program_options
from .signals import ending_signals

if TYPE_CHECKING:
    from ..actors.audit.event_socket import EventSocket
    from ..actors.audit.tail import AuditTail
    from ..storage.audit import Event

#: type -> the sign at the start of its line
SIGNS = {
    "state_change": "🔄",
    "job_started": "▶️ ",
    "job_completed": "✅",
    "job_failed": "❌",
    "error": "❌",
    "machine_failed": "❌",
    "action_retry": "🔁",
    "stuck": "⏳",
    "activity_log": "📝",
}
COMPACT_SIGNS = {"job_started": "▶️", "job_completed": "✅", "job_failed": "❌"}


class Since(TextType):
    """The id of an event (int), or a duration before now (float): 10m, 90s, 2h."""

    name = "10m|ID"

    def parse(self, text: str) -> int | float:
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else Seconds().parse(text)


@click.command(cls=Program)
@click.option("--machine", "machines", metavar="NAME", multiple=True, help="Only this machine; may be repeated.")
@click.option("--type", "types", metavar="TYPE", multiple=True, help="Only events of this type; may be repeated.")
@click.option(
    "--since", type=Since(),
    help="Begin after the event of this id, or this long ago. [default: now; with --no-follow: the first event]",
)  # fmt: skip
@click.option("--follow/--no-follow", default=True, help="Wait for further events, or end after the existing ones.")
@click.option("--duration", type=Seconds(), help="End after this time.")
@click.option(
    "--format", "fmt", type=click.Choice(["human", "json", "compact"]), default="human", show_default=True,
    help="json: one event a line, with its id.",
)  # fmt: skip
@click.option(
    "--event-socket-path", envvar="STATEMACHINE_EVENT_SOCKET", metavar="PATH", help="Socket that announces new events."
)
@click.option("--host", metavar="HOST", help="Accepted for older scripts, without effect.")
@click.option("--port", type=int, metavar="PORT", help="Accepted for older scripts, without effect.")
@db_option
@program_options("Show tracebacks.", "statemachine-events")
@click.pass_context
def events(
    ctx: click.Context, machines: tuple[str, ...], types: tuple[str, ...], since: int | float | None, follow: bool,
    duration: float | None, fmt: str, event_socket_path: str | None, debug: bool, host: str | None, port: int | None,
) -> None:  # fmt: skip
    """Print what the machines do, as it happens.

    Events are read from the database, each once and in order. While the database is not available, the command waits.

    \b
    Example:
      statemachine-events --machine simple_worker
      statemachine-events --format json --since 10m --no-follow > events.log
      statemachine-events --format json --since 4711 --duration 60

    Exit codes: 0 ended, also by --duration, Ctrl-C or a closed pipe; 1 no database to read; 2 usage.
    """
    from ..actors.audit.event_socket import EventSocket
    from ..actors.audit.tail import AuditTail
    from ..actors.sockets import unix_socket

    after = since if isinstance(since, int) else None if since is not None or follow else 0
    tail = AuditTail(
        db_given(), after=after, last_s=since if isinstance(since, float) else 0.0,
        machines=machines or None, types=types or None,
    )  # fmt: skip
    watch = _Watch(tail, fmt)
    watch.greet(machines, types, follow)
    if follow:
        watch.follow(EventSocket(unix_socket.event_socket(event_socket_path)), duration)
    else:
        watch.show(tail.rest())
    ctx.exit(watch.finish())


main = console_script(events, "statemachine-events")


def human(event: Event) -> str:
    """Return `[05:37:04.123] 🔄 worker: waiting --new_job--> working`, in local time."""
    millis = round(event.timestamp * 1000)
    clock = time.strftime("%H:%M:%S", time.localtime(millis // 1000))
    said = text(_summary(event))
    return f"[{clock}.{millis % 1000:03d}] {SIGNS.get(event.type, '📡')} {text(event.machine)}: {said}"


def compact(event: Event) -> str:
    """Return `worker → working`."""
    machine, payload = text(event.machine), _payload(event)
    if event.type == "state_change":
        return f"{machine} → {text(payload.get('to_state'))}"
    if event.type in COMPACT_SIGNS:
        return f"{machine} {COMPACT_SIGNS[event.type]} {text(payload.get('job_id'))}"
    return f"{machine} • {text(event.type)}"


def as_json(event: Event) -> str:
    """Return the event on one line of JSON, as the event socket sends it."""
    return json_text(event.envelope())


# Helpers

FORMATS: dict[str, Callable[[Event], str]] = {"human": human, "json": as_json, "compact": compact}


def _summary(event: Event) -> str:
    payload = _payload(event)
    blanks = defaultdict(lambda: "?", payload)
    if event.type == "state_change":
        return "{from_state} --{event_trigger}--> {to_state}".format_map(blanks)
    if event.type == "job_failed":
        return f"Failed job {payload.get('job_id')}: {payload.get('error_message') or 'no reason given'}"
    if event.type in ("job_started", "job_completed"):
        return f"{'Started' if event.type == 'job_started' else 'Completed'} job {payload.get('job_id')}"
    if event.type == "action_retry":
        return "{action}: try {attempt} of {attempts} in {delay_s} s: {error_message}".format_map(blanks)
    if event.type in ("stuck", "unstuck"):
        so_far = "has been going on for" if event.type == "stuck" else "is over after"
        return f"{payload.get('what')} {so_far} {payload.get('seconds')} s"
    said = payload.get("message") if event.type == "activity_log" else payload.get("error_message")
    return event.type if said is None else text(said)


def _payload(event: Event) -> dict[str, Any]:
    return event.payload if isinstance(event.payload, dict) else {}


class _Watch:
    """One run of the command: prints and counts events, and prints notes for people on stderr."""

    def __init__(self, tail: AuditTail, fmt: str) -> None:
        self._tail = tail
        self._line_of = FORMATS[fmt]
        self._quiet = fmt == "json"
        self._count = 0
        self._began_s = time.monotonic()
        self._problem: str | None = None
        self._read = False

    def greet(self, machines: Iterable[str], types: Iterable[str], follow: bool) -> None:
        what = ", ".join((*machines, *types)) or "all machines"
        self._say(f"📡 Watching {what}; Ctrl-C ends it" if follow else f"📡 Events of {what}")

    def follow(self, socket: EventSocket, duration_s: float | None) -> None:
        """Print events until the time is over or a signal comes; a second signal does not wait for the database."""

        def stop(number: int) -> None:
            if socket.stopped:
                os._exit(128 + number)
            socket.stop()

        until_s = math.inf if duration_s is None else time.monotonic() + duration_s
        try:
            with ending_signals(stop):
                batches = self._tail.follow(socket, until_s=until_s, on_outage=self._report)
                self.show(chain.from_iterable(batches), lambda: socket.stopped)
        finally:
            socket.close()

    def show(self, events: Iterable[Event], stopped: Callable[[], bool] = lambda: False) -> None:
        """Print each event whole; stop when the reader of stdout is gone."""
        try:
            for event in events:
                sys.stdout.write(self._line_of(event) + "\n")
                sys.stdout.flush()
                self._count += 1
                if stopped():
                    return
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends

    def finish(self) -> int:
        self._tail.close()
        took_s = time.monotonic() - self._began_s
        self._say(f"📊 {counted(self._count, 'event')} in {took_s:.1f} s; the last id was {self._tail.after or 0}")
        return FAILED if self._problem is not None and not self._read else DONE

    def _report(self, problem: str | None) -> None:
        """Print once that the database is not available, and once that it is back."""
        self._read = self._read or problem is None
        if problem != self._problem:
            click.echo(f"waiting: {problem}" if problem else "reading again", err=True)
        self._problem = problem

    def _say(self, line: str) -> None:
        if not self._quiet:
            click.echo(line, err=True)


if __name__ == "__main__":
    main()
