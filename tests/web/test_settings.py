"""By which names the server may be called, and who can reach it."""

from __future__ import annotations

import socket

import pytest

from statemachine_engine.web.settings import Settings, is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
def test_loopback_is_this_computer_alone(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.0.2.1", "example.org", "localhost.example.org", "2130706433"]
)
def test_everything_else_may_be_reached_from_elsewhere(host: str) -> None:
    assert not is_loopback(host)


def test_a_server_of_this_computer_knows_only_its_names() -> None:
    settings = Settings(allowed_hosts=("proxy.example",))
    assert all(settings.knows(name) for name in ("localhost", "LOCALHOST", "127.0.0.1", "[::1]", "proxy.example"))
    assert not any(settings.knows(name) for name in ("", "example.org", "192.0.2.1", "localhost.example.org"))


def test_a_server_on_one_address_knows_that_one_too() -> None:
    settings = Settings(host="192.0.2.1")
    assert settings.knows("192.0.2.1")
    assert not settings.knows("192.0.2.2")


def test_a_server_on_all_addresses_knows_all_figures_and_its_host_name() -> None:
    settings = Settings(host="0.0.0.0")
    assert all(settings.knows(name) for name in ("192.0.2.2", "[2001:db8::1]", socket.gethostname()))
    assert not settings.knows("example.org")
