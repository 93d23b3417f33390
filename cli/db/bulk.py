"""`statemachine-db add-jobs` and `export`: jobs from and to a file."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from ..options import Name, Seconds, database, db_option, output_options
from ..output import counted, show_json, whole_file
from ..program import FAILED, Failure
from .job_lines import Line, Reader
from .jobs import job_filter_options, job_row

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.jobs.job import NewJob

#: most bad lines that are printed
MOST_SHOWN = 20

#: most bad lines in the output of --format json
MOST_LISTED = 1000

EXPORTED = (
    "job_id", "job_type", "machine_type", "status", "priority", "data", "result", "error_message", "attempts",
    "max_attempts", "due_at", "created_at", "started_at", "completed_at", "source_job_id", "unique_key", "metadata",
    "time_limit_s", "backoff_s",
)  # fmt: skip

kind_option = click.option(
    "--as",
    "kind",
    type=click.Choice(["jsonl", "csv"]),
    help="Format of the file. [default: by its suffix, else jsonl]",
)


@click.command("add-jobs")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@kind_option
@click.option("--type", "job_type", type=Name(), help="Type of jobs without one.")
@click.option("--machine-type", type=Name(), help="Machine type of jobs without one.")
@click.option("--priority", type=int, default=5, show_default=True, help="Priority of jobs without one.")
@click.option("--max-attempts", type=click.IntRange(min=1), help="Attempts of jobs without a number. [default: 3]")
@click.option(
    "--backoff", "backoff_s", type=Seconds(),
    help="First wait between attempts of jobs without one. [default: the worker's, else 10s]",
)  # fmt: skip
@click.option("--batch", type=click.IntRange(min=1), default=1000, show_default=True, help="Jobs in one transaction.")
@click.option("--atomic", is_flag=True, help="Add no job if one line is bad.")
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.option("--quiet", is_flag=True, help="Print only bad lines and errors.")
@output_options
@click.pass_context
def add_jobs(
    ctx: click.Context, /, file: Path, kind: str | None, batch: int, atomic: bool, dry_run: bool, quiet: bool, fmt: str,
    **defaults: Any,
) -> None:  # fmt: skip
    """Add the jobs of a file, one on each line.

    - is standard input. JSON lines have job_id, type, data …; so has a CSV file, whose other columns become keys of the
    data. A job whose id exists is counted and not changed, so an interrupted run can be repeated. A bad line is shown
    with its number, the others are added, and the exit code is 1.

    \b
    Example:
      statemachine-db add-jobs jobs.jsonl
      statemachine-db add-jobs photos.csv --type image_processing --dry-run
      zcat jobs.jsonl.gz | statemachine-db add-jobs - --atomic
    """
    reader = Reader(kind or _kind_of(file), defaults, _id_prefix(file))
    with (
        _opened(file, again=atomic) as source,
        database(create=True, durable=True) as db,
        _progress(source, shown=not quiet) as step,
    ):
        load = _Load(db, str(file), reader, batch, dry_run, step)
        try:
            load.run(source, atomic=atomic)
        except KeyboardInterrupt:
            click.echo(f"Interrupted after {counted(load.added, 'job')}; run it again to go on", err=True)
            raise
    load.report(atomic, quiet, fmt)
    ctx.exit(FAILED if load.bad else 0)


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
@kind_option
@job_filter_options
@db_option
def export(file: Path, kind: str | None, **chosen: Any) -> None:
    """Write jobs to a file, one on each line, oldest first.

    Without a file, they go to standard output. The format is JSON lines or CSV, as add-jobs reads it.

    \b
    Example:
      statemachine-db export failed.jsonl --status failed
      statemachine-db export --as csv --type image_processing
      statemachine-db export --status pending | statemachine-db add-jobs - --db other.db
    """
    from ...storage.jobs import bulk

    with database() as db, whole_file(file) as out:
        write = _write_csv if (kind or _kind_of(file)) == "csv" else _write_jsonl
        count = write(out, map(job_row, bulk.each(db, bulk.Choice(**chosen))))
    if str(file) != "-":
        click.echo(f"✅ {counted(count, 'job')} written to {file}")


# Helpers


@dataclass(slots=True)
class _Load:
    """One run of add-jobs: adds the lines of a file batch by batch, and counts them."""

    db: Database
    name: str
    reader: Reader
    batch: int
    dry_run: bool
    step: Callable[[int], None]
    added: int = 0
    there: int = 0
    bad: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)
    seen: set[str | None] = field(default_factory=set)
    """Ids of this file; only a dry run collects them."""

    def run(self, source: IO[bytes], *, atomic: bool) -> None:
        from ...actors.sockets.notifications import notify

        if atomic:
            for line in self.reader.lines(source):
                self._has_job(line)
            source.seek(0)
            if self.bad:
                return
        with self.db.write() if atomic and not self.dry_run else nullcontext():
            for lines in _batches(self.reader.lines(source), self.batch):
                first = not self.added
                self._take([line for line in lines if self._has_job(line)])
                self.step(self.added + self.there)
                if first and self.added and not atomic and not self.dry_run:
                    notify(self.db, "jobs", count=self.added)
        if self.added and not self.dry_run:
            notify(self.db, "jobs", count=self.added)

    def report(self, atomic: bool, quiet: bool, fmt: str) -> None:
        if self.bad > MOST_SHOWN:
            click.echo(f"{self.name}: and {counted(self.bad - MOST_SHOWN, 'more bad line')}", err=True)
        if fmt == "json":
            counts = {"added": self.added, "already_there": self.there, "bad": self.bad, "dry_run": self.dry_run}
            show_json({**counts, "problems": self.problems})
        elif not quiet:
            click.echo(self._summary(atomic))

    def _summary(self, atomic: bool) -> str:
        if atomic and self.bad:
            return f"❌ Nothing added: {counted(self.bad, 'bad line')}"
        sign = "✅" if not self.bad else "⚠️ "
        verb = "would be added" if self.dry_run else "added"
        there = f", {self.there} there already" if self.there else ""
        bad = f", {counted(self.bad, 'bad line')}" if self.bad else ""
        return f"{sign} {counted(self.added, 'job')} {verb}{there}{bad}"

    def _has_job(self, line: Line) -> bool:
        """Return True if the line holds a job; otherwise report what is wrong with it."""
        if line.job is not None:
            return True
        self.bad += 1
        if self.bad <= MOST_SHOWN:
            click.echo(f"{self.name}:{line.number}: {line.problem}", err=True)
        if self.bad <= MOST_LISTED:
            self.problems.append({"line": line.number, "problem": line.problem})
        return False

    def _take(self, lines: Sequence[Line]) -> None:
        from ...storage.errors import ValueRefused
        from ...storage.jobs import bulk

        rows = [line.job for line in lines if line.job is not None]
        if self.dry_run:
            self._count(rows)
            return
        try:
            added = bulk.add(self.db, rows)
        except ValueRefused as error:
            if len(lines) > 1:  # find the refused one
                for line in lines:
                    self._take([line])
            else:
                self._has_job(Line(lines[0].number, None, str(error)))
            return
        self.added += added
        self.there += len(rows) - added

    def _count(self, rows: Sequence[NewJob]) -> None:
        from ...storage import jobs

        ids = [row.job_id for row in rows if row.job_id]
        known = jobs.statuses(self.db, ids)
        for job_id in ids:
            if job_id in known or job_id in self.seen:
                self.there += 1
            else:
                self.added += 1
                self.seen.add(job_id)


def _kind_of(file: Path) -> str:
    return "csv" if file.suffix.lower() == ".csv" else "jsonl"


def _id_prefix(file: Path) -> str | None:
    """Return the prefix of ids for rows without one: stable while the file is unchanged; None for a pipe."""
    if not file.is_file():
        return None
    about = file.stat()
    return sha256(f"{file.absolute()}:{about.st_size}:{about.st_mtime_ns}".encode()).hexdigest()[:8]


@contextmanager
def _opened(file: Path, *, again: bool) -> Iterator[IO[bytes]]:
    """Open the file or standard input; with `again` it can be read twice."""
    if str(file) != "-":
        try:
            source = file.open("rb")
        except OSError as error:
            raise Failure(f"{file}: {error.strerror}") from error
        with source:
            yield source
        return
    if not again:
        yield sys.stdin.buffer
        return
    from shutil import copyfileobj
    from tempfile import TemporaryFile

    with TemporaryFile() as copy:
        copyfileobj(sys.stdin.buffer, copy)
        copy.seek(0)
        yield copy


def _batches(lines: Iterable[Line], size: int) -> Iterator[list[Line]]:
    lines = iter(lines)
    while batch := list(islice(lines, size)):
        yield batch


@contextmanager
def _progress(source: IO[bytes], *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal; yield a function that takes the number of jobs so far."""
    if not shown or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        size = os.fstat(source.fileno()).st_size or None  # None for a pipe
        task = bar.add_task("0 jobs", total=size)

        def step(count: int) -> None:
            bar.update(task, completed=source.tell() if size else 0, description=f"{count:,} jobs")

        yield step


def _write_jsonl(out: IO[str], rows: Iterable[dict[str, Any]]) -> int:
    """Write rows as JSON lines; return their number."""
    count = 0
    for row in rows:
        kept = {key: row[key] for key in EXPORTED if row[key] is not None}
        out.write(json.dumps(kept, ensure_ascii=False, separators=(",", ":")) + "\n")
        count += 1
    return count


def _write_csv(out: IO[str], rows: Iterable[dict[str, Any]]) -> int:
    """Write rows as CSV; return their number."""
    count = 0
    writer = csv.DictWriter(out, EXPORTED, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        objects = {key: row[key] for key in ("data", "result", "metadata") if row[key] is not None}
        writer.writerow({**row, **{key: json.dumps(value, ensure_ascii=False) for key, value in objects.items()}})
        count += 1
    return count
