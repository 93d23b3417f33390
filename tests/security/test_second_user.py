"""A second user of this computer, a real account, can neither read, send, squat nor delay anything."""

from __future__ import annotations

import http.client
import json
import os
import re
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.storage import problems
from statemachine_engine.storage.engine.database import Database
from tests.security.conftest import Place
from tests.support.otheruser import OtherUser
from tests.support.project import Project
from tests.support.until import until

READ = """
for name in args:
    try:
        print(name, "read", len(open(name, "rb").read()))
    except OSError as error:
        print(name, errno.errorcode[error.errno])
"""
SEND = """
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
try:
    sock.sendto(args[1].encode(), args[0])
    print("sent")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
#: holds a socket that everybody may write to, and tells in the end how many datagrams it got
SQUAT = """
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(args[0])
os.chmod(args[0], 0o666)
print("ready", flush=True)
sys.stdin.readline()
sock.setblocking(False)
try:
    print("got", sock.recv(100000))
except BlockingIOError:
    print("got nothing")
"""
ASK = """
for path in args[1:]:
    with socket.create_connection(("127.0.0.1", int(args[0])), timeout=10) as sock:
        sock.sendall(f"{path} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n".encode())
        said = b""
        while part := sock.recv(65536):
            said += part
    print(said.decode().splitlines()[0], said.decode().splitlines()[-1])
"""


@pytest.fixture(scope="module")
def page(running: Place) -> int:
    """The port of the first user's page, which runs."""
    return start_page(running.project)


# Files


def test_every_file_of_a_project_is_closed_to_him_whatever_the_umask(running: Place, mallory: OtherUser) -> None:
    files = [path for path in (running.project.folder / "data").iterdir() if path.name != "m.yaml"]
    assert {path.name for path in files} == {"pipeline.db", "pipeline.db-wal", "pipeline.db-shm"}
    answers = mallory.run(READ, *files).splitlines()
    assert [answer.split()[1] for answer in answers] == ["EACCES"] * 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((running.project.folder / "data").stat().st_mode) == 0o700


def test_the_attacks_are_real_he_reads_what_is_open(place: Place, mallory: OtherUser) -> None:
    assert " read " in mallory.run(READ, place.project.folder / "m.yaml")
    assert mallory.run("print(os.getuid(), os.getgroups())") == f"{mallory.uid} []"


def test_a_database_that_another_user_has_laid_out_is_refused_by_his_name(place: Place, mallory: OtherUser) -> None:
    path = place.resources / "laid-out.db"
    path.touch()
    os.chown(path, 1, 1)
    path.chmod(0o666)
    program = """
    from statemachine_engine.storage.engine.database import Database
    try:
        Database.open(args[0])
    except Exception as error:
        print(error)
    """
    said = mallory.run(program, path, load="statemachine_engine.storage.engine.database")
    assert re.search(r"it belongs to user \w+ \(uid 1\), not to us or root: remove it if you may, or name a", said)


@pytest.mark.parametrize("suffix", ["-wal", "-journal", "-shm"])
def test_a_file_that_he_puts_beside_a_database_is_not_read(place: Place, mallory: OtherUser, suffix: str) -> None:
    mallory.run("open(args[0], 'w').write('x' * 5000)", place.resources / f"x.db{suffix}")

    said = place.project.shell(f"statemachine-db status --db {place.resources / 'x.db'}", code=1)

    assert f"belongs to user {mallory.name} (uid {mallory.uid})" in said
    assert "Traceback" not in said


def test_a_link_of_his_in_a_database_s_place_is_not_followed(place: Place, mallory: OtherUser) -> None:
    mallory.run("os.symlink(args[0], args[1])", place.project.folder / "made.db", place.resources / "x.db")

    assert mallory.name in place.project.shell(f"statemachine-db status --db {place.resources / 'x.db'}", code=1)

    assert not (place.project.folder / "made.db").exists()


# Sockets


@pytest.mark.parametrize("name", ["control-m.sock", "events.sock"])
def test_he_can_send_to_no_socket_and_remove_none(running: Place, mallory: OtherUser, page: int, name: str) -> None:
    until((running.resources / name).is_socket)
    assert mallory.run(SEND, running.resources / name, '{"type": "go"}') == "EACCES"
    assert mallory.run("try: os.unlink(args[0])\nexcept OSError as e: print(e.errno)", running.resources / name)
    assert running.project.state("m") == "waiting"
    assert stat.S_IMODE((running.resources / name).stat().st_mode) == 0o600


