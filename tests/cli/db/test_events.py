"""Events from a shell."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any

import pytest

from statemachine_engine.actors.sockets import unix_socket
from statemachine_engine.storage import audit, machines, mailbox
from statemachine_engine.storage.mailbox import MAX_PAYLOAD_BYTES


def test_an_event_is_stored_notified_and_shown(place: Any, received: Any) -> None:
    control, monitor = place.listen(place.machine("worker1")), place.listen(place.events)

    result = place.db(
        "send-event",
        "--target",
        "worker1",
        "--type",
        "custom_event",
        "--job-id",
        "job123",
        "--payload",
        '{"data": "v"}',
    )

    assert result.exit_code == 0
    assert result.output == (
        "📡 Sent to WebSocket server for real-time UI update\n📡 Sent to worker1 control socket\n"
        "✅ Event sent successfully!\n   Event ID: 1\n   Target: worker1\n   Type: custom_event\n"
        '   Job ID: job123\n   Payload: {"data": "v"}\n'
    )
    (message,) = received(control)
    assert (message["type"], message["payload"], message["job_id"], message["event_id"]) == (
        "custom_event", {"data": "v"}, "job123", 1,
    )  # fmt: skip
    (envelope,) = received(monitor)
    assert (envelope["machine_name"], envelope["type"], envelope["payload"]) == ("cli", "custom_event", {"data": "v"})
    assert [message.type for message in mailbox.unread(place.open(), "worker1")] == ["custom_event"]


def test_an_event_that_the_monitor_receives_is_also_stored(place: Any, received: Any) -> None:
    monitor = place.listen(place.events)

    result = place.db(
        "send-event", "--target", "ui", "--type", "activity_log", "--source", "my_tool",
        "--payload", '{"message": "Task completed", "level": "SUCCESS"}',
    )  # fmt: skip

    assert result.exit_code == 0
    assert "📡 Sent to WebSocket server for real-time UI update\n✅ Event sent successfully!" in result.output
    (envelope,) = received(monitor)
    (row,) = audit.since(place.open(), 0, 10)
    assert envelope["machine_name"] == row.machine == "my_tool"
    assert envelope["id"] == row.id
    assert envelope["payload"] == {"message": "Task completed", "level": "SUCCESS"}


def test_the_page_needs_no_server_to_get_an_event_later(place: Any) -> None:
    result = place.db("send-event", "--target", "ui", "--type", "activity_log", "--require-running")

    assert result.exit_code == 0
    assert "WebSocket" not in result.output
    assert [event["status"] for event in place.json("list-events", "--target", "ui")] == ["processed"]


def test_an_event_for_a_machine_that_does_not_run_is_stored_and_that_is_said(place: Any) -> None:
    result = place.db("send-event", "--target", "nobody", "--type", "new_job")

    assert result.exit_code == 0
    assert "nobody is not running: the event is stored and delivered at its next start" in result.output
    assert "successfully" not in result.output
    assert [event["status"] for event in place.json("list-events", "--target", "nobody")] == ["pending"]


def test_require_running_exits_3_with_the_event_stored(place: Any) -> None:
    result = place.db("send-event", "--target", "nobody", "--type", "new_job", "--require-running")

    assert result.exit_code == 3
    assert len(place.json("list-events")) == 1


def test_a_killed_machine_does_not_count_as_running(place: Any) -> None:
    place.machine("killed", pid=dead_pid())

    assert place.db("send-event", "--target", "killed", "--type", "e", "--require-running").exit_code == 3


def test_a_machine_that_reads_only_its_mailbox_is_running(place: Any) -> None:
    place.machine("busy")

    result = place.db("send-event", "--target", "busy", "--type", "e", "--require-running")

    assert result.exit_code == 0
    assert "busy is running and will read it from the database\n✅ Event sent successfully!" in result.output


def test_a_machine_of_another_installation_is_found_by_the_prefix(place: Any, received: Any) -> None:
    control = place.listen(unix_socket.control_path(str(place.folder / "other"), "m"))

    result = place.db(
        "send-event", "--target", "m", "--type", "e", "--control-socket-prefix", str(place.folder / "other"),
        "--require-running",
    )  # fmt: skip

    assert result.exit_code == 0
    assert [message["type"] for message in received(control)] == ["e"]


def test_the_registry_knows_the_control_socket_better_than_the_prefix(place: Any, received: Any) -> None:
    own = place.folder / "elsewhere.sock"
    machines.acquire(
        place.open(), "m", incarnation="i", pid=os.getpid(), host=socket.gethostname(), config_type="m", state="s",
        control_socket=str(own), is_alive=lambda row: False,
    )  # fmt: skip
    control = place.listen(own)

    place.db("send-event", "--target", "m", "--type", "e")

    assert len(received(control)) == 1


@pytest.mark.parametrize(
    ("target", "matched"), [("all", ["a1", "a2", "b1"]), ("a*", ["a1", "a2"]), ("[ab]1", ["a1", "b1"])]
)
def test_all_and_globs_send_one_event_to_each_known_match(place: Any, target: str, matched: list[str]) -> None:
    for name in ("a1", "a2", "b1"):
        place.machine(name)

    result = place.db("send-event", "--target", target, "--type", "stop")

    assert result.exit_code == 0
    assert sorted(event["target_machine"] for event in place.json("list-events")) == matched


def test_a_glob_that_matches_nobody_sends_nothing_and_fails(place: Any) -> None:
    place.machine("a1")

    result = place.db("send-event", "--target", "x*", "--type", "stop")

    assert result.exit_code == 1
    assert result.stderr == "Error: No machine matches --target x*: nothing was sent (known machines: a1)\n"
    assert place.json("list-events") == []


def test_invalid_json_is_refused_before_anything_is_sent(place: Any) -> None:
    result = place.db("send-event", "--target", "m", "--type", "e", "--payload", "{oops")

    assert result.exit_code == 2
    assert "Invalid JSON payload" in result.stderr
    assert place.json("list-events") == []


def test_an_event_for_a_machine_cannot_pose_as_a_machines_own_report(place: Any, received: Any) -> None:
    monitor, control = place.listen(place.events), place.listen(place.machine("m"))

    result = place.db("send-event", "--target", "m", "--type", "state_change", "--payload", '{"to_state": "lie"}')

    assert result.exit_code == 0
    assert received(monitor) == []
    assert [message["type"] for message in received(control)] == ["state_change"]


def test_a_machine_that_takes_nothing_holds_the_sender_up_for_two_seconds_at_most(place: Any) -> None:
    control = place.listen(place.machine("stuffed"))
    fill(control)
    began_s = time.monotonic()

    result = place.db("send-event", "--target", "stuffed", "--type", "e")

    assert time.monotonic() - began_s < 10
    assert (result.exit_code, "stuffed is running and will read it" in result.output) == (0, True)


def test_a_payload_too_large_for_a_datagram_travels_as_the_stored_event(place: Any) -> None:
    place.listen(place.machine("m"))

    result = place.db("send-event", "--target", "m", "--type", "e", "--payload", json.dumps("x" * 200_000))

    assert result.exit_code == 0
    assert "m is running and will read it from the database" in result.output


def test_events_are_listed_newest_first_and_filtered(place: Any) -> None:
    for target, kind in (("a", "one"), ("a", "two"), ("b", "three")):
        place.db("send-event", "--target", target, "--type", kind, "--payload", '{"long": "' + "y" * 50 + '"}')

    lines = place.db("list-events", "--target", "a", "--limit", "10").stdout.splitlines()
    assert lines[0].split() == ["ID", "Target", "Type", "Job", "ID", "Status", "Created", "Payload"]
    assert [line.split()[2] for line in lines[1:]] == ["two", "one"]
    assert lines[1].endswith('{"long": "yyyyyyyyyyyyyyyyy...')
    assert [event["event_type"] for event in place.json("list-events", "--status", "pending", "--limit", "1")] == [
        "three"
    ]
    assert place.db("list-events", "--target", "c").output == "No events found\n"


def test_process_events_shows_what_waits_and_changes_nothing(place: Any) -> None:
    place.db("send-event", "--target", "m", "--type", "e")

    for _ in range(2):
        shown = place.db("process-events", "m").output
        assert shown.startswith("Pending events for machine 'm':\nID")
        assert "pending" in shown
    assert place.db("process-events", "n").output == "No pending events for machine 'n'\n"


def dead_pid() -> int:
    """Return the id of a process that has ended."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def fill(listener: socket.socket) -> None:
    """Send datagrams until the listener's queue takes no more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        try:
            while True:
                sender.sendto(b"{}", listener.getsockname())
        except BlockingIOError:
            return


def test_the_largest_payload_comes_from_a_file_and_one_byte_more_is_refused(place: Any) -> None:
    largest = "x" * (MAX_PAYLOAD_BYTES - 2)
    file = place.folder / "payload.json"
    file.write_text(json.dumps(largest))

    assert place.db("send-event", "--target", "m", "--type", "e", "--payload", f"@{file}").exit_code == 0
    file.write_text(json.dumps(largest + "x"))
    refused = place.db("send-event", "--target", "m", "--type", "e", "--payload", f"@{file}")

    assert refused.exit_code == 1
    assert f"{MAX_PAYLOAD_BYTES + 1} bytes is over the limit of {MAX_PAYLOAD_BYTES}" in refused.stderr
