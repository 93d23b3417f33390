"""Every command line of the README for versions before 2.0, pasted in its order into a project, does what it says.

Left out are its lines about its own repository: git clone, pip, its test files, python -m build. Its files and snippets
are in test_seed_readme.py.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.network import own_ports
from tests.support.project import ROOT, Project
from tests.support.until import until
from tests.support.websocket import WebSocket
from tests.test_seed_readme import CONTROLLER, CUSTOM_ACTION, QUICK_START, USES_CUSTOM_ACTION

PORTS = (3001, 3002, 8080, 8765, 9000)
BACK = """  - from: processing
    to: waiting
    event: job_done
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A clone of the repository, as far as the lines name it, with configurations of a user's own."""
    for folder in ("examples", "scripts", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("data", "logs", "__pycache__"))
    shutil.copy(ROOT / "statemachine-project.yaml", tmp_path)
    write(tmp_path / "my_worker.yaml", QUICK_START)
    write(tmp_path / "config" / "worker.yaml", QUICK_START + BACK)
    write(tmp_path / "config" / "controller.yaml", CONTROLLER)
    for name in ("photo.jpg", "document.pdf"):
        (tmp_path / name).touch()
    project = Project(tmp_path)
    project.env["HOME"] = str(tmp_path)
    with own_ports(PORTS):
        yield project
        project.close()


@pytest.mark.timeout(400)
def test_every_command_line_does_what_it_says(project: Project) -> None:
    chapters: list[Callable[[Project], None]] = [
        the_examples,
        my_worker,
        everything_at_once,
        single_services,
        an_external_project,
        database_commands,
        ports_of_ones_own,
        custom_actions,
        payloads,
        validating,
        watching_events,
        templates_and_scripts,
        migrated_scripts,
        simple_workers_transitions,
        jobs_and_history,
    ]
    for chapter in chapters:
        chapter(project)


# The chapters, in their order


def the_examples(project: Project) -> None:
    with running("statemachine config/worker.yaml --machine-name worker", at(project, "examples/simple_worker")) as it:
        until_running(it, "worker")
    assert "All 3 jobs are finished" in at(project, "examples/controller_worker").shell("./run.sh", timeout_s=90)


def my_worker(project: Project) -> None:
    with running("statemachine my_worker.yaml --machine-name my_worker", project):
        until_running(project, "my_worker")
        assert project.state("my_worker") == "waiting"


def everything_at_once(project: Project) -> None:
    with running("./scripts/start-system.sh", project):
        until_running(project, "simple_worker", "worker", "controller")
        assert "<html" in page(3001)
        assert first_frame(3002, "/ws/events")["type"] == "initial"
        assert (project.folder / "docs" / "fsm-diagrams" / "simple_worker" / "main.mermaid").exists()
        assert "waiting" in page(3001, "/api/diagram/simple_worker")
        assert project.shell("tail -n 5 logs/*.log")


def single_services(project: Project) -> None:
    with running("statemachine config/worker.yaml --machine-name my_worker", project):
        until_running(project, "my_worker")
    with running("statemachine config/worker.yaml --machine-name my_worker --debug", project):
        until_running(project, "my_worker")
    with (
        running("statemachine config/controller.yaml --machine-name controller", project),
        running("statemachine config/worker.yaml --machine-name worker", project),
    ):
        until_running(project, "controller", "worker")
    for line, port in (
        ("statemachine-ui", 3001),
        (f"statemachine-ui --project-root {project.folder}", 3001),
        ("statemachine-ui --port 8080", 8080),
    ):
        with running(line, project):
            assert "<html" in page(port)
            assert first_frame(3002, "/ws/events")["type"] == "initial"
    module = "python -m statemachine_engine.monitoring.websocket_server"
    with running(module, project), running("statemachine-ui --no-websocket", project):
        assert json.loads(page(3002, "/health"))["status"] == "ok"
        assert "<html" in page(3001)
    with running(f"{module} --port 8765", project):
        assert json.loads(page(8765, "/health"))["status"] == "ok"
        assert first_frame(8765, "/ws")["type"] == "initial"
    for command in ("statemachine-diagrams", "statemachine-fsm"):
        project.shell(f"{command} config/worker.yaml")


def an_external_project(project: Project) -> None:
    project.shell("statemachine-diagrams config/worker.yaml --machine-name my_worker")
    with (
        running('statemachine-ui --project-root "$(pwd)"', project),
        running("statemachine config/worker.yaml --machine-name my_worker", project),
    ):
        until_running(project, "my_worker")
        assert "processing" in page(3001, "/api/diagram/my_worker")
        before = project.log().count("Processing job")
        project.shell("statemachine-db send-event --target my_worker --type new_job")
        project.until_logged("Processing job", before + 1)


