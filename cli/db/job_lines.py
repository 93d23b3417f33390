"""Reads files of jobs, JSON lines or CSV, row by row: a job, or what is wrong with the line."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from ...storage.clock import from_text
from ...storage.jobs.job import NewJob, new_id
from ...storage.strictjson import parse

#: the names of a column or key, the first of them ours
NAMES = {
    "job_id": ("job_id", "id"),
    "job_type": ("job_type", "type"),
    "machine_type": ("machine_type",),
    "source_job_id": ("source_job_id",),
    "data": ("data", "payload"),
    "priority": ("priority",),
    "max_attempts": ("max_attempts",),
    "due_at": ("due_at", "at"),
    "unique_key": ("unique_key",),
    "metadata": ("metadata",),
    "time_limit_s": ("time_limit_s",),
    "backoff_s": ("backoff_s",),
}

#: what an export has besides, and a new job has not
IGNORED = frozenset(
    {"id", "status", "created_at", "started_at", "completed_at", "error_message", "result", "attempts", "owner",
     "lease_until", "machine"}
)  # fmt: skip

KNOWN = {name for names in NAMES.values() for name in names} | IGNORED

LONGEST_FIELD = 16 * 1024 * 1024
INT_MAX = 2**31 - 1


class BadLine(Exception):
    """What is wrong with a line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the file."""

    number: int
    """Its line, counted from 1."""
    job: NewJob | None
    problem: str = ""
    """Why there is no job."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a row that does not say so itself gets."""

    job_type: str | None = None
    machine_type: str | None = None
    priority: int = 5
    max_attempts: int | None = None
    backoff_s: float | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """The rows of one kind of file."""

    kind: str
    """jsonl or csv."""
    defaults: Defaults
    id_prefix: str | None
    """Ids for rows without one are this and the line's number, so that they are the same the next time."""

    def lines(self, file: IO[bytes]) -> Iterator[Line]:
        """Every row; those that are empty are left out."""
        return self._csv(file) if self.kind == "csv" else self._jsonl(file)

    def _jsonl(self, file: IO[bytes]) -> Iterator[Line]:
        for number, raw in enumerate(file, 1):
            data = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if not data.strip():
                continue
            try:
                yield Line(number, self._job(_object(data), number))
            except BadLine as error:
                yield Line(number, None, str(error))

    def _csv(self, file: IO[bytes]) -> Iterator[Line]:
        csv.field_size_limit(LONGEST_FIELD)
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
        try:
            yield from self._rows(csv.reader(text, strict=True))
        finally:
            text.detach()  # the file is not ours to close

    def _rows(self, rows: Any) -> Iterator[Line]:
        header: list[str] | None = None
        while True:
            number = rows.line_num + 1
            try:
                cells = next(rows)
                if header is None:
                    header = _header(cells)
                elif cells:
                    yield Line(number, self._job(_record(header, cells), number))
            except StopIteration:
                return
            except csv.Error as error:
                yield Line(number, None, str(error))
            except BadLine as error:
                yield Line(number, None, str(error))
                if header is None:
                    return

    def _job(self, row: Mapping[str, Any], number: int) -> NewJob:
        found = {name: _first(row, names) for name, names in NAMES.items()}
        made = f"{self.id_prefix}-{number}" if self.id_prefix else new_id()
        return NewJob(
            job_type=_text(found["job_type"], "job_type") or self.defaults.job_type or _missing("job_type"),
            job_id=_text(found["job_id"], "job_id") or made,
            machine_type=_text(found["machine_type"], "machine_type") or self.defaults.machine_type,
            data=found["data"],
            source_job_id=_text(found["source_job_id"], "source_job_id"),
            priority=_whole(found["priority"], "priority", -INT_MAX, self.defaults.priority),
            due_at=_moment(found["due_at"]),
            max_attempts=_whole(found["max_attempts"], "max_attempts", 1, self.defaults.max_attempts),
            unique_key=_text(found["unique_key"], "unique_key"),
            metadata=found["metadata"] if isinstance(found["metadata"], dict) else None,
            time_limit_s=_seconds(found["time_limit_s"], "time_limit_s", None),
            backoff_s=_seconds(found["backoff_s"], "backoff_s", self.defaults.backoff_s),
        )


