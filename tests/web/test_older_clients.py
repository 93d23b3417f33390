"""A client written to the older engines' descriptions of their sockets, WebSocket and routes works unchanged."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from statemachine_engine import Runtime
from statemachine_engine.actors.sockets import unix_socket
from statemachine_engine.cli.diagrams import diagrams
from tests.support.until import until
from tests.web.conftest import Site

CONFIG = """
name: Call
description: Handles calls
metadata: {machine_name: telephony}
initial_state: idle
states:
  # === WAITING STATES ===
  - idle
  # === LINE STATES ===
  - ringing
  - talking
events: [call, answer, stop]
transitions:
  - {from: idle, to: ringing, event: call}
  - {from: ringing, to: talking, event: answer}
  - {from: talking, to: idle, event: hang_up}
  - {from: '*', to: idle, event: error}
actions:
  talking:
    - {type: log, message: "hello {event_data.payload.who}", level: info}
    - {type: bash, command: "exit 3", success: fine}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config" / "telephony.yaml"
    path.parent.mkdir()
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_the_stream_of_a_machine_has_the_older_shapes(site: Site, config: Path, tmp_path: Path) -> None:
    """Part II, sections 9 and 10: what arrives on the event socket arrives here, type by type."""
    settings = site.monitor.settings
    with site.follow() as ws:
        initial = ws.receive()
        assert initial.keys() >= {"type", "machines", "timestamp"}
        with Runtime(
            db=site.db.url, control_prefix=settings.control_prefix, event_socket=settings.event_socket
        ) as runtime:
            runtime.add(config)
            registered = ws.until("machine_registered")
            control = unix_socket.control_path(settings.control_prefix or "", "telephony")
            for message in ({"type": "call", "payload": {}}, {"type": "answer", "payload": {"who": "Ada"}}):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                    sender.sendto(json.dumps(message).encode(), str(control))
            change = ws.until("state_change")
            received = ws.until("activity_log")
            error = ws.until("error")
            ws.send("refresh")
            row = ws.until("initial")["machines"][0]
        terminated = ws.until("machine_terminated")

    for message in (registered, change, received, error, terminated):
        assert message["machine_name"] == "telephony"
        assert message["type"] == message["event_type"]
    assert registered["payload"].keys() >= {"machine_name", "config_type", "current_state", "timestamp"}
    assert change["payload"].keys() >= {"from_state", "to_state", "event_trigger", "timestamp"}
    assert received["payload"].keys() >= {"message", "level"}
    assert error["payload"].keys() >= {"error_message", "job_id", "timestamp"}
    assert terminated["payload"].keys() >= {"machine_name", "config_type", "timestamp"}
    assert row.keys() >= {"machine_name", "current_state", "last_activity", "metadata", "running", "config_type"}
    assert row["running"] is True


def test_what_is_sent_to_the_page_is_relayed(site: Site) -> None:
    """`send-event --target ui --type activity_log`, as its mirror on the event socket had it."""
    site.happen(("my_tool", "activity_log", {"message": "Processing...", "level": "INFO"}))
    with site.follow("?since=0") as ws:
        ws.receive()
        message = ws.receive()
    assert (message["machine_name"], message["type"]) == ("my_tool", "activity_log")
    assert message["payload"] == {"message": "Processing...", "level": "INFO"}


def test_health_and_the_initial_message_are_there_over_http(site: Site) -> None:
    site.happen(("m", "activity_log", {}))
    until(lambda: site.get("/health")["last_event_time"] is not None)
    health = site.get("/health")
    assert health.keys() == {
        "status", "connections", "last_event_time", "seconds_since_last_event", "unix_socket_active",
    }  # fmt: skip
    assert health["status"] == "ok"
    assert 0 <= health["seconds_since_last_event"] < 60
    assert site.get("/initial")["type"] == "initial"


def test_config_says_where_the_stream_is(make_site: Callable[..., Site]) -> None:
    site = make_site(port=3001, websocket_port=3002)
    config = site.get("/api/config")
    assert config["websocket_url"] == f"ws://127.0.0.1:{site.port}/ws/events"
    assert (config["websocket_port"], config["ui_port"]) == (3002, 3001)


