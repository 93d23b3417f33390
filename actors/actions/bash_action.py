"""The `bash` action: runs a shell command and turns its result into an event and context values."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...storage.masking import masked
from ...storage.strictjson import parse
from ..errors import ActionError, CommandNotStarted
from ..jobs.job_context import merge, with_params
from ..placeholders.interpolation import interpolate, text_of
from ..processes import command
from ..shell.shell import ShellCommand, rewrite
from .base import DURATION, MAPPING, Context
from .builtin import BuiltinAction, shortened

_DEFAULT_TIMEOUT_S = 30.0
_JSON_BYTES = 16 * 1024 * 1024
_LOGGED_CHARS = 2000


class BashAction(BuiltinAction):
    """Causes `success` for exit code 0, else the code's `error_mappings` entry or `error`; `timeout_event` in time-out.

    Sets `last_stdout`, `last_stderr` and `last_exit_code`; a failure also sets `last_error` and its companions.
    """

    keys = {
        "command": "the shell command; {values} reach it as environment variables, never as program text",
        "timeout": "time limit (default: 30 seconds); 0 for none",
        "success": "event for exit code 0 (job_done)",
        "error": "event for any other end (error)",
        "failure": "the same as error",
        "error_mappings": "events for single exit codes",
        "timeout_event": "event when the time limit is reached, in place of error",
        "cwd": "working directory of the command",
        "env": "more environment variables",
        "stdin": "text, or data as JSON, for the command to read (default: nothing)",
        "shell": "the shell that runs it (/bin/sh)",
        "capture": "json: the keys of a JSON object on stdout go into the context",
        "store_as": "context key for the output, or with capture: json for its value",
        "allow_job_command": "the current job's own `command` replaces this one",
    }
    events = {"success": "job_done", "error": "error", "timeout_event": ""}
    value_kinds = {"timeout": DURATION, "capture": ("json",), "env": MAPPING, "error_mappings": MAPPING}
    takes_time = True
    required_keys = ("command",)
    same_as = {"failure": "error"}
    stores = {"store_as": ""}
    sets = ("last_stdout", "last_stderr", "last_exit_code")
    raw_keys = frozenset({"command"})
    failure_codes = range(1, 256)

    def execute(self, context: Context) -> str | None:
        template = self._template(context)
        # The text with its values is for error messages; `shell` is what runs.
        scope = with_params(context, self.config.get("params"))
        text = str(interpolate(template, scope))
        shell = rewrite(template, scope)
        ended = self._run(shell)
        if ended.cancelled:
            return None
        self._log_output(ended, context)
        context["last_stdout"] = _decoded(ended.stdout)
        context["last_stderr"] = _decoded(ended.stderr)
        context["last_exit_code"] = ended.exit_code
        if ended.timed_out:
            return self._timed_out(text, ended, context)
        if ended.exit_code:
            return self._failed(text, ended, context)
        self._store(ended.stdout, context)
        return self.event("success", "job_done")

    def _template(self, context: Context) -> str:
        if self.flag("allow_job_command"):
            job = context.get("current_job")
            data = job.get("data") if isinstance(job, Mapping) else None
            command = data.get("command") if isinstance(data, Mapping) else None
            if isinstance(command, str) and command:
                return command
        return str(self.required("command"))

    def _run(self, shell: ShellCommand) -> command.Ended:
        try:
            return command.run(
                [*shlex.split(str(self.config.get("shell") or "/bin/sh")), "-c", shell.text],
                env=self._env(shell.env),
                cwd=self._cwd(),
                stdin=_input(self.config.get("stdin")),
                timeout_s=self._timeout_s(),
                cancel=self._services.cancel if self._services else None,
                kept_bytes=_JSON_BYTES if self._captures_json() else command.KEPT_BYTES,
                on_output=self._services.jobs.output_sink() if self._services else None,
            )
        except OSError as error:
            raise CommandNotStarted(_cannot_start(error)) from error

    def _env(self, values: Mapping[str, str]) -> dict[str, str] | None:
        own = self.config.get("env") or {}
        if not isinstance(own, Mapping):
            raise ActionError("'env' has to be a mapping of names to values")
        added = {str(name): text_of(value) for name, value in own.items() if value is not None}
        given = self._services.env if self._services else {}
        return {**os.environ, **given, **added, **values} if given or added or values else None

    def _cwd(self) -> Path | None:
        cwd = self.config.get("cwd")
        if not cwd:
            return None
        folder = Path(str(cwd)).expanduser()
        if not folder.is_dir():
            raise ActionError(f"'cwd' is no folder: {folder}")
        return folder

    def _timeout_s(self) -> float | None:
        unlimited = "timeout" in self.config and not self.config["timeout"]
        return None if unlimited else self.duration_s("timeout", _DEFAULT_TIMEOUT_S) or None

    def _captures_json(self) -> bool:
        return str(self.config.get("capture") or "").lower() == "json"

    def _store(self, stdout: bytes, context: Context) -> None:
        key = self.config.get("store_as")
        value: Any = stdout.decode("utf-8", "replace").rstrip("\n")
        if self._captures_json():
            try:
                value = parse(value)
            except ValueError as error:
                self.logger.warning("[%s] stdout is not JSON: %s", self.get_machine_name(context), error)
                return
            if not key and isinstance(value, dict):
                merge(context, value)
        if key:
            self.store(context, "store_as", "", value)

    def _failed(self, text: str, ended: command.Ended, context: Context) -> str:
        code = ended.exit_code
        self.failed_of = code
        mapped = self._mappings().get(str(code))
        self._note(f"Command failed (exit {code}): {_decoded(ended.stderr).strip()}", text, ended, context)
        return str(mapped) if mapped else self._error_event()

    def _mappings(self) -> dict[str, Any]:
        """Return the events by exit code as text, since YAML may have read the codes as numbers."""
        mappings = self.config.get("error_mappings") or {}
        if not isinstance(mappings, Mapping):
            raise ActionError("'error_mappings' has to be a mapping of exit codes to events")
        return {str(code): event for code, event in mappings.items()}

    def _timed_out(self, text: str, ended: command.Ended, context: Context) -> str:
        self.failed_of = "timeout"
        self._note(f"Command timed out after {self._timeout_s():g} seconds", text, ended, context)
        return self.event("timeout_event", self._error_event())

    def _error_event(self) -> str:
        return self.event("error", self.event("failure", "error"))

    def _note(self, what: str, text: str, ended: command.Ended, context: Context) -> None:
        context["last_error"] = f"{what}\nCommand: {text}"
        context["last_error_action"] = "bash"
        context["last_error_command"] = text
        context["last_error_exit_code"] = ended.exit_code
        self.logger.warning("[%s] %s", self.get_machine_name(context), context["last_error"])

    def _log_output(self, ended: command.Ended, context: Context) -> None:
        for output in (ended.stdout, ended.stderr if not ended.exit_code else b""):
            text = _decoded(output[: 4 * _LOGGED_CHARS]).strip()
            if text:
                self.logger.info("[%s] %s", self.get_machine_name(context), shortened(masked(text), _LOGGED_CHARS))


def _input(value: Any) -> bytes | None:
    return None if value is None else text_of(value).encode()


def _decoded(output: bytes) -> str:
    return output[-command.KEPT_BYTES :].decode("utf-8", "replace")


def _cannot_start(error: OSError) -> str:
    if error.errno == errno.E2BIG:
        return "the command and its values are too long for the system (128 KiB each): give large ones through stdin:"
    where = f": {error.filename}" if error.filename else ""
    return f"the shell cannot be started: {error.strerror}{where}"
