"""Every YAML of the README that the engine grew from loads as pasted."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.actions.registry import keys_of
from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.definition.model import Definition
from statemachine_engine.actors.errors import ConfigError
from tests.support.seed import CONTROLLER, QUICK_START

LOG = """
actions:
  processing:
    - type: log
      message: "🔄 Processing job {id}"
      level: info        # Optional: info (default), error, success
      success: continue  # Optional: event to emit on success
"""

BASH = """
actions:
  processing:
    - type: bash
      description: "Process the job"
      command: "python process.py --input {input_file}"
      timeout: 30
      success: job_done
      error: job_failed
"""

RELAY = """
actions:
  relaying:
    - type: bash
      command: "process {event_data.payload.job_id}"

    - type: log
      message: "Input: {event_data.payload.input_file}, Prompt: {event_data.payload.user_prompt}"

    - type: send_event
      target_machine: worker
      event_type: task_request
      payload:
        file: "{event_data.payload.input_image}"
        user: "{event_data.payload.user.name}"
        priority: "{event_data.payload.metadata.priority}"
"""

CUSTOM = """
actions:
  extracting:
    - type: custom_extract
      success: extracted

    # These actions now see the extracted variables
    - type: log
      message: "Processing file {file_path} for user {user_id} in {processing_mode} mode"

    - type: bash
      command: "process --user {user_id} --file {file_path} --mode {processing_mode}"
"""

COMBINED = """
actions:
  converting:
    - type: bash
      command: "convert {input_file} -resize {width}x{height} {output_file}"
      params:
        output_file: "/tmp/{job_id}_resized.png"  # Interpolated
        width: "800"                                # Static
    - type: multi_step
      steps:
        - "step1 {job_id}"
        - "step2 {output_dir}/{file_name}"
        - "step3 {status}"
"""

WORKER = """
# worker.yaml
transitions:
  - from: processing
    to: notifying
    event: job_done
    actions:
      - type: send_event
        params:
          target: controller
          event_type: task_completed
"""


def loaded(text: str) -> Definition:
    """Load a snippet; those that show only a part get the line that makes them whole."""
    return load_text(text if "initial_state" in text else "initial_state: processing\n" + text, known_keys=keys_of)


@pytest.mark.parametrize("snippet", [QUICK_START, LOG, BASH, RELAY, CUSTOM, COMBINED, WORKER, CONTROLLER])
def test_a_snippet_loads_without_complaint_about_its_actions(snippet: str) -> None:
    assert [w.message for w in loaded(snippet).warnings if "no transition names" not in w.message] == []


def test_the_quick_start_has_its_states_and_its_action() -> None:
    machine = loaded(QUICK_START)
    (transition,) = machine.transitions
    (action,) = transition.actions
    assert (machine.title, machine.initial_state, list(machine.states)) == (
        "My Worker",
        "waiting",
        ["waiting", "processing"],
    )
    assert (action.type, action.config["command"], action.config["success"]) == (
        "bash",
        "echo Processing job",
        "job_done",
    )


def test_the_controller_forwards_fields_and_whole_payloads() -> None:
    machine = loaded(CONTROLLER)
    payloads = [
        machine.states[name].actions[0].config["payload"]
        for name in list(machine.states)
        if machine.states[name].actions
    ]
    assert (machine.machine_name, machine.title) == ("controller", "Image Processing Controller")
    assert payloads[0]["style"] == "{event_data.payload.face_style}"
    assert payloads[1] == "{event_data.payload}"


def test_the_list_of_actions_without_a_state_says_where_it_belongs() -> None:
    with pytest.raises(ConfigError, match="hint: name the state whose actions they are"):
        loaded("actions:\n  - type: my_custom\n    params:\n      my_param: value\n      success: job_done\n")