@pytest.mark.parametrize("generated", [True, False], ids=["generated files", "straight from the definition"])
def test_the_diagram_routes_have_the_older_shapes(site: Site, config: Path, generated: bool) -> None:
    """Part II, section 11; a machine whose diagrams nobody generated has them too."""
    if generated:
        done = CliRunner().invoke(
            diagrams, [str(config), "--output-dir", str(config.parents[1] / "docs" / "fsm-diagrams")]
        )
        assert done.exit_code == 0, done.output

    whole = site.get("/api/diagram/telephony")
    assert whole["machine_name"] == "telephony"
    assert whole["diagram"].startswith("stateDiagram-v2")

    metadata = site.get("/api/diagram/telephony/metadata")
    assert metadata["machine_name"] == "telephony"
    assert metadata["template"] is False
    assert list(metadata["diagrams"]) == ["main", "WAITING", "LINE"]
    assert metadata["diagrams"]["main"].keys() >= {"file", "title", "description", "composites"}

    main = site.get("/api/diagram/telephony/main")
    assert main.keys() == {"machine_name", "diagram_name", "mermaid_code", "metadata"}
    assert main["diagram_name"] == "main"
    assert main["metadata"]["composites"] == ["WAITING", "LINE"]
    assert main["metadata"]["diagrams"] == metadata["diagrams"]

    call = site.get("/api/diagram/telephony/LINE")["metadata"]
    assert (call["parent"], call["states"]) == ("main", ["ringing", "talking"])
    assert (call["entry_states"], call["exit_states"]) == (["ringing"], ["talking"])


def test_a_diagram_that_is_not_there_says_which_are(site: Site, config: Path) -> None:
    answer = site.ask("/api/diagram/telephony/NOPE")
    assert answer.status == 404
    assert answer.json["available_diagrams"] == ["main", "WAITING", "LINE"]
    assert answer.json["machine_name"] == "telephony"
    answer = site.ask("/api/diagram/nobody/main")
    assert answer.status == 404
    assert answer.json.keys() == {"error", "hint"}
    assert site.ask("/api/diagram/nobody").json.keys() == {"error", "hint"}


def test_an_instance_has_the_diagrams_of_the_longest_name_that_begins_its_own(site: Site, config: Path) -> None:
    CliRunner().invoke(diagrams, [str(config), "--output-dir", str(config.parents[1] / "docs" / "fsm-diagrams")])

    assert site.get("/api/diagram/telephony-CA1/metadata")["machine_name"] == "telephony"


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..%2fetc", "%2e%2e%2fsecret", ".", "a%00b", "%2fetc"])
@pytest.mark.parametrize("rest", ["", "/metadata", "/main", "/..%2fsecret", "/%2e%2e"])
def test_no_name_leads_out_of_the_folder(site: Site, name: str, rest: str) -> None:
    root = site.folder
    (root / "secret").mkdir()
    (root / "secret" / "metadata.json").write_text('{"diagrams": {"main": {"file": "main.mermaid"}}}')
    (root / "secret" / "main.mermaid").write_text("secret")
    (root / "docs" / "fsm-diagrams").mkdir(parents=True)

    answer = site.ask(f"/api/diagram/{name}{rest}")
    assert answer.status in (400, 404)
    assert "secret" not in answer.text.replace("%2fsecret", "").replace("/secret", "")


def test_a_metadata_file_cannot_name_files_elsewhere(site: Site) -> None:
    folder = site.folder / "docs" / "fsm-diagrams" / "odd"
    folder.mkdir(parents=True)
    (site.folder / "docs" / "secret.mermaid").write_text("secret")
    entry = {"file": "../../secret.mermaid"}
    (folder / "metadata.json").write_text(json.dumps({"diagrams": {"main": entry, "b": 1, "c": {"file": 2}}}))
    for name in "main", "b", "c":
        assert site.ask(f"/api/diagram/odd/{name}").status == 404


def test_events_over_http_are_not_gone_any_more(site: Site) -> None:
    """The older engines answered 410 here."""
    assert site.ask("/api/events").status == 200