def database_commands(project: Project) -> None:
    old = "statemachine-db add-job job123 --type face_processing --input-image photo.jpg --prompt 'enhance faces'"
    assert "--input-file" in project.shell(old, code=2)
    project.shell(r"""
        statemachine-db add-job job123 \
          --type face_processing \
          --input-file photo.jpg \
          --payload '{"prompt": "enhance faces"}'
        statemachine-db add-job job_001 \
          --type image_processing \
          --payload '{"input": "image.jpg", "output": "result.png"}'
        statemachine-db send-event --target my_worker --type new_job
    """)
    assert "my_worker" in project.shell("statemachine-db machine-state")
    assert "new_job" in project.shell("statemachine-db list-events --target my_worker --limit 10")
    assert "job_001" in project.shell("statemachine-db list --status pending")
    assert "result.png" in project.shell("statemachine-db details job_001")
    assert project.job("job123")["data"]["input_file_path"] == str(project.folder / "photo.jpg")


def ports_of_ones_own(project: Project) -> None:
    with running("statemachine-ui --port 8080", project):
        assert "<html" in page(8080)
    with running("python -m statemachine_engine.monitoring.websocket_server --port 9000", project):
        assert first_frame(9000, "/ws")["type"] == "initial"


def custom_actions(project: Project) -> None:
    for folder in (project.folder, project.folder / "projects" / "my_worker"):
        write(folder / "actions" / "my_custom_action.py", CUSTOM_ACTION)
    write(project.folder / "custom.yaml", USES_CUSTOM_ACTION)
    for folder in ("./actions", str(project.folder / "actions"), "~/projects/my_worker/actions"):
        project.shell("statemachine-db add-job --type custom")
        line = f"statemachine custom.yaml --machine-name my_custom_worker --actions-dir {folder}"
        assert "on my_custom_worker" in project.shell(line)


def payloads(project: Project) -> None:
    line = """statemachine-db send-event --target worker --type process_task \\
        --payload '{"file": "image.png", "user_id": 123}'"""
    project.shell(line)
    assert project.json("statemachine-db list-events --target worker")[0]["payload"] == {
        "file": "image.png",
        "user_id": 123,
    }


def validating(project: Project) -> None:
    project.shell("statemachine-validate config/worker.yaml")
    project.shell("statemachine-validate config/*.yaml")
    project.shell("statemachine-validate --strict config/*.yaml")


def watching_events(project: Project) -> None:
    simple_worker = "statemachine examples/simple_worker/config/worker.yaml"
    seen = "simple_worker: initializing --initialized--> waiting"
    for times, flags in enumerate(("", "--machine simple_worker", "--duration 60"), start=1):
        before = project.log().count(seen)
        with running(f"statemachine-events {flags}", project):
            project.until_logged("Watching", times)
            with running(simple_worker, project):
                project.until_logged(seen, before + 1)
    with running("statemachine-events --format json > events.log", project), running(simple_worker, project):
        until(lambda: shown(project, "initialized"), timeout_s=30)


def templates_and_scripts(project: Project) -> None:
    project.shell("cp templates/start-system.sh ./; chmod +x start-system.sh; mv statemachine-project.yaml kept.yaml")
    with running("./start-system.sh", project):
        until_running(project, "my_worker")
        assert "my_worker" in page(3001, "/api/machines")
    project.shell("mv kept.yaml statemachine-project.yaml")
    with running("./scripts/start-worker.sh", project):
        until_running(project, "simple_worker")
    with running("./scripts/start-worker.sh examples/simple_worker/config/worker.yaml my_worker", project):
        until_running(project, "my_worker")


def migrated_scripts(project: Project) -> None:
    project.shell(r"""
        JOB_ID=job_1 IMAGE=photo.jpg TEXT=enhance
        statemachine-db add-job $JOB_ID --type face_processing --input-file "$IMAGE" --payload "{\"prompt\":\"$TEXT\"}"
        statemachine-db add-job job_2 --type custom_workflow --payload '{"config":"value"}'
        add_job_v103() {
            local job_id="$1"
            local job_type="$2"
            local input_file="$3"
            local payload="$4"

            statemachine-db add-job "$job_id" \
                --type "$job_type" \
                ${input_file:+--input-file "$input_file"} \
                ${payload:+--payload "$payload"}
        }
        add_job_v103 "job124" "image_processing" "$PWD/photo.jpg" '{"prompt":"enhance"}'
        add_job_v103 "job125" "image_processing" "" ""
    """)
    photo = str(project.folder / "photo.jpg")
    assert project.job("job_1")["data"] == {"prompt": "enhance", "input_file_path": photo}
    assert project.job("job124")["data"] == {"prompt": "enhance", "input_file_path": photo}
    assert project.job("job125")["data"] is None


