"""`statemachine-system` commands that show, and change nothing."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import db_given, db_option, output_options, socket_options
from ..output import Column, counted, moment, show, show_json
from ..program import FAILED, NOT_RUNNING, Failure, Program
from .options import address, ask_status, manifest, manifest_option

if TYPE_CHECKING:
    from ...actors.errors import Problem
    from ...actors.system.manifest import Manifest

COLUMNS: list[Column] = [
    ("Machine", "machine_name"),
    ("Status", "status"),
    ("State", "current_state"),
    ("Process", "process"),
    ("PID", "pid"),
    ("Restarts", "restarts"),
    ("Last Activity", lambda row: moment(row["last_activity"])),
    ("Error", "error"),
]


@click.command("status", cls=Program)
@manifest_option
@socket_options
@output_options
@click.pass_context
def status(ctx: click.Context, fmt: str, event_socket_path: str | None, control_socket_prefix: str | None) -> None:
    """Show the system's machines and how they fare.

    \b
    Example:
      statemachine-system status
      statemachine-system status --format json

    Exit codes: 0 up and well, 1 a machine failed, 3 not up.
    """
    wanted = manifest()
    report = _report(wanted, ask_status(address(control_socket_prefix)))
    if fmt == "json":
        show_json(report)
    else:
        how = f"{report['phase']} (pid {report['pid']})" if report["running"] else "down"
        click.echo(f"System {report['project']}: {how}")
        show(report["machines"], COLUMNS, fmt=fmt, empty="No machines")
    if any(row["status"] == "failed" for row in report["machines"]):
        ctx.exit(FAILED)
    ctx.exit(0 if report["running"] else NOT_RUNNING)


@click.command("logs", cls=Program)
@click.argument("name", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on as lines come, until Ctrl-C.")
@click.option("--lines", "-n", type=click.IntRange(min=0), default=50, show_default=True, help="So many lines of each.")
@manifest_option
@db_option
def logs(name: str | None, follow: bool, lines: int) -> None:
    """Show the log files, all of them or a machine's.

    A machine's log is that of the process in which it runs. NAME may also be `system`, `page`, or a process such as
    `process-1`.

    \b
    Example:
      statemachine-system logs
      statemachine-system logs -f worker
    """
    from .tailed_file import TailedFile, follow_all

    files = [TailedFile(path) for path in _log_files(manifest(), name)]
    if not files and not follow:
        click.echo("No logs yet", err=True)
    mark = len(files) > 1 or (name is None and follow)
    for file in files:
        _print(file, file.last(lines), mark)
    for file, line in follow_all(files) if follow else ():
        _print(file, [line], mark)


@click.command("validate", cls=Program)
@manifest_option
@output_options
@click.pass_context
def validate(ctx: click.Context, fmt: str) -> None:
    """Check the manifest and the files of all its machines.

    \b
    Example:
      statemachine-system validate
      statemachine-system validate --format json

    Exit codes: 0 no errors, 1 errors.
    """
    from ...actors.errors import ConfigError, written
    from ...actors.system.manifest import check_configs

    wanted, problems = None, []
    try:
        wanted = manifest()
        problems = [*wanted.warnings, *check_configs(wanted)]
    except ConfigError as error:
        problems = [*(wanted.warnings if wanted else ()), *error.warnings, *error.problems]
    failed = any(problem.severity == "error" for problem in problems)
    if fmt == "json":
        show_json([_as_dict(problem) for problem in problems])
    else:
        for line in written(problems):
            click.echo(line, err=True)
        if wanted is not None and not failed:
            click.echo(f"✅ {wanted.project}: {counted(len(wanted.members), 'machine')}")
    ctx.exit(FAILED if failed else 0)


@click.command("configs", cls=Program)
@manifest_option
@output_options
def configs(fmt: str) -> None:
    """List the files of all machines, each once: for scripts.

    \b
    Example:
      statemachine-system configs | xargs statemachine-validate
    """
    files = list(dict.fromkeys(str(member.config) for member in manifest().members))
    if fmt == "json":
        show_json(files)
    else:
        click.echo("\n".join(files))


@click.command("systemd", cls=Program)
@click.option("--user", "for_user", is_flag=True, help="A unit of your own, not of the host.")
@click.option("--ui", is_flag=True, help="Serve the page as well.")
@manifest_option
@db_option
def systemd(for_user: bool, ui: bool) -> None:
    """Print a systemd unit that keeps the system up.

    \b
    Example:
      statemachine-system systemd | sudo tee /etc/systemd/system/my-project.service
      statemachine-system systemd --user > ~/.config/systemd/user/my-project.service
    """
    click.echo(_unit(manifest(), for_user=for_user, ui=ui))


# Helpers


def _report(wanted: Manifest, running: dict[str, Any] | None) -> dict[str, Any]:
    """What the system says, with what the registry knows; the registry alone where it is not up."""
    rows = _registry(wanted)
    known = {row["machine_name"]: row for row in running["machines"]} if running else {}
    machines = []
    for member in wanted.members:
        row = rows.get(member.name, {})
        own = known.get(member.name) or {
            "machine_name": member.name, "status": row.get("status", "off"), "process": None, "pid": row.get("pid"),
            "restarts": 0, "error": None,
        }  # fmt: skip
        own = {**own, "config": str(member.config)}
        machines.append({**own, "current_state": row.get("state"), "last_activity": row.get("last_activity")})
    head = running or {"project": wanted.project, "manifest": str(wanted.source), "pid": None, "since": None}
    return {**head, "running": running is not None, "phase": head.get("phase", "down"), "machines": machines}


def _registry(wanted: Manifest) -> dict[str, dict[str, Any]]:
    """Machine -> its row; a machine whose process is gone without a word does not run."""
    from ...actors.processes.liveness import is_running
    from ...storage import machines
    from ...storage.engine.database import Database
    from ...storage.errors import StoreUnavailable

    try:
        db = Database.open(wanted.db_url(db_given(), os.environ), create=False)
    except StoreUnavailable:
        return {}
    with db:
        rows = machines.list_(db)
        return {
            row.machine_name: {
                "state": row.current_state,
                "last_activity": row.last_activity,
                "status": row.status if is_running(row, db.now()) or row.status == "failed" else "off",
                "pid": row.pid if is_running(row, db.now()) else None,
            }
            for row in rows
        }


def _log_files(wanted: Manifest, name: str | None) -> list[Path]:
    folder = wanted.logs_dir
    if name is None:
        stems = ["system", *(f"process-{number}" for number in sorted(set(wanted.placement.values()))), "page"]
        return [path for stem in stems if (path := folder / f"{stem}.log").exists()]
    members = wanted.named(name)
    stems = sorted({f"process-{wanted.placement[member.name]}" for member in members}) or [name]
    paths = [folder / f"{stem}.log" for stem in stems]
    if not members and not paths[0].exists():
        names = ", ".join(member.name for member in wanted.members)
        raise Failure(f"there is no machine and no log {name!r}; machines: {names}")
    return paths


def _print(file: Any, lines: Iterable[str], mark: bool) -> None:
    for line in lines:
        click.echo(f"{file.path.stem} | {line}" if mark else line)


def _as_dict(problem: Problem) -> dict[str, Any]:
    return {key: getattr(problem, key) for key in ("code", "severity", "message", "file", "line", "column", "hint")}


def _unit(wanted: Manifest, *, for_user: bool, ui: bool) -> str:
    script = shutil.which("statemachine-system", path=os.path.dirname(sys.executable))
    start = [script] if script else [sys.executable, "-P", "-m", "statemachine_engine.cli.system.main"]
    start += ["up", "--manifest", str(wanted.source), *(["--ui"] if ui else [])]
    lines = [
        "[Unit]",
        f"Description={_escaped(f'State machines of {wanted.project}')}",
        "Wants=network-online.target",
        "After=network-online.target",
        "",
        "[Service]",
        "# ready when all machines are",
        "Type=notify",
        "NotifyAccess=main",
        "# a parent that hangs is started again",
        "WatchdogSec=60",
        f"WorkingDirectory={_escaped(str(wanted.folder))}",
        *(f"Environment={_quoted(line)}" for line in _environment(wanted)),
        f"ExecStart={' '.join(map(_quoted, start))}",
        "# the first signal goes to the parent alone, which stops the machines in order",
        "KillMode=mixed",
        "TimeoutStartSec=300",
        f"TimeoutStopSec={wanted.grace_s + 60:.0f}",
        "Restart=on-failure",
        "RestartSec=5",
        "# the configuration has to be mended first",
        "RestartPreventExitStatus=2",
        *([] if for_user else [f"User={_user()}"]),
        "# commands outside reach the machines by sockets in /tmp",
        "PrivateTmp=no",
        "",
        "[Install]",
        f"WantedBy={'default' if for_user else 'multi-user'}.target",
    ]
    if any("\n" in line for line in lines):
        raise Failure("a path or a setting of the system has a line break, and no unit can hold that")
    return "\n".join(lines)


def _environment(wanted: Manifest) -> Iterator[str]:
    """The installation's commands for bash actions, and what this shell says about database and sockets."""
    yield f"PATH={os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin"
    yield f"STATEMACHINE_DB={wanted.db_url(db_given(), os.environ)}"
    for variable in ("STATEMACHINE_CONTROL_PREFIX", "STATEMACHINE_EVENT_SOCKET"):
        if variable in os.environ:
            yield f"{variable}={os.environ[variable]}"


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """A word of a unit's command line."""
    return json.dumps(_escaped(text).replace("$", "$$"), ensure_ascii=False)
