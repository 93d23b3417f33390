"""Writing log lines while nobody reads them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import pytest

from statemachine_engine.actors.logs.log_writer import MOST_WAITING, LogWriter
from tests.support.until import until


class Pipe(NamedTuple):
    """Both ends."""

    reader: BinaryIO
    writing: int


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    with open(reading, "rb") as reader:
        yield Pipe(reader, writing)
    os.close(writing)


def say(writer: LogWriter, text: str) -> None:
    writer.handle(logging.LogRecord("a", logging.INFO, __file__, 1, "%s", (text,), None))


def test_lines_come_in_order_and_all_are_out_after_a_flush(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writing)
    for number in range(1000):
        say(writer, str(number))
    writer.flush()

    assert [int(pipe.reader.readline()) for _ in range(1000)] == list(range(1000))


def test_lines_wait_for_a_reader_and_those_without_room_are_counted_at_their_place(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writing)
    long = "x" * (MOST_WAITING // 10 + 1)
    say(writer, long)  # more than a pipe takes
    until(writer.queue.empty)
    for _ in range(15):
        say(writer, long)

    for _ in range(10):
        assert pipe.reader.readline() == long.encode() + b"\n"
    say(writer, "after")
    assert pipe.reader.readline() == b"6 lines are left out here: nobody took them in time\n"
    assert pipe.reader.readline() == b"after\n"


def test_lines_that_were_left_out_last_are_counted_by_a_flush(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writing)
    say(writer, "x" * MOST_WAITING)
    say(writer, "left out")
    pipe.reader.readline()
    writer.flush()
    assert pipe.reader.readline() == b"1 lines are left out here: nobody took them in time\n"


def test_a_process_that_is_forked_has_a_thread_of_its_own_to_write(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writing)
    say(writer, "parent")
    writer.flush()

    child = os.fork()
    if child == 0:
        say(writer, "child")
        writer.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    os.set_blocking(pipe.reader.fileno(), False)
    assert pipe.reader.read() == b"parent\nchild\n"


def test_lines_for_a_reader_that_is_gone_are_thrown_away(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writing)
    pipe.reader.close()
    for number in range(3):
        say(writer, str(number))
        writer.flush()
    assert writer.queue.empty()


def test_a_pipe_that_somebody_has_made_non_blocking_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing, False)
    writer = LogWriter(pipe.writing)
    say(writer, "x" * 1_000_000)

    assert len(pipe.reader.readline()) == 1_000_001
