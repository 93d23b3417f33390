"""`statemachine-system`: all machines of a project at once; the commands stand in the system_*.py files beside this."""

from __future__ import annotations

import click

from .options import db_option
from .program import LazyGroup, debug_option, standard_streams
from .system_options import manifest_option

SECTIONS = {
    "Run": {
        "up": "system_run:up",
        "down": "system_run:down",
        "restart": "system_run:restart",
    },
    "Look": {
        "status": "system_look:status",
        "logs": "system_look:logs",
        "validate": "system_look:validate",
        "configs": "system_look:configs",
        "systemd": "system_look:systemd",
    },
}


@click.group(cls=LazyGroup, sections=SECTIONS, invoke_without_command=True)
@manifest_option
@db_option
@debug_option("Log more, and show tracebacks.")
@click.version_option(package_name="statemachine-engine", prog_name="statemachine-system")
@click.pass_context
def system(ctx: click.Context, debug: bool) -> None:
    """Run all machines of a project, as its statemachine-project.yaml says.

    \b
    Example:
      statemachine-system up
      statemachine-system up --detach
      statemachine-system status
      statemachine-system down

    Exit codes: 0 done, 1 something failed, 2 usage or configuration, 3 not up, 4 up already, or a machine runs
    elsewhere, 130 interrupted.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """The console script."""
    standard_streams()
    system(prog_name="statemachine-system")


if __name__ == "__main__":
    main()
