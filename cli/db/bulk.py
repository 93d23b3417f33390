"""`statemachine-db add-jobs` and `export`: jobs by the file."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from ..options import Name, Seconds, database, db_option, format_option
from ..output import counted, show_json
from ..program import FAILED, Failure
from .job_lines import Defaults, Line, Reader
from .jobs import STATUSES, job_row

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.jobs.job import NewJob

#: bad lines that are printed one by one
MOST_SHOWN = 20

#: bad lines that --format json lists
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
    help="What the file is. [default: as its name ends, else jsonl]",
)


@click.command("add-jobs")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@kind_option
@click.option("--type", "job_type", type=Name(), help="Type of the jobs that name none.")
@click.option("--machine-type", type=Name(), help="Machine type of the jobs that name none.")
@click.option("--priority", type=int, default=5, show_default=True, help="Priority of the jobs that name none.")
@click.option("--max-attempts", type=click.IntRange(min=1), help="Attempts of the jobs that name none. [default: 3]")
@click.option(
    "--backoff", "backoff_s", type=Seconds(),
    help="First wait between attempts of the jobs that name none. [default: the worker's, else 10s]",
)  # fmt: skip
@click.option("--batch", type=click.IntRange(min=1), default=1000, show_default=True, help="Jobs in one transaction.")
@click.option("--atomic", is_flag=True, help="All jobs or, if one line is bad, none.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--quiet", is_flag=True, help="Print bad lines and errors alone.")
@db_option
@format_option
@click.pass_context
def add_jobs(
    ctx: click.Context, /, file: Path, kind: str | None, batch: int, atomic: bool, dry_run: bool, quiet: bool, fmt: str,
    **defaults: Any,
) -> None:  # fmt: skip
    """Add the jobs of a file, one a line.

    - is standard input. JSON lines have job_id, type, data …; so has a CSV file, whose other columns become keys of the
    data. Jobs whose id is there already are counted and left alone: a run that was cut off is simply repeated. A bad
    line is reported with its number, the others go in; the exit code is 1 then.

    \b
    Example:
      statemachine-db add-jobs jobs.jsonl
      statemachine-db add-jobs photos.csv --type image_processing --dry-run
      zcat jobs.jsonl.gz | statemachine-db add-jobs - --atomic
    """
    reader = Reader(kind or _kind_of(file), Defaults(**defaults), _id_prefix(file))
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
@click.option("--status", type=click.Choice(STATUSES), help="Only jobs in this status.")
@click.option("--type", "job_type", metavar="TYPE", help="Only jobs of this type.")
@click.option("--machine-type", metavar="TYPE", help="Only jobs for this machine type.")
@db_option
def export(file: Path, kind: str | None, **chosen: Any) -> None:
    """Write jobs into a file, one a line, oldest first.

    Without a file, on standard output. JSON lines or CSV, as add-jobs reads them.

    \b
    Example:
      statemachine-db export failed.jsonl --status failed
      statemachine-db export --as csv --type image_processing
      statemachine-db export --status pending | statemachine-db add-jobs - --db other.db
    """
    from ...storage.jobs import bulk

    with database() as db, _opened_for_writing(file) as out:
        write = _csv_writer(out) if (kind or _kind_of(file)) == "csv" else _jsonl_writer(out)
        count = 0
        for count, job in enumerate(bulk.each(db, bulk.Choice(**chosen)), 1):  # noqa: B007 - the last one is the sum
            row = job_row(job)
            write({key: row[key] for key in EXPORTED})
    if str(file) != "-":
        click.echo(f"✅ {counted(count, 'job')} written to {file}")


# Helpers


@dataclass(slots=True)
class _Load:
    """Takes the lines of one file, batch by batch, and keeps count."""

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
    """Ids of this file, for a dry run alone."""

    def run(self, source: IO[bytes], *, atomic: bool) -> None:
        from ...actors.sockets.notifications import bell

        if atomic:
            for line in self.reader.lines(source):
                self._sound(line)
            source.seek(0)
            if self.bad:
                return
        with self.db.write() if atomic and not self.dry_run else nullcontext():
            for lines in _batches(self.reader.lines(source), self.batch):
                first = not self.added
                self._take([line for line in lines if self._sound(line)])
                self.step(self.added + self.there)
                if first and self.added and not atomic and not self.dry_run:
                    bell(self.db, "jobs", count=self.added)
        if self.added and not self.dry_run:
            bell(self.db, "jobs", count=self.added)

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

    def _sound(self, line: Line) -> bool:
        """Whether there is a job in the line; if not, that is said."""
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
            if len(lines) > 1:  # which of them is it?
                for line in lines:
                    self._take([line])
            else:
                self._sound(Line(lines[0].number, None, str(error)))
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
    """Of ids for rows without one: the same for the same file as long as nobody changes it; none for a pipe."""
    try:
        about = file.stat()
    except OSError:
        return None
    if not file.is_file():
        return None
    return sha256(f"{file.absolute()}:{about.st_size}:{about.st_mtime_ns}".encode()).hexdigest()[:8]


def _opened_for_writing(file: Path) -> AbstractContextManager[IO[str]]:
    """The file, which is there once all is in it, or standard output."""
    try:
        return click.open_file(str(file), "w", encoding="utf-8", atomic=str(file) != "-")
    except OSError as error:
        raise Failure(
            f"cannot write {file}: {error.strerror}; see that its folder is there and can be written"
        ) from error


@contextmanager
def _opened(file: Path, *, again: bool) -> Iterator[IO[bytes]]:
    """The file, or standard input; `again`: it can be read twice."""
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
    """A bar on a terminal, nothing elsewhere; what is yielded takes the number of jobs so far."""
    if not shown or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        size = _size(source)
        task = bar.add_task("0 jobs", total=size)

        def step(count: int) -> None:
            bar.update(task, completed=source.tell() if size else 0, description=f"{count:,} jobs")

        yield step


def _size(source: IO[bytes]) -> int | None:
    """Bytes of a file; None for a pipe."""
    if not source.seekable():
        return None
    here = source.tell()
    size = source.seek(0, 2)
    source.seek(here)
    return size


def _jsonl_writer(out: IO[str]) -> Callable[[dict[str, Any]], None]:
    def write(row: dict[str, Any]) -> None:
        kept = {key: value for key, value in row.items() if value is not None}
        out.write(json.dumps(kept, ensure_ascii=False, separators=(",", ":")) + "\n")

    return write


def _csv_writer(out: IO[str]) -> Callable[[dict[str, Any]], None]:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(EXPORTED)

    def write(row: dict[str, Any]) -> None:
        objects = ("data", "result", "metadata")
        writer.writerow([_json(row[key]) if key in objects else row[key] for key in EXPORTED])

    return write


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)
