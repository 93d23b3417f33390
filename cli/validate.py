"""`statemachine-validate` and `statemachine-lint`: the same checks, each with its own text layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import TextType, existing_folder, stacked
from .output import show_json
from .program import DONE, FAILED, USAGE, Program, console_script, program_options

if TYPE_CHECKING:
    from ..actors.lint.finding import Report


class Codes(TextType):
    """Codes of findings, or their first characters: E012,W."""

    name = "CODES"

    def parse(self, text: str) -> set[str]:
        from ..actors.lint.catalogue import chosen

        return chosen(text)


_PATH = click.Path(path_type=Path)
check_options = stacked(
    click.argument("files", metavar="FILES...", nargs=-1, type=_PATH),
    click.option("--strict", is_flag=True, help="Exit with 2 if there are only warnings."),
    click.option("--quiet", is_flag=True, help="Print errors only; with --strict warnings too."),
    click.option("--no-color", is_flag=True, help="No colours, not even on a terminal."),
    click.option(
        "--format",
        "fmt",
        type=click.Choice(["text", "json", "sarif"]),
        default="text",
        show_default=True,
        help="Output form; sarif is for code scanning.",
    ),
    click.option("--select", "codes", type=Codes(), multiple=True, help="Only these, such as E009 or E,W011."),
    click.option("--actions-dir", metavar="DIR", type=_PATH, help="Folder of your own actions."),
    click.option("--explain", metavar="CODE", type=Codes(), help="Say what a code means, and exit."),
    click.option("--schema", is_flag=True, help="Print the JSON Schema of the files, and exit."),
    program_options("Show tracebacks."),
)


@click.command(cls=Program)
@check_options
@click.pass_context
def validate(ctx: click.Context, /, **options: Any) -> None:
    """Check the YAML files of machines without running them.

    \b
    Example:
      statemachine-validate config/worker.yaml
      statemachine-validate --strict --actions-dir ./actions config/*.yaml
      statemachine-validate --explain E009
      statemachine-validate --schema > statemachine.schema.json

    Exit codes: 0 no errors, 1 errors, 2 only warnings with --strict, or wrong usage.
    """
    from .lint_text import validation

    ctx.exit(_check(layout=validation, **options))


@click.command(cls=Program)
@check_options
@click.pass_context
def lint(ctx: click.Context, /, **options: Any) -> None:
    """Check the YAML files of machines, and list each finding with its code.

    \b
    Example:
      statemachine-lint config/*.yaml
      statemachine-lint --select E --format sarif config/*.yaml > findings.sarif

    The checks are those of statemachine-validate. Exit codes: 0 no errors, 1 errors, 2 only warnings with --strict, or
    wrong usage.
    """
    from .lint_text import linting

    ctx.exit(_check(layout=linting, **options))


main = console_script(validate, "statemachine-validate")


main_lint = console_script(lint, "statemachine-lint")


# Helpers


def _check(
    files: tuple[Path, ...], *, layout: Callable[..., str], strict: bool, quiet: bool, no_color: bool, fmt: str,
    codes: tuple[set[str], ...], actions_dir: Path | None, explain: set[str] | None, schema: bool, debug: bool,
) -> int:  # fmt: skip
    if schema:
        from ..actors.lint import json_schema

        show_json(json_schema.schema())
        return DONE
    if explain is not None:
        _explain(explain, fmt)
        return DONE
    if not files:
        raise click.UsageError("name the files to check, such as config/*.yaml")
    reports = _examine(files, existing_folder(actions_dir), set().union(*codes))
    if fmt == "text":
        click.echo(layout(reports, quiet=quiet, strict=strict), nl=False, color=False if no_color else None)
    else:
        from .lint_json import as_json, as_sarif

        show_json(as_json(reports) if fmt == "json" else as_sarif(reports))
    return _exit_code(reports, strict)


def _examine(files: Sequence[Path], actions_dir: Path | None, codes: set[str]) -> list[Report]:
    from ..actors.lint.examine import examine

    reports = [examine(file, actions_dir) for file in files]
    return [report.only(codes) for report in reports] if codes else reports


def _exit_code(reports: Sequence[Report], strict: bool) -> int:
    if any(report.errors for report in reports):
        return FAILED
    return USAGE if strict and any(report.warnings for report in reports) else DONE


def _explain(codes: set[str], fmt: str) -> None:
    from ..actors.lint.catalogue import rules

    wanted = [rule for rule in rules().values() if rule.code in codes]
    if fmt == "text":
        click.echo("\n\n".join(rule.explanation() for rule in wanted))
    else:
        show_json([{**rule._asdict(), "severity": rule.severity} for rule in wanted])
