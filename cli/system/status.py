"""`statemachine-system` commands that only read."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import db_given, format_option
from ..output import Column, counted, moment, show, show_json
from ..program import FAILED, NOT_RUNNING, Failure
from .options import address, ask_status, read_given_manifest, running_options, system_options

if TYPE_CHECKING:
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


@click.command("status")
@running_options
@format_option
@click.pass_context
def status(ctx: click.Context, fmt: str, event_socket_path: str | None, control_socket_prefix: str | None) -> None:
    """Show the status of the system's machines.

    \b
    Example:
      statemachine-system status
      statemachine-system status --format json

    Exit codes: 0 up and no machine failed, 1 a machine failed, 3 not up.
    """
    manifest = read_given_manifest()
    report = _report(manifest, ask_status(address(control_socket_prefix)))
    if fmt == "json":
        show_json(report)
    else:
        how = f"{report['phase']} (pid {report['pid']})" if report["running"] else "down"
        click.echo(f"System {report['project']}: {how}")
        show(report["machines"], COLUMNS, fmt=fmt, empty="No machines")
    if any(row["status"] == "failed" for row in report["machines"]):
        ctx.exit(FAILED)
    ctx.exit(0 if report["running"] else NOT_RUNNING)


@click.command("logs")
@click.argument("name", required=False)
@click.option("--follow", "-f", is_flag=True, help="Print further lines as they come, until Ctrl-C.")
@click.option("--lines", "-n", type=click.IntRange(min=0), default=50, show_default=True, help="Lines of each file.")
@system_options
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

    files = [TailedFile(path) for path in _log_files(read_given_manifest(), name)]
    if not files and not follow:
        click.echo("No logs yet", err=True)
    mark = len(files) > 1 or (name is None and follow)
    for file in files:
        _print(file, file.last(lines), mark)
    for file, line in follow_all(files) if follow else ():
        _print(file, [line], mark)


@click.command("validate")
@system_options
@format_option
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
    from ...storage.payload import attributes

    manifest, problems = None, []
    try:
        manifest = read_given_manifest()
        problems = [*manifest.warnings, *check_configs(manifest)]
    except ConfigError as error:
        problems = [*(manifest.warnings if manifest else ()), *error.warnings, *error.problems]
    failed = any(problem.severity == "error" for problem in problems)
    if fmt == "json":
        names = ("code", "severity", "message", "file", "line", "column", "hint")
        show_json([attributes(problem, *names) for problem in problems])
    else:
        for line in written(problems):
            click.echo(line, err=True)
        if manifest is not None and not failed:
            click.echo(f"✅ {manifest.project}: {counted(len(manifest.members), 'machine')}")
    ctx.exit(FAILED if failed else 0)


@click.command("configs")
@system_options
@format_option
def configs(fmt: str) -> None:
    """List the files of all machines, each once: for scripts.

    \b
    Example:
      statemachine-system configs | xargs statemachine-validate
    """
    files = list(dict.fromkeys(str(member.config) for member in read_given_manifest().members))
    if fmt == "json":
        show_json(files)
    else:
        click.echo("\n".join(files))


@click.command("systemd")
@click.option("--user", "for_user", is_flag=True, help="A unit for your user, not for the host.")
@click.option("--ui", is_flag=True, help="Serve the page as well.")
@system_options
def systemd(for_user: bool, ui: bool) -> None:
    """Print a systemd unit that keeps the system up.

    \b
    Example:
      statemachine-system systemd | sudo tee /etc/systemd/system/my-project.service
      statemachine-system systemd --user > ~/.config/systemd/user/my-project.service
    """
    click.echo(_unit(read_given_manifest(), for_user=for_user, ui=ui))


# Helpers


def _report(manifest: Manifest, running: dict[str, Any] | None) -> dict[str, Any]:
    """Join the answer of the running system with the registry; without a running system, use the registry alone."""
    rows = _registry(manifest)
    known = {row["machine_name"]: row for row in running["machines"]} if running else {}
    machines = []
    for member in manifest.members:
        row = rows.get(member.name, {})
        own = known.get(member.name) or {
            "machine_name": member.name, "status": row.get("status", "off"), "process": None, "pid": row.get("pid"),
            "restarts": 0, "error": None,
        }  # fmt: skip
        own = {**own, "config": str(member.config)}
        machines.append({**own, "current_state": row.get("state"), "last_activity": row.get("last_activity")})
    head = running or {"project": manifest.project, "manifest": str(manifest.source), "pid": None, "since": None}
    return {**head, "running": running is not None, "phase": head.get("phase", "down"), "machines": machines}


def _registry(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """Return each machine's row; a machine without a live process has the status off."""
    from ...actors.processes.liveness import is_running
    from ...storage import machines
    from ...storage.engine.database import Database
    from ...storage.errors import StoreUnavailable

    try:
        db = Database.open(manifest.db_url(db_given(), os.environ), create=False)
    except StoreUnavailable:
        return {}
    with db:
        return {
            row.machine_name: {
                "state": row.current_state,
                "last_activity": row.last_activity,
                "status": row.status if (running := is_running(row, db.now())) or row.status == "failed" else "off",
                "pid": row.pid if running else None,
            }
            for row in machines.list_(db)
        }


