"""The snippets of the older engine's README, pasted as they stand there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import EXAMPLES, ROOT, Project
from tests.support.seed import CONTROLLER, QUICK_START
from tests.support.until import until

ENGINE_SCRIPT = """\
import asyncio

async def main():
    from statemachine_engine.core.engine import StateMachineEngine

    engine = StateMachineEngine(machine_name='my_worker')
    await engine.load_config('my_worker.yaml')
    await engine.execute_state_machine()

asyncio.run(main())
"""

CUSTOM_ACTION = """\
from statemachine_engine.actions import BaseAction

class MyCustomAction(BaseAction):
    async def execute(self, context):
        # Access config parameters from YAML
        param_value = self.config.get('params', {}).get('my_param')

        # Access execution context (job_id, machine_name, etc.)
        job_id = context.get('job_id')
        machine = self.get_machine_name(context)

        # Your custom logic
        self.logger.info(f"Processing {job_id} on {machine}")

        # Return event name to trigger next transition
        return self.config.get('params', {}).get('success', 'success')
"""

USES_CUSTOM_ACTION = """\
initial_state: waiting
transitions:
  - {from: waiting, to: working, event: new_job}
  - {from: working, to: stopped, event: job_done}
actions:
  waiting:
    - type: check_database_queue
      job_type: custom
  working:
    - type: my_custom  # Maps to my_custom_action.py → MyCustomAction class
      params:
        my_param: "value"
        success: job_done
"""

EXTRACT_ACTION = """\
from statemachine_engine.actions import BaseAction

# custom_extract_action.py
class CustomExtractAction(BaseAction):
    async def execute(self, context):
        # Extract data from event payload
        payload = context['event_data']['payload']

        # Add to context for subsequent actions
        context['user_id'] = payload.get('user_id')
        context['file_path'] = payload.get('input_file')
        context['processing_mode'] = 'fast'

        return 'extracted'
"""

USES_EXTRACT_ACTION = """\
initial_state: waiting
transitions:
  - {from: waiting, to: extracting, event: new_file}
# worker.yaml
actions:
  extracting:
    - type: custom_extract
      success: extracted

    # These actions now see the extracted variables
    - type: log
      message: "Processing file {file_path} for user {user_id} in {processing_mode} mode"

    - type: bash
      command: "echo --user {user_id} --file {file_path} --mode {processing_mode}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    project.close()


def test_the_quick_start_prints_processing_job(project: Project) -> None:
    write(project, "my_worker.yaml", QUICK_START)
    project.start("statemachine my_worker.yaml --machine-name my_worker")
    project.shell("statemachine-db send-event --target my_worker --type new_job")

    project.until_logged("Processing job")
    assert project.state("my_worker") == "processing"


def test_the_python_snippet_runs_the_quick_start(project: Project) -> None:
    write(project, "my_worker.yaml", QUICK_START)
    write(project, "main.py", ENGINE_SCRIPT)
    engine = project.start("python main.py")
    project.until_state("my_worker", "waiting")
    project.shell("statemachine-db send-event --target my_worker --type new_job")

    project.until_state("my_worker", "processing")
    assert project.interrupt(engine) in (1, 130, -2)


def test_the_custom_action_finds_its_params_and_its_job(project: Project) -> None:
    write(project, "actions/my_custom_action.py", CUSTOM_ACTION)
    write(project, "config/worker.yaml", USES_CUSTOM_ACTION)
    project.shell("statemachine-db add-job job_1 --type custom")

    said = project.shell("statemachine config/worker.yaml --machine-name my_worker --actions-dir ./actions")
    assert "Processing job_1 on my_worker" in said


def test_what_an_action_writes_into_the_context_is_seen_by_those_after_it(project: Project) -> None:
    write(project, "actions/custom_extract_action.py", EXTRACT_ACTION)
    write(project, "worker.yaml", USES_EXTRACT_ACTION)
    project.start(f"statemachine worker.yaml --actions-dir {project.folder / 'actions'}")
    project.shell(
        "statemachine-db send-event --target worker --type new_file"
        """ --payload '{"user_id": 123, "input_file": "image.png"}'"""
    )

    project.until_logged("Processing file image.png for user 123 in fast mode")
    project.until_logged("--user 123 --file image.png --mode fast")


def test_the_controller_forwards_payloads_with_their_types(project: Project) -> None:
    write(project, "controller.yaml", CONTROLLER)
    project.start("statemachine controller.yaml")
    image = '{"generated_image": "a.png", "job_id": 7, "face_style": {"hair": ["red"]}, "more": null}'
    project.shell(f"statemachine-db send-event --target controller --type image_generated --payload '{image}'")
    project.until_state("controller", "waiting_for_processor")
    project.shell(
        "statemachine-db send-event --target controller --type processing_complete --payload '{\"faces\": [1, 2.5]}'"
    )
    project.until_state("controller", "waiting")

    assert received(project, "face_processor") == [
        ("process_faces", {"base_image": "a.png", "job_id": 7, "style": {"hair": ["red"]}})
    ]
    assert received(project, "finalizer") == [("finalize_image", {"faces": [1, 2.5]})]


def test_start_worker_sh_starts_the_simple_worker_or_another_machine(project: Project) -> None:
    script = ROOT / "scripts" / "start-worker.sh"
    project.start(str(script))
    project.start(f"{script} {EXAMPLES / 'simple_worker' / 'config' / 'worker.yaml'} my_worker")

    project.until_state("simple_worker", "waiting")
    project.until_state("my_worker", "waiting")


def write(project: Project, name: str, text: str) -> None:
    path = project.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def received(project: Project, machine: str) -> list[tuple[str, object]]:
    rows = until(lambda: project.json(f"statemachine-db list-events --target {machine}"))
    return [(row["event_type"], row["payload"]) for row in rows]
