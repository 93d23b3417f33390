"""`statemachine-system` commands that start and stop."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from ...storage import private
from ..program import DONE, FAILED, INTERRUPTED, TAKEN, Failure, debug_option
from ..run import logging_to_stderr
from ..signals import ending_signals
from .options import address, ask_status, environment, read_given_manifest, running_options

if TYPE_CHECKING:
    from ...actors.processes.systemd import Systemd
    from ...actors.system.control_server import Address
    from ...actors.system.manifest import Manifest

_log = logging.getLogger(__name__)

READY = "ready"


@click.command("up")
@click.option("--detach", "-d", is_flag=True, help="Return when all machines are ready; they run in the background.")
@click.option("--ui", is_flag=True, help="Serve the page as well, where statemachine-ui is installed.")
@click.option("--ready-fd", type=int, hidden=True)
@running_options
@debug_option("Log more, and show tracebacks.")
@click.pass_context
def up(
    ctx: click.Context, detach: bool, ui: bool, ready_fd: int | None, debug: bool,
    event_socket_path: str | None, control_socket_prefix: str | None,
) -> None:  # fmt: skip
    """Start all machines, in the order of their dependencies.

    \b
    Example:
      statemachine-system up
      statemachine-system up --detach

    Without --detach, the command runs until all machines have ended, or until Ctrl-C, SIGTERM or `down`.
    """
    place = address(control_socket_prefix)
    running = ask_status(place)
    if running is not None:
        click.echo(f"System {running['project']} is up already (pid {running['pid']})", err=not detach)
        ctx.exit(DONE if detach else TAKEN)
    manifest = read_given_manifest()
    _check(manifest)
    private.make_folder(manifest.logs_dir)
    env = environment(manifest, control_socket_prefix=control_socket_prefix, event_socket_path=event_socket_path)
    if detach:
        ctx.exit(_detach(manifest, env, ui=ui, debug=debug))
    with logging_to_stderr(debug):
        code = _run(manifest, place, env, page=_page(manifest) if ui else None, ready_fd=ready_fd, debug=debug)
    ctx.exit(code)


@click.command("down")
@running_options
def down(event_socket_path: str | None, control_socket_prefix: str | None) -> None:
    """Stop all machines in order.

    Machines that depend on others stop first. Running actions get the manifest's grace; unfinished jobs go back to the
    queue. No process, no socket and no lock is left.

    \b
    Example:
      statemachine-system down
    """
    from ...actors.system.control_server import ControlServer, NotUp, ask

    place = address(control_socket_prefix)
    try:
        ask(place, "down")
    except NotUp:
        left_over = ControlServer(place)
        if not left_over.take():
            raise Failure("the system is just starting or ending: try again") from None
        left_over.release()
        click.echo("The system is not up")
        return
    click.echo("✅ The system is down")


@click.command("restart")
@click.argument("name")
@running_options
def restart(name: str, event_socket_path: str | None, control_socket_prefix: str | None) -> None:
    """Restart a machine, or start one that does not run.

    NAME may stand for all instances. A running machine stops after its current job; others in its process go on.
    Machines with `start: manual`, ended ones, and ones that were given up are started.

    \b
    Example:
      statemachine-system restart worker
    """
    from ...actors.system.control_server import NotUp, ask

    try:
        answer = ask(address(control_socket_prefix), "restart", name)
    except NotUp:
        raise Failure("the system is not up: start it with 'statemachine-system up'", 3) from None
    error = answer.get("error", "the system has ended meanwhile")
    if error is not None:
        raise Failure(str(error))
    click.echo(f"✅ {name} is running")


# Helpers


def _check(manifest: Manifest) -> None:
    """Print the warnings. Raises ConfigError with every problem that can be found before the start."""
    from ...actors.system.manifest import check_configs

    for warning in (*manifest.warnings, *check_configs(manifest)):
        click.echo(str(warning), err=True)


def _run(
    manifest: Manifest, place: Address, env: dict[str, str], *, page: list[str] | None, ready_fd: int | None,
    debug: bool,
) -> int:  # fmt: skip
    """Run the system in this process until it ends; return the exit code."""
    from ...actors.processes.systemd import Systemd
    from ...actors.system.control_server import ControlServer
    from ...actors.system.system import System
    from ...storage.engine.database import Database

    server = ControlServer(place)
    if not server.take():
        raise Failure("the system is up already, or just starting or ending", TAKEN)
    problems: list[str] = []
    systemd = Systemd(env)

    def ready(problem: str | None) -> None:
        _announce(manifest, problem, ready_fd, systemd)
        problems.extend([problem] if problem else [])

    try:
        Database.open(env["STATEMACHINE_DB"]).close()  # create and migrate it before several processes open it
        system = System(manifest, env, ready=ready, page=page, debug=debug, systemd=systemd)
        server.serve(system.ask)
        with ending_signals(system.signalled, system.report):
            ended_by = system.run()
    finally:
        server.release()
    if ended_by == signal.SIGINT:
        return INTERRUPTED
    if problems:
        return TAKEN if system.taken else FAILED
    return FAILED if system.failed or system.supervision.given_up else DONE


def _announce(manifest: Manifest, problem: str | None, ready_fd: int | None, systemd: Systemd) -> None:
    """Report the start, or why it failed, to the waiting parent, to systemd and to the log."""
    from ...actors.processes.systemd import in_short

    if problem is None:
        _log.info("system %s is up; logs in %s", manifest.project, manifest.logs_dir)
        systemd.ready(in_short(len(manifest.members), failed=0))
    else:
        _log.error("system %s cannot come up: %s", manifest.project, problem)
    if ready_fd is not None:
        with suppress(BrokenPipeError):  # the terminal was closed; the system in the background goes on
            os.write(ready_fd, (problem or READY).encode()[:4096])
        os.close(ready_fd)


def _page(manifest: Manifest) -> list[str] | None:
    """Return the command that serves the page; None if it is not installed."""
    command = shutil.which("statemachine-ui", path=f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}")
    if command is None:
        click.echo("statemachine-ui is not installed: no page", err=True)
        return None
    ports = [("--port", manifest.ports.get("ui")), ("--websocket-port", manifest.ports.get("websocket"))]
    options = [text for flag, port in ports if port is not None for text in (flag, str(port))]
    return [command, "--project-root", str(manifest.folder), *options]


def _detach(manifest: Manifest, env: dict[str, str], *, ui: bool, debug: bool) -> int:
    """Start the system in a process of its own, and wait until it reports that it is ready or has failed."""
    ours, theirs = os.pipe()
    flags = [flag for flag, on in (("--ui", ui), ("--debug", debug)) if on]
    command = [
        sys.executable, "-P", "-m", "statemachine_engine.cli.system.main", "up", "--manifest", str(manifest.source),
        "--db", env["STATEMACHINE_DB"], "--ready-fd", str(theirs), *flags,
    ]  # fmt: skip
    log = manifest.logs_dir / "system.log"
    with private.open_log(log) as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=manifest.folder,
            pass_fds=(theirs,), start_new_session=True,
        )  # fmt: skip
    os.close(theirs)
    try:
        with os.fdopen(ours, "rb") as said:
            answer = said.read().decode(errors="replace")
        if answer == READY:
            click.echo(f"✅ System {manifest.project} is up (pid {process.pid}); logs in {manifest.logs_dir}")
            return DONE
        code = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        return INTERRUPTED
    if code == TAKEN and not answer:
        raise Failure(f"system {manifest.project} is up already, or just starting or ending; see {log}", TAKEN)
    raise Failure(f"system {manifest.project} did not come up: {answer or f'see {log}'}", code or FAILED)
