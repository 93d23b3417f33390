"""Secrets are read when a machine starts, reach its actions, and appear in no output."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from statemachine_engine import ConfigError, Runtime
from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.definition.secrets import SecretFilter
from statemachine_engine.actors.system.manifest_file import read_manifest
from statemachine_engine.storage import masking, snapshots
from statemachine_engine.storage.engine.database import Database
from tests.support.page import free_port
from tests.support.project import Project
from tests.support.until import until
from tests.support.websocket import WebSocket

SECRET = "corr3ct-horse-battery"


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_pattern", None)
    monkeypatch.setattr(masking, "_forms", set())


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Runtime]:
    with Runtime(tmp_path / "x.db", sockets=False, actions_dir=tmp_path) as runtime:
        yield runtime


def written(folder: Path, context: Any, **more: Any) -> Path:
    path = folder / "m.yaml"
    path.write_text(yaml.safe_dump({"initial_state": "a", "context": context, **more}, sort_keys=False))
    return path


def test_a_secret_comes_from_the_environment_or_from_a_file_beside_the_machine_s(
    running: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("API_KEY", SECRET)
    (tmp_path / "key.txt").write_text("tr0ub4dor\n")
    (tmp_path / "key.txt").chmod(0o600)
    context = {"key": {"secret": "env:API_KEY"}, "db": {"host": "h", "words": [{"secret": "file:key.txt"}]}, "n": 1}

    found = running.add(written(tmp_path, context)).context

    assert (found["key"], found["db"], found["n"]) == (SECRET, {"host": "h", "words": ["tr0ub4dor"]}, 1)
    assert found["config"]["context"] == context
    assert "chmod" not in caplog.text


def test_a_value_given_at_the_start_replaces_the_secret_and_is_masked_too(running: Runtime, tmp_path: Path) -> None:
    machine = running.add(written(tmp_path, {"key": {"secret": "env:NOT_THERE"}}), context={"key": "given-instead"})

    assert machine.context["key"] == "given-instead"
    assert masking.masked("given-instead") == "***"


def test_a_machine_with_missing_secrets_does_not_start_and_every_one_is_named(
    running: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "")
    for name, content in {"empty": b"\n", "binary": b"\xff\xfe", "long": b"x" * 70_000}.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe")
    files = ["file:none", "file:.", "file:empty", "file:binary", "file:long", "file:pipe"]
    sources = ["env:NOT_THERE", "env:EMPTY", *files]
    path = written(tmp_path, {f"s{number}": {"secret": source} for number, source in enumerate(sources)})

    with pytest.raises(ConfigError) as refused:
        running.add(path)

    said = [str(problem) for problem in refused.value.problems]
    whys = ["is not set", "is empty", "No such file", "Is a directory", "is empty", "is not text", "longer than 64 KiB"]
    whys.append("is not a regular file")
    assert [why for why, text in zip(whys, said, strict=True) if why not in text] == []
    assert said[0].startswith(f"{path}:4:13: error: the environment variable NOT_THERE is not set\n  hint: ")
    assert running.machines() == []


def test_a_file_that_others_can_read_and_a_short_value_are_warnings(
    running: Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "key.txt").write_text("abc")
    (tmp_path / "key.txt").chmod(0o644)

    assert running.add(written(tmp_path, {"key": {"secret": "file:key.txt"}})).context["key"] == "abc"

    assert f"chmod 600 {tmp_path}/key.txt" in caplog.text
    assert "shorter than 4 characters" in caplog.text


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ("{Secret: env:KEY}", "4:9: warning: a secret has no key 'Secret': this is a mapping with the text 'env:KEY'"),
        ("[{secert: file:key}]", "4:10: warning: a secret has no key 'secert'"),
        (
            "{secret: env:KEY, default: x}",
            "4:9: warning: this is not a secret but a mapping with the text 'env:KEY', since",
        ),
    ],
)
def test_a_mapping_that_is_almost_a_secret_is_a_warning(context: str, expected: str) -> None:
    machine = load_text(f"initial_state: a\nstates: [a]\ncontext:\n  key: {context}")

    (warning,) = (problem for problem in machine.warnings if problem.code == "W004")
    assert str(warning).startswith(f"<string>:{expected}"), str(warning)
    assert "secret" in str(warning.hint)


def test_a_mapping_that_has_the_key_secret_among_others_is_not_a_secret() -> None:
    values = "{secret: x, n: 1}, {secrets: [1]}, {path: file:key}, {secret_from: vault}"
    machine = load_text(f"initial_state: a\nstates: [a]\ncontext:\n  keys: [{values}]")

    assert not [problem for problem in machine.warnings if problem.code == "W004"]


def test_a_manifest_cannot_pass_secrets(tmp_path: Path) -> None:
    written(tmp_path, {})
    manifest = tmp_path / "statemachine-project.yaml"
    manifest.write_text("machines:\n  - config: m.yaml\n    initial_context: {key: {secret: env:X}}\n")

    with pytest.raises(ConfigError, match=r":3:37: error: "):
        read_manifest(manifest)


def test_a_resumed_machine_reads_its_secret_again_and_none_was_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(
        tmp_path,
        {"key": {"secret": "env:API_KEY"}},
        on_restart="resume",
        transitions=[{"from": "a", "to": "b", "event": "go"}],
        actions={"b": [{"type": "set_context", "key": "header", "value": "Bearer {key}", "success": None}]},
    )
    with Database.open(tmp_path / "x.db") as db:
        for value, state in ((SECRET, "b"), ("a-newer-one", "b")):
            monkeypatch.setenv("API_KEY", value)
            with Runtime(db, sockets=False) as runtime:
                machine = runtime.add(path, "m")
                machine.send("go")
                machine.wait_for(state, 5)
                until(lambda machine=machine: machine.context.get("header"))  # type: ignore[misc]
                assert machine.context["key"] == value
            saved = snapshots.get(db, "m")
            assert saved is not None
            assert "key" not in saved.context
            assert saved.context["header"] == "Bearer ***"


def test_log_lines_and_tracebacks_show_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    masking.mask(SECRET)
    log = logging.getLogger("test_secret")
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(SecretFilter())
    log.addHandler(handler)
    try:
        log.warning("key %s and %r", SECRET, {"key": SECRET})
        log.warning("wrong %d", SECRET)
        try:
            raise ValueError(SECRET)
        except ValueError:
            log.exception("failed")
    finally:
        log.removeHandler(handler)

    said = capsys.readouterr().err
    assert SECRET not in said
    assert "key *** and {'key': '***'}\nwrong %d ('***',)\nfailed\nTraceback" in said
    assert "ValueError: ***" in said


HARD = 'Zx9-pässwörd"quote/+S3cretZ'
PARTS = ("Zx9-p", "S3cretZ")
"""The beginning and end of HARD, which every encoded form of it contains."""

EVERYWHERE = """
import threading, warnings
from statemachine_engine.actions import BaseAction
class TellAction(BaseAction):
    def execute(self, context):
        key = context["key"]
        self.logger.error("python knows %s", key)
        self.logger.error("its bytes are %s and %r", key.encode(), [key])
        warnings.warn(f"python warns of {key}")
        thread = threading.Thread(target=int, args=(key,), name="reckless")
        thread.start()
        thread.join()
        self.services.publish("told", {"said": [f"<{key}>"], key: 1, "bytes": key.encode()})
        context["derived"] = f"Bearer {key}"
        context[key] = "as a key"
        context["length"] = len(key)
        raise ConnectionError(f"refused: {key}")
