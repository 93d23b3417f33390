"""The outermost layer of every command: turns errors into one line on stderr and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar, cast

import click

DONE, FAILED, USAGE, NOT_RUNNING, TAKEN, NO_STATE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

F = TypeVar("F", bound=Callable[..., Any])

_DEBUG = "statemachine_engine.debug"


class Failure(click.ClickException):
    """An error of a command: one line on stderr and an exit code."""

    def __init__(
        self, message: str, exit_code: int = FAILED, *, prefix: str = "Error: ", many_lines: bool = False
    ) -> None:
        """Set `many_lines` if the line breaks of the message are intended and not part of user data."""
        super().__init__(message)
        self.many_lines = many_lines
        self.exit_code = exit_code  # type: ignore[misc]  # click calls it a class variable, and reads the instance's
        self.prefix = prefix

    def show(self, file: Any = None) -> None:
        from ..storage.names import escaped

        lines = self.message.split("\n") if self.many_lines else [self.message]
        click.echo(self.prefix + "\n".join(map(escaped, lines)), file=file or sys.stderr)


class Program(click.Command):
    """A click command that reports every error in one line, without a traceback."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _errors_in_one_line({}):
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _errors_in_one_line(ctx.meta):
            return super().invoke(ctx)


class LazyGroup(Program, click.Group):
    """A group that imports the module of a subcommand when it is needed."""

    def __init__(self, *args: Any, package: str, sections: Mapping[str, Mapping[str, str]], **kwargs: Any) -> None:
        """`sections` maps a heading to command names, and each name to "module:attribute" in `package`."""
        super().__init__(*args, **{"invoke_without_command": True, **kwargs})
        self._package = package
        self.sections = sections
        self._places = {name: place for section in sections.values() for name, place in section.items()}

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; print the help if none is given."""
        result = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())
        return result

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._places.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(importlib.import_module(f".{module}", self._package), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, places in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name, self._short_help(ctx, name)) for name in places])

    def _short_help(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=78) if command else ""


def program_options(debug_help: str, prog_name: str | None = None) -> Callable[[F], F]:
    """Return `--debug` and `--version`, as every program takes them."""

    def add(function: F) -> F:
        version = click.version_option(package_name="statemachine-engine", prog_name=prog_name)
        return debug_option(debug_help)(version(function))

    return add


def console_script(command: click.Command, prog_name: str | None = None) -> Callable[[], None]:
    """Return the function that an installed program calls."""

    def main() -> None:
        standard_streams()
        command(prog_name=prog_name)

    return main


def debug_option(help_text: str) -> Callable[[F], F]:
    """Return `--debug`, kept for the whole invocation; a command with a parameter `debug` gets it as well."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
        ctx.meta[_DEBUG] = value
        return value

    return click.option("--debug", is_flag=True, callback=remember, is_eager=True, help=help_text)


def failure_of(error: Exception) -> Failure:
    """Return the message and the exit code for an exception that no command handled."""
    from ..actors.errors import CannotResume, ConfigError, MachineError
    from ..storage.errors import JobNotFound, MachineTaken, StorageError

    if isinstance(error, ConfigError):
        return Failure(str(error), USAGE, prefix="", many_lines=True)
    if isinstance(error, MachineTaken):
        return Failure(_one_line(error), TAKEN)
    if isinstance(error, CannotResume):
        return Failure(_one_line(error), NO_STATE)
    if isinstance(error, JobNotFound):
        return Failure(f"{_one_line(error)} (statemachine-db list shows the jobs)")
    if isinstance(error, (StorageError, MachineError)):
        return Failure(_one_line(error))
    return Failure(f"{type(error).__name__}: {_one_line(error)} (--debug shows where)")


@contextmanager
def _errors_in_one_line(meta: Mapping[str, Any]) -> Iterator[None]:
    """Turn exceptions of the block into a Failure; with `--debug` in `meta`, print their traceback first."""
    try:
        yield
    except click.UsageError as error:
        raise _usage(error) from error
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except Exception as error:
        if meta.get(_DEBUG):
            import traceback

            traceback.print_exc()
        raise failure_of(error) from error


def _usage(error: click.UsageError) -> Failure:
    """Turn click's four lines about wrong usage into one line that names `--help`."""
    where = f" (see '{error.ctx.command_path} --help')" if error.ctx else ""
    return Failure(_one_line(error.format_message()).rstrip(".") + where, USAGE)


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def end_at_once(command: Callable[[], Any]) -> None:
    """Run a command that ends with SystemExit, then leave with os._exit.

    Skipping the interpreter's shutdown saves a tenth of the time of a short command. Use it only for commands that
    leave no thread and no open transaction behind.
    """
    code: object = 1
    try:
        command()
    except SystemExit as end:
        code = end.code
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = code or FAILED
    os._exit(code if isinstance(code, int) else DONE if code is None else FAILED)


def standard_streams() -> None:
    """Make the three standard streams safe to use; every program calls this first.

    A stream that the parent closed (`2>&-`) is opened to the null device. Otherwise the database could get its
    descriptor, and output would be written into the database file. Characters that a terminal cannot show become `?`.
    """
    sys.stdin = sys.stdin or _nowhere("r")
    sys.stdout = sys.stdout or _nowhere("w")
    sys.stderr = sys.stderr or _nowhere("w")
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _nowhere(mode: str) -> TextIO:
    """Return a stream to the null device; it takes the lowest free descriptor, the one that was closed."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    os.set_inheritable(descriptor, True)
    return cast(TextIO, open(descriptor, mode, encoding="utf-8", closefd=False))