def simple_workers_transitions(project: Project) -> None:
    """waiting → processing → completed → waiting → …, and `completed` from any state."""
    project.shell("statemachine-db cleanup-events")
    with running("statemachine examples/simple_worker/config/worker.yaml", project):
        until_running(project, "simple_worker")
        project.until_state("simple_worker", "waiting")
        for _ in range(2):
            before = moves(project)
            project.shell("statemachine-db send-event --target simple_worker --type new_job")
            until(lambda before=before: moves(project) > before)  # type: ignore[misc]
        assert project.json("statemachine-db machine-state")
        assert project.shell("statemachine-db list-events --target simple_worker --limit 10")
        project.shell("statemachine-db send-event --target simple_worker --type stop")
        project.until_state("simple_worker", "completed")


def jobs_and_history(project: Project) -> None:
    project.shell(r"""
        statemachine-db send-event --target ui --type activity_log \
          --payload '{"message": "Task completed", "level": "SUCCESS"}'
        statemachine-db send-event --target ui --type activity_log \
          --source my_tool --payload '{"message": "Processing...", "level": "INFO"}'
        statemachine-db send-event --target worker1 --type custom_event \
          --job-id job123 --payload '{"data": "value"}'
        statemachine-db add-job job_002 \
          --type video_transcode \
          --machine-type video_worker \
          --payload '{"source": "video.mp4", "format": "h264"}'
        statemachine-db add-job job_003 \
          --type document_convert \
          --input-file document.pdf \
          --payload '{"output_format": "docx"}'
        statemachine-db add-job ml_batch_001 \
          --type ml_inference \
          --payload '{
            "model": "resnet50",
            "input": {"image": "photo.jpg"},
            "options": {"batch_size": 32, "gpu": true}
          }'
    """)
    assert project.job("ml_batch_001")["data"]["options"] == {"batch_size": 32, "gpu": True}
    assert project.job("job_002")["machine_type"] == "video_worker"
    assert "job_001" in project.shell("statemachine-db list --type image_processing --limit 20")
    assert "initialized" in project.shell("statemachine-db transition-history")
    project.shell("""
        statemachine-db list --status completed
        statemachine-db machine-state
        statemachine-db transition-history --machine worker1
        statemachine-db transition-history --hours 24
        statemachine-db transition-history --limit 50
        statemachine-db error-history
        statemachine-db error-history --machine worker1
        statemachine-db error-history --hours 1
    """)
    assert project.json("statemachine-db transition-history")[0]["timestamp"]
    assert project.json("statemachine-db error-history") == []


# Helpers


@contextmanager
def running(line: str, project: Project) -> Iterator[Project]:
    """Run a line until the end of the test, and end it by Ctrl-C."""
    process = project.start(line)
    yield project
    assert stopped(process) in (0, 130), project.log()[-3000:]


def stopped(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    return process.wait(30)


def at(project: Project, folder: str) -> Project:
    """Return the same terminal in another folder."""
    there = Project(project.folder / folder)
    there.env.update({name: value for name, value in project.env.items() if name.startswith("STATEMACHINE_")})
    return there


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def page(port: int, path: str = "/") -> str:
    """Return the server's answer as soon as it is available."""
    text = until(lambda: fetched(f"http://localhost:{port}{path}"), timeout_s=30)
    return text or ""


def fetched(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except ConnectionError:
        return None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionError):
            return None
        raise


def first_frame(port: int, path: str) -> Any:
    assert page(port, "/health")
    with WebSocket(port, path) as client:
        return client.receive()


def until_running(project: Project, *machines: str) -> None:
    until(lambda: set(machines) <= who_runs(project), timeout_s=60)


def who_runs(project: Project) -> set[str]:
    return {row["machine_name"] for row in project.json("statemachine-db machine-state") if row["running"]}


def shown(project: Project, event: str) -> bool:
    """Return True if events.log contains it; until then, cause further events."""
    project.shell(f"statemachine-db send-event --target simple_worker --type {event}")
    log = project.folder / "events.log"
    return log.exists() and event in log.read_text()


def moves(project: Project) -> int:
    """Return the number of jobs that the simple worker has completed."""
    rows = project.json("statemachine-db transition-history --machine simple_worker --limit 1000")
    return sum(row["to_state"] == "completed" for row in rows)
