"""No signal is lost, whatever the main thread waits for."""

from __future__ import annotations

import subprocess
import sys

# The thread that gets the signal is not the main one: the kernel's choice when it falls just before the main one waits.
SCRIPT = """
import signal, sys, threading
from statemachine_engine.cli.signals import ending_signals

handled, never = [], threading.Lock()
done = threading.Lock()
done.acquire()
never.acquire()

def handle(number):
    handled.append(number)
    if len(handled) == 2:
        done.release()

def send():
    while not main_waits():
        pass
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.pthread_kill(threading.get_ident(), number)

def main_waits():
    return sys._current_frames()[main].f_code.co_name == "wait_for_it"

def wait_for_it():
    done.acquire()

main = threading.get_ident()
with ending_signals(handle):
    threading.Thread(target=send).start()
    wait_for_it()
print(handled)
"""

IGNORED = """
import os, signal, threading
from statemachine_engine.cli.signals import ending_signals

signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as nohup does with SIGHUP
handled, done = [], threading.Event()

def handle(number):
    handled.append(number)
    done.set()

with ending_signals(handle):
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    done.wait()
print(*handled, "alone")
"""


def test_signals_reach_their_handler_in_order_while_the_main_thread_waits_for_a_lock() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout in ("[15, 2]\n", "[2, 15]\n")


def test_what_the_parent_has_us_ignore_stays_ignored() -> None:
    done = subprocess.run([sys.executable, "-c", IGNORED], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout == "2 alone\n"


DUMPED = """
import logging, os, signal, threading
from statemachine_engine.cli.signals import ending_signals

def wait_for_tea():
    tea.wait()

tea, logged = threading.Event(), threading.Event()
logging.basicConfig(format="%(message)s")

class Heard(logging.Handler):
    def emit(self, record):
        logged.set()

logging.getLogger().addHandler(Heard())
threading.Thread(target=wait_for_tea, name="tea", daemon=True).start()
with ending_signals(print, lambda: ["one machine"]):
    os.kill(os.getpid(), signal.SIGUSR1)
    logged.wait()
    os.kill(os.getpid(), signal.SIGUSR2)
"""


def test_sigusr1_and_sigusr2_show_every_thread_and_end_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", DUMPED], capture_output=True, text=True, timeout=30, check=True)

    readable, _, raw = done.stderr.partition("Thread 0x")
    assert "one machine\n" in readable
    assert "thread tea:" in readable
    assert "in wait_for_tea\n" in readable
    assert "in wait_for_tea\n" in raw


HUNG_UP = """
import os, signal, threading
from statemachine_engine.cli.signals import ending_signals

handled, done = [], threading.Event()

def handle(number):
    handled.append(number)
    if number == signal.SIGTERM:
        done.set()

with ending_signals(handle):
    for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(os.getpid(), number)
    done.wait()
print(*handled)
"""


def test_a_terminal_that_is_closed_is_heard_of_once_though_the_shell_tells_it_too() -> None:
    done = subprocess.run([sys.executable, "-c", HUNG_UP], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout == "1 2 15\n"
