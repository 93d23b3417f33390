"""`statemachine`: run the machines of one or more YAML files in this process."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import click

from .options import JsonValue, KeyValue, Seconds, db_given, db_option, existing_folder, socket_options
from .program import DONE, FAILED, INTERRUPTED, USAGE, Failure, Program, console_script, program_options
from .signals import ending_signals

if TYPE_CHECKING:
    from ..actors.definition.model import Definition
    from ..actors.processes.systemd import Systemd
    from ..actors.runtime.runtime import Runtime

_log = logging.getLogger("statemachine_engine.cli.run")  # __name__ is __main__ when run with -m

#: seconds that a thread may keep the interpreter while others wait; an event passes through several threads, and a
#: tenth of Python's default doubled the throughput
SWITCH_S = 0.0005


@click.command(cls=Program)
@click.argument("configs", metavar="CONFIG...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--machine-name", metavar="NAME", help="Name of the machine; with one CONFIG only.")
@click.option("--actions-dir", metavar="DIR", type=click.Path(path_type=Path), help="Folder of your own actions.")
@click.option(
    "--initial-context",
    type=JsonValue("initial context", only_object=True),
    help="Context to start with; @FILE reads it.",
)
@click.option("--context", "pairs", type=KeyValue(), multiple=True, help="One more context value; may be repeated.")
@click.option("--standby", is_flag=True, help="If the machine runs already, wait and take over when it is gone.")
@click.option("--from", "from_state", metavar="STATE", help="Start in this state, whatever the last run left behind.")
@click.option("--grace", type=Seconds(), default="10s", show_default=True, help="Time for running actions to end.")
@click.option(
    "--watchdog",
    type=Seconds(),
    default="60s",
    show_default=True,
    help="Report a Python action that runs for longer; 0: none.",
)
@socket_options
@db_option
@program_options("Log more, and show tracebacks.", "statemachine")
@click.pass_context
def run(ctx: click.Context, /, configs: tuple[Path, ...], **options: Any) -> None:
    """Run the state machines that the YAML files CONFIG describe, until they end or are stopped.

    \b
    Example:
      statemachine config/worker.yaml --machine-name my_worker --actions-dir ./actions
      statemachine controller.yaml worker.yaml --db sqlite:///data/pipeline.db

    Exit codes: 0 ended well or stopped by SIGTERM, 1 a machine failed, 2 usage or configuration,
    4 a machine of that name runs already, 5 the state it was in is gone from its file (--from STATE),
    130 interrupted. A second signal does not wait for running actions.
    """
    ctx.exit(_run(configs, **options))


main = console_script(run, "statemachine")


@contextmanager
def logging_to_stderr(debug: bool) -> Iterator[None]:
    """Log to stderr, one line each, within the block."""
    from ..actors.logs import log_format

    for noisy in ("peewee", "pykka"):
        logging.getLogger(noisy).setLevel(logging.INFO)
    with log_format.logging_to_stderr(logging.DEBUG if debug else logging.INFO):
        yield


def leave(runtime: Runtime, code: int) -> int:
    """Return the exit code; if an action's thread does not end, end the process at once with that code.

    Python would otherwise wait for the thread at exit.
    """
    if runtime.left_behind:
        _log.warning("leaving actions behind that do not end, of %s", ", ".join(runtime.left_behind))
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


# Helpers


def _run(
    configs: Sequence[Path], *, debug: bool, machine_name: str | None, actions_dir: Path | None,
    initial_context: dict[str, Any] | None, pairs: Sequence[tuple[str, Any]], standby: bool, from_state: str | None,
    grace: float, watchdog: float, event_socket_path: str | None, control_socket_prefix: str | None,
) -> int:  # fmt: skip
    if machine_name and len(configs) > 1:
        raise click.UsageError("--machine-name goes with one CONFIG; name several by metadata.machine_name in each")
    if from_state and len(configs) > 1:
        raise click.UsageError("--from goes with one CONFIG")
    signals: SimpleQueue[int] = SimpleQueue()
    runtimes: list[Runtime] = []

    def report() -> Iterator[str]:
        from ..actors.runtime.thread_dump import report_of

        return (line for runtime in runtimes for line in report_of(runtime))

    with ending_signals(signals.put, report), logging_to_stderr(debug):
        from ..actors.runtime.runtime import Runtime

        actions = existing_folder(actions_dir)
        definitions = _load_all(configs, machine_name, actions)
        runtime = Runtime(
            db=db_given(), control_prefix=control_socket_prefix, event_socket=event_socket_path, actions_dir=actions,
            grace_s=grace, standby=standby, watchdog_s=watchdog,
        )  # fmt: skip
        runtimes.append(runtime)
        start = {"context": {**(initial_context or {}), **dict(pairs)}, "from_state": from_state}
        return _drive(runtime, definitions, start, signals)


def _drive(
    runtime: Runtime, definitions: Sequence[Definition], start: Mapping[str, Any], signals: SimpleQueue[int]
) -> int:
    """Start the machines, wait until they end or a signal comes, and return the exit code."""
    from ..actors.processes.systemd import Systemd

    obeyed: list[int] = []
    systemd = Systemd()
    sys.setswitchinterval(SWITCH_S)
    try:
        runtime.start()
        for definition in definitions:
            machine = runtime.add(definition, **start)
            _log.info("%s: %s, from %s", machine.name, machine.status, definition.source)
        _tell_systemd(runtime, systemd)
        threading.Thread(target=_obey, args=(runtime, signals, obeyed), name="sm-obey", daemon=True).start()
        runtime.wait()
        systemd.stopping()
        for machine in runtime.machines():
            _log.info("%s: %s in state %s", machine.name, machine.outcome or machine.status, machine.state)
        failed = runtime.broken is not None or any(
            machine.status == "failed" or machine.outcome == "failure" for machine in runtime.machines()
        )
    finally:
        runtime.stop()
    if signal.SIGINT in obeyed[:1]:
        return leave(runtime, INTERRUPTED)
    return leave(runtime, FAILED if failed else DONE)


def _tell_systemd(runtime: Runtime, systemd: Systemd) -> None:
    from ..actors.processes.systemd import in_short

    def status() -> str:
        machines = runtime.machines()
        failed = sum(machine.status == "failed" for machine in machines)
        running = sum(not machine.live.ended.is_set() for machine in machines)
        return in_short(running, failed)

    systemd.ready(status())
    runtime.on_progress = lambda: systemd.alive(status())


def _obey(runtime: Runtime, signals: SimpleQueue[int], obeyed: list[int]) -> None:
    """Stop the machines after their running actions at the first signal, and at once at the second."""
    obeyed.append(signals.get())
    _log.info("%s: stopping; a second signal does not wait for running actions", signal.Signals(obeyed[0]).name)
    runtime.request_stop()
    signals.get()
    runtime.hurry()


def _load_all(configs: Sequence[Path], machine_name: str | None, actions_dir: Path | None) -> list[Definition]:
    """Return all definitions. Raises ConfigError with the problems of all files."""
    from ..actors.errors import ConfigError

    definitions, problems = [], []
    for path in configs:
        try:
            definitions.append(_load(path, machine_name, actions_dir))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    names = [definition.machine_name for definition in definitions]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Failure(f"two CONFIGs have the name {twice[0]}: give each its own metadata.machine_name", USAGE)
    return definitions


def _load(path: Path, machine_name: str | None, actions_dir: Path | None) -> Definition:
    from ..actors.actions.registry import ActionRegistry
    from ..actors.definition.loader import load
    from ..actors.errors import written

    folders = [actions_dir] if actions_dir else []
    definition = load(path, machine_name=machine_name, known_keys=ActionRegistry(*folders).keys_of)
    for warning in written(definition.warnings):
        _log.warning("%s", warning)
    return definition


if __name__ == "__main__":
    main()
