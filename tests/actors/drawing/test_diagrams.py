"""Each diagram of a machine shows the right states and arrows."""

from __future__ import annotations

from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.drawing.diagrams import END, START, Diagram, DiagramSet

MACHINE = """
name: "Worker"
metadata: {machine_name: worker}
initial_state: waiting
states:
  # === IDLE STATES ===
  - waiting
  # === JOB WORK ===
  - checking
  - packing
  - broken
# (no group)
final: {broken: failure}
transitions:
  - {from: waiting, to: checking, event: new_job}
  - {from: waiting, to: packing, event: "timeout(30)"}
  - {from: checking, to: packing, event: whole, actions: [{type: log, message: x}, {type: bash, command: "true"}]}
  - {from: checking, to: broken, event: whole}
  - {from: checking, event: ping, internal: true}
  - {from: packing, to: waiting, event: done, interrupt: true}
  - {from: [checking, packing], to: broken, event: error}
  - {from: "*", to: stopped, event: stop}
  - {from: "*", event: ping, internal: true}
"""


def arrows(diagram: Diagram) -> list[tuple[str, str, str]]:
    return [(edge.source, edge.target, edge.label) for edge in diagram.edges]


def names(diagram: Diagram, kind: str = "state") -> list[str]:
    return [node.name for node in diagram.nodes if node.kind == kind]


def diagrams(text: str = MACHINE, **options: dict[tuple[str, str, str], int]) -> DiagramSet:
    return DiagramSet(load_text(text), **options)


def test_the_whole_machine_has_every_state_and_each_transition_that_can_be_taken() -> None:
    whole = diagrams().whole()

    assert names(whole) == ["waiting", "checking", "packing", "broken", "stopped"]
    assert arrows(whole) == [
        (START, "waiting", ""),
        ("waiting", "checking", "new_job"),
        ("waiting", "packing", "timeout(30)"),
        ("checking", "packing", "whole / log, bash"),
        ("checking", "checking", "ping (internal)"),
        ("packing", "waiting", "done (interrupts)"),
        ("checking", "broken", "error"),
        ("packing", "broken", "error"),
        ("any_state", "stopped", "stop"),
        ("any_state", "any_state", "ping (internal)"),
        ("broken", END, "failure"),
        ("stopped", END, ""),
    ]
    assert [(box.id, box.name) for box in whole.boxes] == [("IDLE", "IDLE"), ("JOBWORK", "JOB WORK")]


def test_the_main_diagram_has_a_node_for_each_group_and_the_first_event_of_each_pair() -> None:
    main = diagrams().main()

    assert names(main, "group") == ["IDLE", "JOB WORK"]
    assert names(main) == ["stopped"]
    assert arrows(main) == [
        (START, "IDLE", ""),
        ("IDLE", "JOBWORK", "new_job"),
        ("JOBWORK", "IDLE", "done"),
        ("any_state", "stopped", "stop"),
        ("any_state", "any_state", "ping (internal)"),
        ("JOBWORK", END, "failure"),
        ("stopped", END, ""),
    ]


def test_without_groups_the_main_diagram_is_the_whole_machine() -> None:
    plain = diagrams("initial_state: a\ntransitions: [{from: a, to: b, event: go}, {from: b, to: a, event: back}]")

    assert plain.main() == plain.whole()
    assert plain.metadata()["diagrams"].keys() == {"main"}


def test_a_groups_diagram_shows_the_transitions_in_and_out() -> None:
    group = diagrams().group("JOB WORK")

    assert names(group) == ["checking", "packing", "broken"]
    assert names(group, "outside") == ["waiting"]
    assert ("waiting", "checking", "new_job") in arrows(group)
    assert ("packing", "waiting", "done (interrupts)") in arrows(group)
    assert ("broken", END, "failure") in arrows(group)
    assert START not in {edge.source for edge in group.edges}


def test_the_flow_leaves_errors_and_stops_out_and_leads_from_group_to_group() -> None:
    flow = arrows(diagrams().flow())

    assert not [label for _, _, label in flow if label in ("error", "stop")]
    assert ("IDLE" + START, "waiting", "") in flow
    assert ("waiting", "IDLE" + END, "new_job") in flow
    assert ("IDLE", "JOBWORK", "new_job") in flow
    assert ("JOBWORK" + START, "checking", "new_job") in flow
    assert ("broken", "JOBWORK" + END, "failure") in flow
    assert ("JOBWORK", END, "failure") in flow


def test_errors_and_stops_have_diagrams_of_their_own() -> None:
    machine = diagrams()

    assert arrows(machine.errors()) == [
        ("checking", "broken", "error"),
        ("packing", "broken", "error"),
        ("broken", END, "failure"),
    ]
    assert arrows(machine.stops()) == [("any_state", "stopped", "stop"), ("stopped", END, "")]


def test_counts_stand_beside_the_arrows_that_were_taken() -> None:
    moves = {
        ("waiting", "checking", "new_job"): 3,
        ("waiting", "packing", "timeout(30)"): 2,
        ("checking", "stopped", "stop"): 1,
        ("packing", "stopped", "stop"): 4,
        ("packing", "packing", "ping"): 5,
        ("checking", "broken", "whole"): 7,
        ("gone", "waiting", "back"): 8,
    }
    counted = diagrams(moves=moves)

    assert ("waiting", "checking", "new_job ×3") in arrows(counted.whole())
    assert ("checking", "packing", "whole / log, bash ×0") in arrows(counted.whole())
    assert ("any_state", "stopped", "stop ×5") in arrows(counted.whole())
    assert ("any_state", "any_state", "ping (internal) ×5") in arrows(counted.whole())
    assert ("IDLE", "JOBWORK", "new_job ×5") in arrows(counted.main())
    assert counted.strange_moves == 15


def test_the_metadata_has_the_shape_that_pages_read() -> None:
    metadata = diagrams().metadata()

    assert metadata["machine_name"] == "worker"
    assert metadata["template"] is False
    assert metadata["config_type"] == "string"
    assert metadata["diagrams"]["main"] == {
        "file": "main.mermaid",
        "title": "Worker",
        "description": "State machine worker",
        "composites": ["IDLE", "JOBWORK"],
    }
    assert metadata["diagrams"]["JOBWORK"] == {
        "file": "JOBWORK.mermaid",
        "title": "JOB WORK",
        "description": "3 states of Worker",
        "states": ["checking", "packing", "broken"],
        "entry_states": ["checking", "packing"],
        "exit_states": ["packing"],
        "parent": "main",
    }


def test_the_node_for_any_state_differs_from_a_state_of_that_name() -> None:
    transitions = '[{from: "*", to: any_state, event: go}, {from: any_state, to: b, event: x}]'
    machine = diagrams(f"initial_state: any_state\ntransitions: {transitions}")

    assert arrows(machine.whole())[:3] == [
        (START, "any_state", ""),
        ("any_state_2", "any_state", "go"),
        ("any_state", "b", "x"),
    ]
