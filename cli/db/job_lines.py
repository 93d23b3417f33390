"""Reads files of jobs, JSON lines or CSV: yields a job or a problem for each row."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from ...storage.clock import from_text
from ...storage.jobs.job import NewJob, new_id
from ...storage.strictjson import parse

#: columns of an export that a new job does not take
IGNORED = frozenset(
    {"id", "status", "created_at", "started_at", "completed_at", "error_message", "result", "attempts", "owner",
     "lease_until", "machine"}
)  # fmt: skip

LONGEST_FIELD = 16 * 1024 * 1024
INT_MAX = 2**31 - 1


class BadLine(Exception):
    """A line that holds no valid job."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the file."""

    number: int
    """Its line number, from 1."""
    job: NewJob | None
    problem: str = ""
    """Why there is no job."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the rows of one kind of file."""

    kind: str
    """jsonl or csv."""
    defaults: Mapping[str, Any]
    """Values of fields for rows without them; None: the default of NewJob."""
    id_prefix: str | None
    """Prefix of ids for rows without one, before the line number; a second run makes the same ids."""

    def lines(self, file: IO[bytes]) -> Iterator[Line]:
        """Yield every row that is not empty."""
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
            text.detach()  # the caller closes the file

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
            except (csv.Error, BadLine) as error:
                yield Line(number, None, str(error))
                if header is None:
                    return

    def _job(self, row: Mapping[str, Any], number: int) -> NewJob:
        given = {"job_id": f"{self.id_prefix}-{number}" if self.id_prefix else new_id(), **self.defaults}
        for name, (aliases, convert) in FIELDS.items():
            value = _first(row, aliases)
            if value is not None and (converted := convert(value, name)) is not None:
                given[name] = converted
        if not given.get("job_type"):
            raise BadLine("there is no job_type: write one in the line, or give --type for all")
        return NewJob(**given)


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
    hint = f"did you mean {similar[0]!r}?" if similar else "put the job's own values under 'data'"
    return f"unknown key {key!r}; {hint}"


def _header(cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    if len(set(header)) < len(header) or "" in header:
        raise BadLine("the first line must name each column, and each name only once")
    return header


def _record(header: list[str], cells: list[str]) -> dict[str, Any]:
    """Return a CSV row by its columns: empty cells are left out, unknown columns become keys of the data."""
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
        data = _first(row, FIELDS["data"][0])
        if not isinstance(data, dict | None):
            raise BadLine(f"the data is not an object, so it cannot take the columns {', '.join(own)}")
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
    if value == "":
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


def _whole(value: Any, name: str, least: int) -> int:
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        number = value
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= INT_MAX:
        what = "a whole number" if least < 1 else f"a whole number from {least} on"
        raise BadLine(f"{name} must be {what}, not {json.dumps(value)[:40]}")
    return number


def _seconds(value: Any, name: str) -> float:
    try:
        seconds = -1.0 if isinstance(value, bool) else float(value)
    except (ValueError, TypeError, OverflowError):
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise BadLine(f"{name} must be a number of seconds, not {json.dumps(value)[:40]}")
    return seconds


def _moment(value: Any, name: str) -> float:
    """Convert epoch seconds, or a time as text; text without a zone is UTC, as in an export."""
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value) if isinstance(value, int | float) else from_text(value)
    except (ValueError, TypeError, OverflowError):
        raise BadLine(f"{name} must be a time such as 2026-11-24 08:00:00, not {json.dumps(value)[:40]}") from None


#: field of a job -> the names of its column or key, ours first, and the function that checks and converts its value
FIELDS: dict[str, tuple[tuple[str, ...], Callable[[Any, str], Any]]] = {
    "job_id": (("job_id", "id"), _text),
    "job_type": (("job_type", "type"), _text),
    "machine_type": (("machine_type",), _text),
    "source_job_id": (("source_job_id",), _text),
    "data": (("data", "payload"), lambda value, _: value),
    "priority": (("priority",), partial(_whole, least=-INT_MAX)),
    "max_attempts": (("max_attempts",), partial(_whole, least=1)),
    "due_at": (("due_at", "at"), _moment),
    "unique_key": (("unique_key",), _text),
    "metadata": (("metadata",), lambda value, _: value if isinstance(value, dict) else None),
    "time_limit_s": (("time_limit_s",), _seconds),
    "backoff_s": (("backoff_s",), _seconds),
}

KNOWN = {name for names, _ in FIELDS.values() for name in names} | IGNORED
