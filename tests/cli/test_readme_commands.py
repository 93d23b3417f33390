"""The command lines of the README for versions before 2.0, which scripts out there still hold, work as written."""

from __future__ import annotations

from typing import Any

import pytest

LINES = """
statemachine-db add-job job123 --type face_processing --input-file photo.jpg --payload '{"prompt": "enhance faces"}'
statemachine-db add-job job_001 --type image_processing --payload '{"input": "image.jpg", "output": "result.png"}'
statemachine-db send-event --target my_worker --type new_job
statemachine-db machine-state
statemachine-db list-events --target my_worker --limit 10
statemachine-db list --status pending
statemachine-db send-event --target worker --type process_task --payload '{"file": "image.png", "user_id": 123}'
statemachine-db add-job job_1 --type face_processing --input-file "photo.jpg" --payload "{\\"prompt\\":\\"$USER\\"}"
statemachine-db add-job job_2 --type custom_workflow --payload '{"config":"value"}'
statemachine-db machine-state --format json
statemachine-db send-event --target ui --type activity_log --payload '{"message": "Task completed", "level": "SUCCESS"}'
statemachine-db send-event --target ui --type activity_log --source my_tool --payload '{"message": "Processing..."}'
statemachine-db send-event --target worker1 --type custom_event --job-id job123 --payload '{"data": "value"}'
statemachine-db add-job job_002 --type video_transcode --machine-type video_worker --payload '{"source": "video.mp4"}'
statemachine-db list --type image_processing --limit 20
statemachine-db list --status completed
statemachine-db details job_001
statemachine-db transition-history
statemachine-db transition-history --machine worker1
statemachine-db transition-history --hours 24
statemachine-db transition-history --limit 50
statemachine-db transition-history --format json
statemachine-db error-history
statemachine-db error-history --machine worker1
statemachine-db error-history --hours 1
statemachine-db error-history --format json
"""

HELPER = """
add_job_v103() {
    local job_id="$1"
    local job_type="$2"
    local input_file="$3"
    local payload="$4"

    statemachine-db add-job "$job_id" \\
        --type "$job_type" \\
        ${input_file:+--input-file "$input_file"} \\
        ${payload:+--payload "$payload"}
}
add_job_v103 "job123" "image_processing" "$PWD/photo.jpg" '{"prompt":"enhance"}'
add_job_v103 "job124" "image_processing" "" ""
"""


@pytest.fixture
def shell(place: Any) -> Any:
    """Runs a script with the commands on PATH, in a folder with the files that it names."""
    (place.folder / "photo.jpg").touch()
    path = f"{place.bin}:{place.process_environ['PATH']}"

    def run(script: str) -> Any:
        return place.process(["bash", "-euc", f"PATH='{path}'\n{script}"])

    return run


def test_every_command_line_works_as_written(place: Any, shell: Any) -> None:
    result = shell(LINES.replace("$USER", "somebody"))

    assert (result.returncode, result.stderr) == (0, "")
    assert {job["job_id"] for job in place.json("list")} == {"job123", "job_001", "job_1", "job_2", "job_002"}


def test_the_migration_helper_works_as_written(place: Any, shell: Any) -> None:
    result = shell(HELPER)

    assert (result.returncode, result.stderr) == (0, "")
    assert place.json("details", "job123")["data"]["input_file_path"] == str(place.folder / "photo.jpg")
    assert place.json("details", "job124")["data"] is None
