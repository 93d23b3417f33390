"""Names that are paths, control terminals or fill pages are refused at every entrance."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from statemachine_engine import JobQueue, Runtime
from statemachine_engine.actors.definition.loader import load
from statemachine_engine.actors.errors import ConfigError
from statemachine_engine.actors.sockets import datagrams
from statemachine_engine.cli.db.main import db as command
from statemachine_engine.storage import mailbox
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import ValueRefused
from statemachine_engine.web.app import create_app, monitor_of

#: what is refused wherever something is named
UNFIT = {
    "forged line": "a\n2026-11-24 10:00:00 - root - ERROR - forged",
    "carriage return": "ok\rFAILED",
    "terminal escape": "\x1b[2J\x1b]0;title\x07",
    "eight-bit escape": "\x9b2J",
    "right to left": "report\u202egnp.exe",
    "line separator": "a\u2028b",
    "half a character": "\ud800",
    "10 KB": "x" * 10_240,
    "blank": " ",
}
#: what a job may be called, and no machine
PATHS = ["../x", "/etc/x", "a/../../etc/x", "..", "~root", "a/b"]
#: what nobody likes and anything may be called
ODD = [
    "😀",
    "-rf",
    "--help",
    "$(reboot)",
    "`reboot`",
    "'; DROP TABLE jobs; --",
    "<script>alert(1)</script>",
    "%00",
    "{x}",
]

unfit = pytest.mark.parametrize("name", UNFIT.values(), ids=UNFIT)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "x.db") as database:
        yield database


@pytest.fixture
def cli(db: Database, tmp_path: Path) -> Callable[..., Result]:
    """Return a function that runs statemachine-db in this process."""
    sockets = {"STATEMACHINE_CONTROL_PREFIX": str(tmp_path / "c"), "STATEMACHINE_EVENT_SOCKET": str(tmp_path / "e")}

    def run(*args: str) -> Result:
        return CliRunner().invoke(command, ["--db", str(db.path), *args], env=sockets)

    return run


@pytest.fixture
def post(db: Database, tmp_path: Path) -> Iterator[Callable[..., tuple[int, Any]]]:
    """Return a function that posts to the API."""
    app = create_app(db.path, event_socket=str(tmp_path / "e"), control_prefix=str(tmp_path / "c"))
    client, csrf = app.test_client(), monitor_of(app).csrf_token

    def send(path: str, body: Any) -> tuple[int, Any]:
        answer = client.post(path, json=body, headers={"X-CSRF-Token": csrf})
        return answer.status_code, answer.get_json()

    yield send
    monitor_of(app).close()


@unfit
def test_python_stores_nothing_under_hostile_names(db: Database, name: str) -> None:
    jobs = JobQueue(db)
    for refused in (
        lambda: jobs.add("t", job_id=name),
        lambda: jobs.add(name),
        lambda: jobs.add("t", machine_type=name),
        lambda: jobs.add("t", unique_key=name),
        lambda: mailbox.post(db, "m", name),
        lambda: mailbox.post(db, name, "go"),
        lambda: mailbox.post(db, "m", "go", job_id=name),
        lambda: mailbox.post(db, "m", "go", source=name),
    ):
        with pytest.raises((ValueRefused, ValueError)) as refusal:
            refused()
        assert str(refusal.value).isprintable()
        assert len(str(refusal.value)) < 200
    assert (jobs.list(), mailbox.list_(db)) == ([], [])


@unfit
def test_the_command_line_refuses_hostile_names_in_one_printable_line(
    db: Database, cli: Callable[..., Result], tmp_path: Path, name: str
) -> None:
    lines = tmp_path / "jobs.jsonl"
    lines.write_text(json.dumps({"job_id": name, "job_type": "t"}) + "\n")
    for args in (
        ["add-job", name, "--type", "t"],
        ["add-job", "--type", name],
        ["send-event", "--target", name, "--type", "go"],
        ["send-event", "--target", "m", "--type", name],
        ["add-jobs", str(lines)],
        ["details", name],
    ):
        done = cli(*args)
        said = done.output
        assert done.exit_code in (1, 2), args
        assert "Traceback" not in said
        assert all(line.isprintable() for line in said.splitlines()), said
        assert not any(line.startswith("2026-") for line in said.splitlines())
    assert mailbox.list_(db) == []
    assert JobQueue(db).list() == []


@unfit
def test_the_api_refuses_hostile_names(db: Database, post: Callable[..., tuple[int, Any]], name: str) -> None:
    assert post("/api/jobs", {"job_id": name, "job_type": "t"})[0] == 400
    assert post("/api/jobs", {"job_type": name})[0] == 400
    assert post("/api/machines/m/events", {"type": name})[0] in (400, 404)


@unfit
def test_a_datagram_with_hostile_names_is_refused(name: str) -> None:
    for message in ({"type": name}, {"type": "go", "job_id": name}, {"type": "go", "source": name}):
        with pytest.raises(datagrams.MalformedMessage) as refusal:
            datagrams.decode(json.dumps(message).encode("utf-8", "surrogatepass"), 0.0)
        assert str(refusal.value).isprintable()


@unfit
def test_a_yaml_file_with_hostile_names_is_refused_at_its_place(tmp_path: Path, name: str) -> None:
    text = json.dumps(name)
    for file in (
        f"metadata: {{machine_name: {text}}}\ninitial_state: a\nstates: [a]\n",
        f"initial_state: {text}\nstates: [{text}]\n",
        f"initial_state: a\nstates: [a]\nevents: [{text}]\n",
    ):
        (tmp_path / "m.yaml").write_text(file)
        with pytest.raises(ConfigError) as refusal:
            load(tmp_path / "m.yaml")
        assert all(line.isprintable() for line in str(refusal.value).splitlines())
        assert len(str(refusal.value)) < 25_000


@pytest.mark.parametrize("name", PATHS[:3] + PATHS[-1:])
def test_a_path_is_not_a_machine_name_and_makes_no_socket(
    db: Database, cli: Callable[..., Result], tmp_path: Path, name: str
) -> None:
    (tmp_path / "m.yaml").write_text("initial_state: a\nstates: [a]\n")
    with Runtime(db.url, control_prefix=str(tmp_path / "c")) as runtime, pytest.raises((ValueError, ConfigError)):
        runtime.add(tmp_path / "m.yaml", name)
    with pytest.raises(ValueRefused, match="must not contain '/'"):
        mailbox.post(db, name, "go")
    assert "must not contain '/'" in cli("send-event", "--target", name, "--type", "go").output
    assert not list(tmp_path.glob("c*"))


@pytest.mark.parametrize("name", PATHS + ODD)
def test_a_job_may_have_a_path_as_its_id_which_stays_data(
    db: Database, cli: Callable[..., Result], tmp_path: Path, name: str
) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    assert cli("add-job", "--type", "t", "--", name).exit_code == 0
    assert JobQueue(db).get(name).job_id == name  # type: ignore[union-attr]
    assert name in cli("list").output
    assert json.loads(cli("list", "--format", "json").output)[0]["job_id"] == name
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_datagram_to_a_path_leaves_the_host_s_sockets_alone(db: Database, tmp_path: Path) -> None:
    victim = tmp_path / "victim.sock"
    (tmp_path / "c-a").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(victim))
        with pytest.raises(ValueRefused):
            mailbox.post(db, "a/../victim", "go")
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(10)
