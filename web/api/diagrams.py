"""`/api/diagram`: the routes of older engines, from generated files or from a definition."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from ...storage import machines
from ...storage.machines import MachineRow
from ..answers import Refused, reply
from ..library import diagrams_of
from ..monitor import the_monitor

HINT = "statemachine-diagrams config/worker.yaml makes them; start statemachine-ui with --project-root if they exist"

blueprint = Blueprint("diagrams", __name__, url_prefix="/api/diagram")


@blueprint.get("/<machine>")
def whole(machine: str) -> Response:
    """Return the whole machine as Mermaid."""
    diagram = the_monitor().library.page_diagram(machine, _row(machine))
    if diagram is None:
        raise Refused(404, f"no diagram of {machine!r} found", HINT)
    return reply({"machine_name": machine, "diagram": diagram})


@blueprint.get("/<machine>/metadata")
def metadata(machine: str) -> Response:
    """Return which diagrams there are."""
    return reply(diagrams_of(_drawings(machine)))


@blueprint.get("/<machine>/<diagram>")
def one(machine: str, diagram: str) -> Response:
    """Return one diagram; its entry is merged into the whole metadata, because older engines had one or the other."""
    drawings = _drawings(machine)
    whole = diagrams_of(drawings)
    listed = whole.get("diagrams")
    known: dict[str, Any] = listed if isinstance(listed, dict) else {}
    entry = known.get(diagram)
    file = entry.get("file") if isinstance(entry, dict) else None
    code = drawings.get(file) if isinstance(file, str) else None
    if code is None or not isinstance(entry, dict):
        raise Refused(
            404, f"{machine!r} has no diagram {diagram!r}", available_diagrams=list(known), machine_name=machine
        )
    return reply(
        {"machine_name": machine, "diagram_name": diagram, "mermaid_code": code, "metadata": {**whole, **entry}}
    )


# Helpers


def _row(machine: str) -> MachineRow | None:
    return machines.get(the_monitor().store.db, machine)


def _drawings(machine: str) -> dict[str, str]:
    drawings = the_monitor().library.drawings(machine, _row(machine))
    if drawings is None:
        raise Refused(404, f"no diagrams of {machine!r} found", HINT)
    return drawings
