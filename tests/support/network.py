"""Ports of one's own: a network that only this thread and the processes that it starts see."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import pytest

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


@contextmanager
def own_ports(wanted: Collection[int]) -> Iterator[None]:
    """Give the test its own loopback, with all ports free. Where that is forbidden, the `wanted` ports must be free."""
    libc = ctypes.CDLL(None, use_errno=True)
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET) != 0:
            _need(wanted)
            yield
            return
        try:
            _loopback_up()
            yield
        finally:
            assert libc.setns(outside, _CLONE_NEWNET) == 0, ctypes.get_errno()
    finally:
        os.close(outside)


def _loopback_up() -> None:
    with socket.socket() as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))


def _need(ports: Collection[int]) -> None:
    for port in ports:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            pytest.skip(f"port {port} is in use, and this system gives out no network of one's own: {error}")