"""
MACHINE = """
initial_state: waiting
context:
  key: {secret: env:API_KEY}
final: [end]
on_restart: resume
transitions:
  - {from: waiting, to: busy, event: new_job}
  - {from: busy, to: using, event: told}
  - {from: using, to: failing, event: job_done}
  - {from: failing, to: ending, event: error}
  - {from: ending, to: end, event: job_enqueued}
actions:
  waiting: [{type: check_database_queue, job_type: t}]
  busy:
    - {type: tell, error: told, retry: {max: 1, delay: 0}}
  using:
    - {type: log, message: "using {key}"}
    - type: bash
      command: 'echo {key} >&2; test {key} = "$API_KEY" && printf "%s" {key} > used; echo {key}; echo ''{key|raw}'''
      store_as: said
  failing:
    - {type: send_event, target_machine: other, event_type: told, payload: {key: "{key}"}, success: null}
    - {type: complete_job, result: {key: "{key}", said: "{said}"}, success: null}
    - {type: bash, command: 'echo {key} >&2; exit 3'}
  ending:
    - {type: enqueue_job, job_type: more, data: {key: "{key}"}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with closing(Project(tmp_path)) as project:
        yield project


def test_a_secret_is_used_by_every_kind_of_action_and_shows_nowhere(tmp_path: Path, project: Project) -> None:
    (tmp_path / "tell_action.py").write_text(EVERYWHERE)
    (tmp_path / "m.yaml").write_text(MACHINE)
    project.env["API_KEY"] = HARD
    project.shell("statemachine-db add-job j --type t")
    port = free_port()
    project.start(f"statemachine-ui --no-websocket --port {port}")
    until(lambda: accepts(port), timeout_s=30)

    with WebSocket(port) as stream:
        project.start("statemachine m.yaml --actions-dir . --debug").wait(30)
        frames = [stream.receive()]
        while "end" not in json.dumps(frames[-1].get("payload")):
            frames.append(stream.receive())

    assert (tmp_path / "used").read_text() == HARD
    told = project.shell(
        "statemachine-events --no-follow --format json; statemachine-db details j; statemachine-db list"
    )
    answers = api_of(port)
    for what, text in {
        "the log": project.log(),
        "the events": told,
        "the page's stream": json.dumps(frames),
        **answers,
        **{file.name: file.read_bytes().decode("latin-1") for file in (tmp_path / "data").iterdir()},
    }.items():
        assert [part for part in PARTS if part in text] == [], what
    for said in ("python knows ***", "its bytes are b'***' and ['***']", "warns of ***", "thread reckless failed"):
        assert said in project.log()
    assert '"said": ["<***>"], "***": 1, "bytes": "b\'***\'"' in told
    assert "told" in {frame["type"] for frame in frames}
    assert json.loads(answers["/api/machines/m/context"])["context"]["***"] == "as a key"
    assert project.job("j")["result"] == {"key": "***", "said": "***\n***"}


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def api_of(port: int) -> dict[str, str]:
    """Return all answers of the API about machine m and job j, and the metrics."""
    paths = json.loads(got(port, "/api/openapi.json"))["paths"]
    asked = [path for path, verbs in paths.items() if "get" in verbs and "{diagram}" not in path]
    filled = [path.format(name="m", machine="m", job_id="j") for path in asked]
    return {path: got(port, path) for path in (*filled, "/metrics", "/")}


def got(port: int, path: str) -> str:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        text: str = answer.read().decode()
    return text


def test_a_missing_secret_ends_the_command_and_its_place_is_shown(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MACHINE)
    project = Project(tmp_path)

    said = project.shell("statemachine m.yaml 2>&1", code=2)

    assert "m.yaml:4:17: error: the environment variable API_KEY is not set" in said
    assert "hint: start the machine with API_KEY=... in its environment" in said
    project.close()


def test_secrets_are_not_passed_on_a_command_line(tmp_path: Path) -> None:
    (tmp_path / "child.yaml").write_text("initial_state: a\nstates: [a]\n")
    start = {
        "type": "start_fsm",
        "yaml_path": str(tmp_path / "child.yaml"),
        "machine_name": "c",
        "isolation": "process",
    }
    start |= {"context_vars": ["plain", "key"], "store_pid": True}
    masking.mask(SECRET)
    with Runtime(tmp_path / "x.db", control_prefix=str(tmp_path / "c"), event_socket=str(tmp_path / "e")) as runtime:
        machine = runtime.add(
            {"initial_state": "a", "actions": {"a": [start]}}, "m", {"plain": "x1", "key": f"Bearer {SECRET}"}
        )
        (pid,) = until(lambda: machine.context.get("spawned_pids"))
        cmdline = Path(f"/proc/{pid}/cmdline")
        words = until(lambda: "--initial-context" in cmdline.read_text() and cmdline.read_text().split("\0"))
        assert words[words.index("--initial-context") + 1] == '{"plain": "x1"}'
