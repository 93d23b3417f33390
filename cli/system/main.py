"""`statemachine-system`: all machines of a project at once; the commands stand in the files beside this."""

from __future__ import annotations

import click

from ..options import db_option
from ..program import LazyGroup, console_script, program_options
from .options import manifest_option

SECTIONS = {
    "Run": {
        "up": "run:up",
        "down": "run:down",
        "restart": "run:restart",
    },
    "Look": {
        "status": "status:status",
        "logs": "status:logs",
        "validate": "status:validate",
        "configs": "status:configs",
        "systemd": "status:systemd",
    },
}


@click.group(cls=LazyGroup, package=__package__, sections=SECTIONS, invoke_without_command=True)
@manifest_option
@db_option
@program_options("Log more, and show tracebacks.", "statemachine-system")
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


main = console_script(system, "statemachine-system")


if __name__ == "__main__":
    main()