def _log_files(manifest: Manifest, name: str | None) -> list[Path]:
    folder = manifest.logs_dir
    if name is None:
        stems = ["system", *(f"process-{number}" for number in sorted(set(manifest.placement.values()))), "page"]
        return [path for stem in stems if (path := folder / f"{stem}.log").exists()]
    members = manifest.named(name)
    stems = sorted({f"process-{manifest.placement[member.name]}" for member in members}) or [name]
    paths = [folder / f"{stem}.log" for stem in stems]
    if not members and not paths[0].exists():
        names = ", ".join(member.name for member in manifest.members)
        raise Failure(f"there is no machine and no log {name!r}; machines: {names}")
    return paths


def _print(file: Any, lines: Iterable[str], mark: bool) -> None:
    for line in lines:
        click.echo(f"{file.path.stem} | {line}" if mark else line)


def _unit(manifest: Manifest, *, for_user: bool, ui: bool) -> str:
    script = shutil.which("statemachine-system", path=os.path.dirname(sys.executable))
    start = [script] if script else [sys.executable, "-P", "-m", "statemachine_engine.cli.system.main"]
    start += ["up", "--manifest", str(manifest.source), *(["--ui"] if ui else [])]
    lines = [
        "[Unit]",
        f"Description={_escaped(f'State machines of {manifest.project}')}",
        "Wants=network-online.target",
        "After=network-online.target",
        "",
        "[Service]",
        "# ready when all machines are",
        "Type=notify",
        "NotifyAccess=main",
        "# a parent that hangs is restarted",
        "WatchdogSec=60",
        f"WorkingDirectory={_escaped(str(manifest.folder))}",
        *(f"Environment={_quoted(line)}" for line in _environment(manifest)),
        f"ExecStart={' '.join(map(_quoted, start))}",
        "# the first signal goes to the parent alone, which stops the machines in order",
        "KillMode=mixed",
        "TimeoutStartSec=300",
        f"TimeoutStopSec={manifest.grace_s + 60:.0f}",
        "Restart=on-failure",
        "RestartSec=5",
        "# a wrong configuration must be repaired first",
        "RestartPreventExitStatus=2",
        *([] if for_user else [f"User={_user()}"]),
        "# commands outside reach the machines by sockets in /tmp",
        "PrivateTmp=no",
        "",
        "[Install]",
        f"WantedBy={'default' if for_user else 'multi-user'}.target",
    ]
    if any("\n" in line for line in lines):
        raise Failure("a path or a setting of the system has a line break, which a unit cannot contain")
    return "\n".join(lines)


def _environment(manifest: Manifest) -> Iterator[str]:
    """Yield PATH for bash actions, and the database and sockets of this shell."""
    yield f"PATH={os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin"
    yield f"STATEMACHINE_DB={manifest.db_url(db_given(), os.environ)}"
    for variable in ("STATEMACHINE_CONTROL_PREFIX", "STATEMACHINE_EVENT_SOCKET"):
        if variable in os.environ:
            yield f"{variable}={os.environ[variable]}"


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """Return a word for a command line in a unit."""
    return json.dumps(_escaped(text).replace("$", "$$"), ensure_ascii=False)