def test_even_if_the_socket_is_open_to_all_the_senders_user_id_counts(running: Place, mallory: OtherUser) -> None:
    (running.resources / "control-m.sock").chmod(0o666)

    assert mallory.run(SEND, running.resources / "control-m.sock", '{"type": "go"}') == "sent"

    running.project.until_logged(f"refused a datagram of 14 bytes (1 so far): sent by user {mallory.name}")
    with Database.open(running.project.folder / "data" / "pipeline.db") as db:
        until(lambda: ("stranger_refused", 1, 0.0) in problems.counts(db))
    assert running.project.state("m") == "waiting"


def test_his_socket_under_our_machine_s_name_neither_stops_nor_delays_it(place: Place, mallory: OtherUser) -> None:
    with mallory.running(SQUAT, place.resources / "control-m.sock") as squatter:
        machine = place.project.start("statemachine m.yaml")
        place.project.until_logged(f"it belongs to user {mallory.name} (uid {mallory.uid})")
        place.project.until_state("m", "waiting")
        found = re.search(r"its control socket is (\S+)", place.project.log())
        assert found is not None
        hidden = Path(found[1])
        assert stat.S_IMODE(hidden.parent.stat().st_mode) == 0o700

        place.project.shell("statemachine-db send-event --target m --type go")
        place.project.until_state("m", "moved")
        assert squatter.communicate("\n")[0] == "got nothing\n"

        machine.terminate()
        machine.wait(20)
    assert not hidden.parent.exists()


def test_what_is_sent_to_a_name_that_he_squats_goes_to_the_mailbox_alone(place: Place, mallory: OtherUser) -> None:
    with mallory.running(SQUAT, place.resources / "control-m.sock") as squatter:
        begun_s = time.monotonic()
        place.project.shell("statemachine-db send-event --target m --type go --payload '{\"secret\": 1}'")
        assert time.monotonic() - begun_s < 10
        assert squatter.communicate("\n")[0] == "got nothing\n"
    (event,) = place.project.json("statemachine-db list-events")
    assert (event["event_type"], event["status"]) == ("go", "pending")


def test_nothing_is_published_to_an_event_socket_that_he_squats(place: Place, mallory: OtherUser) -> None:
    with mallory.running(SQUAT, place.resources / "events.sock") as squatter:
        place.project.start("statemachine m.yaml")
        place.project.until_state("m", "waiting")
        place.project.shell("statemachine-db send-event --target m --type go")
        place.project.until_state("m", "moved")
        place.project.until_logged(f"nothing is published: {place.resources / 'events.sock'}")
        assert squatter.communicate("\n")[0] == "got nothing\n"


def test_links_of_his_at_our_sockets_are_not_followed(place: Place, mallory: OtherUser) -> None:
    (place.project.folder / "precious").write_text("kept")
    mallory.run(
        "for name in ('control-m.sock', 'events.sock'): os.symlink(args[0] + '/precious', f'{args[1]}/{name}')",
        place.project.folder, place.resources,
    )  # fmt: skip

    place.project.start("statemachine m.yaml")
    place.project.until_logged(f"control-m.sock is not used, for it belongs to user {mallory.name}")
    place.project.until_state("m", "waiting")

    assert (place.project.folder / "precious").read_text() == "kept"


def test_neither_a_lock_nor_a_log_of_a_system_goes_through_a_link_of_his(place: Place, mallory: OtherUser) -> None:
    place.project.folder.joinpath("statemachine-project.yaml").write_text(
        f"logs_dir: {place.resources}\nmachines: [m.yaml]\n"
    )
    (place.project.folder / "precious").write_text("kept")
    mallory.run("os.symlink(args[0], args[1])", place.project.folder / "precious", place.resources / "system.log")

    said = place.project.shell("statemachine-system up --detach", code=1)
    assert str(place.resources / "system.log") in said
    assert "Traceback" not in said

    mallory.run("os.unlink(args[0])", place.resources / "system.log")
    lock = lock_of(place.project)
    mallory.run("open(args[0], 'w').close(); os.chmod(args[0], 0o666)", lock)
    said = place.project.shell("statemachine-system up", code=1)
    assert f"{lock} is not used, for it belongs to user {mallory.name}" in said
    assert (place.project.folder / "precious").read_text() == "kept"