# Helpers


def _object(data: bytes) -> dict[str, Any]:
    try:
        row = parse(data.decode("utf-8"), around=1)
    except UnicodeDecodeError as error:
        raise BadLine(f"not UTF-8: {error.reason} at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        hint = "; a line is one whole object: jq -c '.[]' makes lines of a list" if data.strip() in b"[{" else ""
        raise BadLine(f"not JSON: {error.msg} at column {error.colno}{hint}") from None
    except ValueError as error:
        raise BadLine(f"not JSON: {error}") from None
    if isinstance(row, list):
        raise BadLine("a list; a line is one object: jq -c '.[]' makes lines of a list")
    if not isinstance(row, dict):
        raise BadLine(f"a job is an object {{…}}, not {json.dumps(row)[:40]}")
    for key in row:
        if key not in KNOWN:
            raise BadLine(_unknown(key))
    return row


def _unknown(key: str) -> str:
    from difflib import get_close_matches

    similar = get_close_matches(key, KNOWN, n=1)
    hint = f"did you mean {similar[0]!r}?" if similar else "put what is the job's own under 'data'"
    return f"unknown key {key!r}; {hint}"


def _header(cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    if len(set(header)) < len(header) or "" in header:
        raise BadLine("the first line must name each column, every one by a name of its own")
    return header


def _record(header: list[str], cells: list[str]) -> dict[str, Any]:
    """A row by its columns: empty cells say nothing, columns that we do not know are keys of the data."""
    if len(cells) != len(header):
        raise BadLine(f"{len(cells)} fields, but the first line names {len(header)}")
    row: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name, cell in zip(header, cells, strict=True):
        if name not in KNOWN:
            own[_text(name, "column") or name] = _text(cell, name) or ""
        elif cell:
            row[name] = _json_cell(name, cell) if name in ("data", "payload", "metadata") else cell
    if own:
        data = _first(row, NAMES["data"])
        if not isinstance(data, dict | None):
            raise BadLine(f"the data is no object, so it cannot take the columns {', '.join(own)}")
        row = {key: value for key, value in row.items() if key != "payload"} | {"data": {**(data or {}), **own}}
    return row


def _json_cell(name: str, cell: str) -> Any:
    try:
        return parse(cell)
    except ValueError as error:
        raise BadLine(f"{name} is not JSON: {error}") from None


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _text(value: Any, name: str) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadLine(f"{name} must be text, not {json.dumps(value)[:40]}")
    text = str(value)
    if "\0" in text or not text.strip():
        raise BadLine(f"{name} is empty or has NUL characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadLine(f"{name} is not UTF-8") from None
    return text


def _whole(value: Any, name: str, least: int, default: Any) -> Any:
    if value is None:
        return default
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        number = value
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= INT_MAX:
        what = "a whole number" if least < 1 else f"a whole number from {least} on"
        raise BadLine(f"{name} must be {what}, not {json.dumps(value)[:40]}")
    return number


def _seconds(value: Any, name: str, default: float | None) -> float | None:
    if value is None:
        return default
    try:
        seconds = -1.0 if isinstance(value, bool) else float(value)
    except (ValueError, TypeError, OverflowError):
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise BadLine(f"{name} must be a number of seconds, not {json.dumps(value)[:40]}")
    return seconds


def _moment(value: Any) -> float | None:
    """Epoch seconds, or a time as text; without a zone it is UTC, as the engine writes it."""
    if value is None:
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value) if isinstance(value, int | float) else from_text(value)
    except (ValueError, TypeError, OverflowError):
        raise BadLine(f"due_at must be a time such as 2026-11-24 08:00:00, not {json.dumps(value)[:40]}") from None


def _missing(name: str) -> Any:
    raise BadLine(f"there is no {name}: write one in the line, or give --type for all")
