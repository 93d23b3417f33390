"""`statemachine-system`: all machines of a project; each command is in a module of this package."""

from __future__ import annotations

import click

from ..program import LazyGroup, console_script, program_options
from .options import system_options

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


@click.group(cls=LazyGroup, package=__package__, sections=SECTIONS)
@system_options
@program_options("Log more, and show tracebacks.", "statemachine-system")
def system(debug: bool) -> None:
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


main = console_script(system, "statemachine-system")


if __name__ == "__main__":
    main()