def test_he_cannot_answer_in_the_place_of_a_system(place: Place, mallory: OtherUser) -> None:
    (place.project.folder / "statemachine-project.yaml").write_text("machines: [m.yaml]\n")
    program = SQUAT.replace("SOCK_DGRAM", "SOCK_STREAM").replace("print(", "sock.listen(); print(", 1)
    with mallory.running(program, str(lock_of(place.project)).replace(".lock", ".sock")):
        for command in ("status", "down", "up"):
            assert mallory.name in place.project.shell(f"statemachine-system {command}", code=1, timeout_s=20)


# The page


def test_he_sees_nothing_of_the_page_and_may_do_nothing(page: int, mallory: OtherUser) -> None:
    paths = ["GET /", "GET /api/machines", "GET /api/config", "GET /metrics", "GET /health", "POST /csp-report",
             "POST /api/machines/m/events", "GET /ws/events"]  # fmt: skip
    answers = mallory.run(ASK, page, *paths).splitlines()
    assert len(answers) == len(paths)
    for answer in answers:
        assert answer.startswith("HTTP/1.1 403 Forbidden This page is for user ")
        assert f"this is user {mallory.name} (uid {mallory.uid}). Start statemachine-ui with --shared" in answer
    assert ask(page, "/api/machines")[0] == 200


def test_a_request_whose_sender_is_gone_is_refused(page: int, mallory: OtherUser, running: Place) -> None:
    csrf = json.loads(ask(page, "/api/config")[1])["csrf_token"]
    body = '{"type": "go"}'
    request = (
        f"POST /api/machines/m/events HTTP/1.1\r\nHost: localhost\r\nX-CSRF-Token: {csrf}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    mallory.run(
        "for _ in range(300):\n"
        "    with socket.create_connection(('127.0.0.1', int(args[0]))) as sock: sock.sendall(args[1].encode())",
        page, request,
    )  # fmt: skip
    assert ask(page, "/api/machines")[0] == 200
    assert running.project.json("statemachine-db list-events") == []


def test_hundreds_of_connections_of_his_delay_nobody(page: int, mallory: OtherUser) -> None:
    program = """
    held = []
    for _ in range(900):
        sock = socket.create_connection(("127.0.0.1", int(args[0])))
        sock.sendall(b"GET / HT")
        held.append(sock)
    print("ready", flush=True)
    time.sleep(60)
    """
    with mallory.running(program, page):
        begun_s = time.monotonic()
        assert ask(page, "/api/machines")[0] == 200
        assert time.monotonic() - begun_s < 10


def test_a_page_that_is_shared_lets_him_in(running: Place, mallory: OtherUser) -> None:
    port = start_page(running.project, "--shared")
    assert mallory.run(ASK, port, "GET /api/machines").startswith("HTTP/1.1 200")


def test_a_page_with_a_token_lets_him_in_who_knows_it(running: Place, mallory: OtherUser) -> None:
    port = start_page(running.project, "--token", "secret")
    assert mallory.run(ASK, port, "GET /api/machines").startswith("HTTP/1.1 401")
    known = ASK.replace("Connection: close", "Connection: close\\r\\nAuthorization: Bearer secret")
    assert mallory.run(known, port, "GET /api/machines").startswith("HTTP/1.1 200")


# Helpers


def start_page(project: Project, *args: str) -> int:
    """Start statemachine-ui, wait until it is ready, and return its port."""
    pattern = re.compile(r"Monitor: http://127\.0\.0\.1:(\d+)/")
    before = len(pattern.findall(project.log()))
    project.start(f"statemachine-ui --port 0 --no-websocket {' '.join(args)}")
    port = int(until(lambda: pattern.findall(project.log())[before:], 20)[0])

    def ready() -> bool:
        try:
            return ask(port, "/ready")[0] == 200
        except OSError:
            return False

    until(ready)
    return port


def ask(port: int, path: str) -> tuple[int, str]:
    """Send a request as the first user."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def lock_of(project: Project) -> Any:
    """Return the lock file of the project's system."""
    from statemachine_engine.actors.system.control_server import Address

    manifest = (project.folder / "statemachine-project.yaml").resolve()
    return Address.of(manifest, project.env["STATEMACHINE_CONTROL_PREFIX"]).lock
