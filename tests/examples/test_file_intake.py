"""examples/file_intake: dropped files become jobs, jobs become archived files, bad ones are put aside."""

from __future__ import annotations

import gzip
import signal
from pathlib import Path

from tests.support.project import Project
from tests.support.until import until


def test_its_readme_archives_the_good_files_and_rejects_the_bad(project: Project, readme: list[str]) -> None:
    start, drop, look, second_worker, stop = readme
    processes = [project.start(start), project.start(second_worker)]
    project.shell(drop)
    until(lambda: "6 files: 3 archived, 3 rejected." in report(project), timeout_s=40)
    until(lambda: len(project.jobs("failed")) == 3 and len(project.jobs("completed")) == 3)

    project.shell(look)
    assert archived(project) == {
        name: (project.folder / "samples" / name).read_bytes() for name in ("gradient.png", "letter.txt", "orders.csv")
    }
    assert {path.name for path in project.folder.glob("rejected/*/*")} == {
        "broken.log.gz",
        "damaged.csv",
        "damaged.csv.sha256",
        "reason.txt",
    }
    reasons = {job_id.rpartition("-")[2]: project.job(job_id)["error_message"] for job_id in project.jobs("failed")}
    assert reasons["lost"] == "missing: there is no file inbox/lost.txt"
    assert reasons["broken.log.gz"] == "corrupt: gzip cannot read it to its end"
    assert reasons["damaged.csv"].startswith("corrupt: its sha256 is")
    assert not any(project.folder.glob("taken/*"))
    assert "[watcher] Command failed" not in project.log()
    project.shell(stop)
    assert [process.wait(20) for process in processes] == [0, 0]


def test_names_that_would_be_commands_are_only_names(project: Project) -> None:
    project.start("statemachine config/watcher.yaml config/worker.yaml config/controller.yaml")
    inbox = project.folder / "inbox"
    names = ['it\'s "fine".txt', "$(touch hacked).txt", "-rf *; true", "späße 🎉.csv", "`id`|&.log", "{job_id}", "*"]
    for name in names:
        drop(inbox, name, name.encode())

    until(lambda: f"{len(names)} files: {len(names)} archived" in report(project), timeout_s=40)
    assert archived(project) == {name: name.encode() for name in names}
    assert not (project.folder / "hacked").exists()


def test_a_worker_killed_in_the_middle_loses_no_file_and_counts_none_twice(project: Project) -> None:
    pack = project.folder / "bin" / "pack.sh"
    marker = project.folder / "packing"
    pack.write_text(pack.read_text().replace("set -eu\n", f"set -eu\ntouch {marker}\n[ -e go ] || sleep 60\n", 1))
    worker_yaml = project.folder / "config" / "worker.yaml"
    worker_yaml.write_text(worker_yaml.read_text().replace("lease: 30", "lease: 1"))
    project.start("statemachine config/watcher.yaml config/controller.yaml")
    worker = project.start("statemachine config/worker.yaml")
    drop(project.folder / "inbox", "precious.txt", b"keep me")
    until(marker.exists)

    worker.send_signal(signal.SIGKILL)
    worker.wait()
    (project.folder / "go").touch()
    project.start("statemachine config/worker.yaml")

    until(lambda: "1 file: 1 archived, 0 rejected." in report(project), timeout_s=30)
    until(lambda: len(project.jobs("completed")) == 1)
    assert archived(project) == {"precious.txt": b"keep me"}


def drop(inbox: Path, name: str, content: bytes) -> None:
    """Write the file under another name, then rename it, as a careful program does."""
    inbox.mkdir(exist_ok=True)
    part = inbox / f"{len(name)}.part"
    part.write_bytes(content)
    part.rename(inbox / name)


def report(project: Project) -> str:
    path = project.folder / "report.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def archived(project: Project) -> dict[str, bytes]:
    """Return the unpacked content of every archived file by its original name."""
    packed = project.folder.glob("archive/*/*.gz")
    return {path.name.removesuffix(".gz"): gzip.decompress(path.read_bytes()) for path in packed}
