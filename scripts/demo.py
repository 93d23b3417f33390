"""Run examples/file_intake on real files in ./demo with the monitor page, and end by itself or on Ctrl-C."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "file_intake"
MACHINES = (
    ("office", ["config/watcher.yaml", "config/controller.yaml"]),
    ("worker_1", ["config/worker.yaml", "--machine-name", "worker_1"]),
    ("worker_2", ["config/worker.yaml", "--machine-name", "worker_2"]),
)
GRACE_S = 15
PORT = 3001
PAGE_S = 20


class DemoFailed(Exception):
    """The demo did not do what it should."""


def main() -> int:
    args = parse_arguments()
    ends_at = time.monotonic() + args.seconds
    folder = args.folder.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="sm-demo-") as sockets:
        demo = Demo(folder, environment(sockets))
        try:
            demo.run(ends_at)
        except KeyboardInterrupt:
            print("\nInterrupted.")
        except DemoFailed as failure:
            print(f"\nThe demo failed: {failure}", file=sys.stderr)
            return 1
        finally:
            demo.stop()
    print(f"All of it is still there: {shown(folder)}/ (report.md, archive/, rejected/, logs/, data/pipeline.db)")
    return 0


class Demo:
    """A run of the demo: a copy of the example, its processes, and their results so far."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = env
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.port = free_port()
        self.page = f"http://127.0.0.1:{self.port}"

    def run(self, ends_at: float) -> None:
        self.prepare()
        self.start()
        expected = self.drop_files()
        self.follow(expected, ends_at)
        self.show_results()
        self.linger(ends_at)

    def prepare(self) -> None:
        print("File intake: a watcher turns dropped files into jobs, two workers check, compress and archive them,")
        print("a controller keeps the report. Three processes, four machines, one queue in a SQLite file.\n")
        if self.folder.exists():
            shutil.rmtree(self.folder)
        for part in ("bin", "config"):
            shutil.copytree(EXAMPLE / part, self.folder / part)
        for empty in ("inbox", "logs"):
            (self.folder / empty).mkdir()

    def start(self) -> None:
        print(f"In {shown(self.folder)}/, a copy of examples/file_intake, each with its log in logs/:")
        for name, arguments in MACHINES:
            self.launch(name, "statemachine", *arguments)
        self.launch("page", "statemachine-ui", "--port", str(self.port), "--no-websocket")
        self.until_page_answers()
        print(f"\nWatch it live: {self.page}", flush=True)

    def launch(self, name: str, *command: str) -> None:
        print(f"  $ {' '.join(command)}")
        with (self.folder / "logs" / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def until_page_answers(self) -> None:
        give_up_at = time.monotonic() + PAGE_S
        while True:
            self.check_processes()
            try:
                with urllib.request.urlopen(f"{self.page}/health", timeout=1):
                    return
            except OSError:
                if time.monotonic() > give_up_at:
                    raise DemoFailed(f"the page does not answer; see {shown(self.folder)}/logs/page.log") from None
            time.sleep(0.05)

    def drop_files(self) -> int:
        """Put the samples and some larger files into the inbox, and queue a job for a file that does not exist."""
        inbox = self.folder / "inbox"
        count = 1
        for name, content, checksum in files_to_drop():
            (inbox / f"{name}.sha256").write_text(f"{checksum}  {name}\n", encoding="utf-8")
            part = inbox / f"{name}.part"
            part.write_bytes(content)
            part.rename(inbox / name)
            count += 1
        print(f"\n{count - 1} files dropped into inbox/, two of them damaged. And a job for a file that is not there:")
        self.show("statemachine-db", "add-job", "lost", "--type", "intake", "--payload", LOST)
        return count

    def follow(self, expected: int, ends_at: float) -> None:
        """Print each file when the controller records it, until all are done."""
        seen = 0
        print()
        while seen < expected:
            self.check_processes()
            rows = self.ledger()
            for _, _, result, name, size, kept, note in rows[seen:]:
                told = f"{size} -> {kept} bytes" if result == "archived" else note
                print(f"  {'✓' if result == 'archived' else '✗'} {result}  {name}: {told}", flush=True)
            seen = len(rows)
            if time.monotonic() > ends_at:
                msg = f"{seen} of {expected} files were done in time; see {shown(self.folder)}/logs/"
                raise DemoFailed(msg)
            time.sleep(0.1)

    def ledger(self) -> list[list[str]]:
        ledger = self.folder / "ledger.tsv"
        text = ledger.read_text(encoding="utf-8") if ledger.exists() else ""
        return [line.split("\t") for line in text.splitlines(keepends=False)] if text.endswith("\n") else []

    def check_processes(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                log = (self.folder / "logs" / f"{name}.log").read_text(encoding="utf-8", errors="replace")
                msg = f"{name} ended with exit code {process.returncode}:\n{log[-2000:]}"
                raise DemoFailed(msg)

    def show_results(self) -> None:
        print("\nThe report, report.md:\n")
        print((self.folder / "report.md").read_text(encoding="utf-8"))
        print("What a user would ask:\n")
        self.show("find", "archive", "-type", "f", "-name", "*.gz")
        self.show("statemachine-db", "status")
        self.show("statemachine-db", "list", "--type", "intake", "--status", "failed")
        self.show("statemachine-db", "details", "lost")
        self.show("statemachine-db", "machine-state")

    def show(self, *command: str) -> None:
        """Run a command as a user would in the demo's folder, and print it with its output."""
        print("  $ " + " ".join(f"'{word}'" if set(word) & set('{*" ') else word for word in command))
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        print("\n".join(f"  {line}" for line in (done.stdout + done.stderr).rstrip().splitlines()), end="\n\n")
        if done.returncode:
            msg = f"{command[0]} ended with exit code {done.returncode}"
            raise DemoFailed(msg)

    def linger(self, ends_at: float) -> None:
        """Leave the machines running for the visitor's own files."""
        left = ends_at - time.monotonic()
        if left < 1:
            return
        inbox = shown(self.folder / "inbox")
        print(f"Your turn: drop files into {inbox}/, watch {self.page}, read report.md.")
        print(f"Ends in {left:.0f} s, or on Ctrl-C.")
        sys.stdout.flush()
        while time.monotonic() < ends_at:
            self.check_processes()
            time.sleep(0.2)

    def stop(self) -> None:
        """Ask every process to end, as a service manager would; kill those that do not."""
        for process in self.processes.values():
            process.terminate()
        for name, process in self.processes.items():
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                print(f"{name} did not end within {GRACE_S} s and is killed", file=sys.stderr)
                process.kill()
                process.wait()


LOST = '{"input_file_path": "inbox/lost.txt"}'


def files_to_drop() -> Iterator[tuple[str, bytes, str]]:
    """Yield the name, content and stated sha256 of each file."""
    for sample in sorted((EXAMPLE / "samples").iterdir()):
        if sample.suffix != ".sha256":
            content = sample.read_bytes()
            promise = sample.with_name(f"{sample.name}.sha256")
            yield sample.name, content, promise.read_text().split()[0] if promise.exists() else sha256(content)
    for name, content in larger_files():
        yield name, content, sha256(content)


def larger_files() -> Iterator[tuple[str, bytes]]:
    for month in range(1, 7):
        readings = "\n".join(
            f"2026-{month:02d}-{n % 28 + 1:02d},{n % 24}:00,{(n * month) % 311 / 10}" for n in range(20_000)
        )
        yield f"readings-2026-{month:02d}.csv", f"date,hour,celsius\n{readings}\n".encode()
    access = "\n".join(f"10.0.0.{n % 250} GET /page/{n * 7919 % 1000} {n % 97} ms" for n in range(50_000))
    yield "access.log", access.encode()
    yield "older.log.gz", gzip.compress(access[:100_000].encode(), mtime=0)
    yield 'it\'s "odd" $(date) & fine.txt', b"A file's name is data: it reaches the shell as it is and runs nothing.\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def environment(sockets: str) -> dict[str, str]:
    """Return the environment with our commands on PATH, and with sockets apart from those of other installations."""
    own = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "STATEMACHINE_CONTROL_PREFIX": f"{sockets}/control",
        "STATEMACHINE_EVENT_SOCKET": f"{sockets}/events.sock",
    }
    return {**{k: v for k, v in os.environ.items() if k != "STATEMACHINE_DB"}, **own}


def free_port() -> int:
    """Return the page's default port, or a free one if that is taken."""
    for port in (PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoFailed("no port is free on 127.0.0.1")


def shown(path: Path) -> str:
    """Return the path as text, relative to the current folder if it lies in it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long the demo lasts (default 60)")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where it works; emptied first")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
