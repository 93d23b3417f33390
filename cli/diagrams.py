"""`statemachine-diagrams`, also called `statemachine-fsm`: draws the pictures of machines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Name, db_given, db_option
from .output import whole_file
from .program import DONE, FAILED, Failure, Program, console_script, program_options

if TYPE_CHECKING:
    from ..actors.definition.model import Definition
    from ..actors.drawing.diagrams import Diagram, DiagramSet, Moves

DEFAULT_FOLDER = "docs/fsm-diagrams"
#: value of --format -> module of actors/drawing, and the function of that name in it
FORMATS = {"mermaid": "mermaid", "dot": "dot", "svg": "svg", "ascii": "outline"}
_YAML = (".yaml", ".yml")
_STDOUT = Path("-")


@dataclass(frozen=True, slots=True)
class Output:
    """Files to write, and files of an older run to remove."""

    files: Mapping[Path, str]
    leftovers: Sequence[Path] = ()


@click.command(cls=Program)
@click.argument("files", metavar="YAML... [OUT]", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output-dir", type=click.Path(path_type=Path), default=DEFAULT_FOLDER, show_default=True,
    help="Folder with a folder for each machine.",
)  # fmt: skip
@click.option("--old-format-only", is_flag=True, help="Only the Markdown page.")
@click.option("--new-format-only", is_flag=True, help="Only the .mermaid files and metadata.json.")
@click.option("--format", "fmt", type=click.Choice(list(FORMATS)), help="One picture, to OUT or standard output.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 and say which files are stale.")
@click.option("--counts", is_flag=True, help="Write beside each arrow how often it was taken.")
@click.option("--history", metavar="URL|PATH", help="The same as --counts, from this database.")
@click.option(
    "--machine",
    metavar="NAME",
    type=Name(),
    help="Machine whose transitions are counted. [default: the configuration's machine]",
)
@click.option("--hours", type=click.FloatRange(min=0), help="Count only the last N hours.")
@click.option("--machine-name", metavar="NAME", type=Name(), help="Name of the machine; with one YAML only.")
@db_option
@program_options("Show tracebacks.")
@click.pass_context
def diagrams(ctx: click.Context, /, files: tuple[Path, ...], debug: bool, **options: Any) -> None:
    """Draw the state machines of YAML files, for people and for the monitor's page.

    \b
    Writes docs/fsm-diagrams/MACHINE/MACHINE_fsm.md (or OUT), and main.mermaid, a .mermaid file for each group
    and metadata.json beside it.

    \b
    Example:
      statemachine-diagrams config/worker.yaml
      statemachine-diagrams config/*.yaml --check
      statemachine-diagrams config/worker.yaml worker.svg --format svg
      statemachine-diagrams config/worker.yaml --format ascii --counts --hours 24

    Exit codes: 0 done, 1 a file cannot be read, or is stale with --check, 2 usage.
    """
    ctx.exit(_run(*_sorted_out(files), **options))


main = console_script(diagrams)


# Helpers


def _sorted_out(files: Sequence[Path]) -> tuple[Sequence[Path], Path | None]:
    """Return the configurations and OUT; a second YAML file, as in `config/*.yaml`, is never OUT."""
    *configs, last = files
    if not configs or last.suffix.lower() in _YAML:
        return files, None
    if len(configs) > 1:
        raise click.UsageError(f"{last} is no .yaml file, and OUT goes with one YAML only")
    return configs, last


def _run(
    configs: Sequence[Path], out: Path | None, *, output_dir: Path, old_format_only: bool, new_format_only: bool,
    fmt: str | None, check: bool, counts: bool, history: str | None, machine: str | None, hours: float | None,
    machine_name: str | None,
) -> int:  # fmt: skip
    counts = counts or history is not None
    if len(configs) > 1 and (machine_name or machine or fmt):
        raise click.UsageError("--machine-name, --machine and --format go with one YAML only")
    if check and counts:
        raise click.UsageError("--check compares with the configuration, which has no counts")
    if (machine or hours is not None) and not counts:
        raise click.UsageError("--machine and --hours say what is counted: add --counts")
    definitions = [_load(path, machine_name) for path in configs]
    _refuse_one_name_twice(definitions)
    moves = (lambda d: _moves(history, machine or d.machine_name, hours)) if counts else None
    diagram_sets = [_diagram_set(definition, moves) for definition in definitions]
    if fmt is not None:
        return _one_picture(diagram_sets[0], fmt, out, check)
    outputs = [_files(diagram_set, output_dir, out, old_format_only, new_format_only) for diagram_set in diagram_sets]
    if old_format_only and new_format_only:
        click.echo("--old-format-only and --new-format-only: nothing to write", err=True)
    return _compare(outputs) if check else _write(outputs)


def _load(path: Path, machine_name: str | None) -> Definition:
    from ..actors.definition.loader import load
    from ..actors.errors import ConfigError

    try:
        return load(path, machine_name=machine_name)
    except ConfigError as error:
        raise Failure(str(error), prefix="", many_lines=True) from error


def _refuse_one_name_twice(definitions: Iterable[Definition]) -> None:
    sources: dict[str, Path | None] = {}
    for definition in definitions:
        name = definition.machine_name
        if name in sources:
            raise Failure(
                f"{sources[name]} and {definition.source} are both called {name}, and would overwrite each other: "
                "give each its own metadata.machine_name"
            )
        sources[name] = definition.source


def _moves(history: str | None, machine: str, hours: float | None) -> Moves:
    from ..storage import audit
    from ..storage.engine.database import Database

    with Database.open(history or db_given(), create=False) as db:
        moves = audit.transition_counts(db, machine, hours)
    if not moves:
        click.echo(f"No transitions of '{machine}' found in {db.url}", err=True)
    return moves


def _diagram_set(definition: Definition, moves: Callable[[Definition], Moves] | None) -> DiagramSet:
    from ..actors.drawing.diagrams import DiagramSet

    diagram_set = DiagramSet(definition, None if moves is None else moves(definition))
    if diagram_set.strange_moves:
        click.echo(
            f"{diagram_set.strange_moves} recorded transitions are not in {definition.source} any more", err=True
        )
    return diagram_set


def _one_picture(diagram_set: DiagramSet, fmt: str, out: Path | None, check: bool) -> int:
    text = _renderer(fmt)(diagram_set.whole())
    if out is not None and out != _STDOUT:
        output = Output({out: text})
        return _compare([output]) if check else _write([output])
    if check:
        raise click.UsageError("--check with --format compares a file: name it after the YAML")
    click.echo(text, nl=False)
    return DONE


def _renderer(fmt: str) -> Callable[[Diagram], str]:
    name = FORMATS[fmt]
    render: Callable[[Diagram], str] = getattr(import_module(f"statemachine_engine.actors.drawing.{name}"), name)
    return render


def _files(diagram_set: DiagramSet, output_dir: Path, out: Path | None, no_drawings: bool, no_page: bool) -> Output:
    from ..actors.drawing import files
    from ..actors.drawing.markdown import markdown

    name = diagram_set.definition.machine_name
    folder = output_dir / files.folder_name(name)
    found: dict[Path, str] = {}
    leftovers: list[Path] = []
    if not no_page:
        found[out or folder / files.page_name(name)] = markdown(diagram_set, _shown(diagram_set.definition.source))
    if not no_drawings:
        drawings = files.drawings(diagram_set)
        found |= {folder / name: text for name, text in drawings.items()}
        leftovers = files.leftovers(folder, drawings)
    return Output(found, leftovers)


def _shown(source: Path | None) -> str:
    """Return the path relative to the current folder, or only the name of a file outside it."""
    assert source is not None
    here, there = Path.cwd(), Path(os.path.abspath(source))
    return str(there.relative_to(here)) if there.is_relative_to(here) else there.name


def _write(outputs: Iterable[Output]) -> int:
    for output in outputs:
        for path, text in output.files.items():
            if _content(path) == text.encode():
                click.echo(f"Unchanged {path}")
                continue
            with suppress(OSError):  # the file cannot be written then, which is reported with the reason
                path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as file:
                file.write(text)
            click.echo(f"Wrote {path}")
        for path in output.leftovers:
            path.unlink()
            click.echo(f"Removed {path}")
    return DONE


def _compare(outputs: Iterable[Output]) -> int:
    stale = [line for output in outputs for line in _differences(output)]
    for line in stale:
        click.echo(line)
    if stale:
        click.echo("Run the command again without --check to bring them up to date.", err=True)
    return FAILED if stale else DONE


def _differences(output: Output) -> Iterator[str]:
    for path, text in output.files.items():
        content = _content(path)
        if content != text.encode():
            yield f"Missing {path}" if content is None else f"Stale {path}"
    yield from (f"Left over {path}" for path in output.leftovers)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


if __name__ == "__main__":
    main()
