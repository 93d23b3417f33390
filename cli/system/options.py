"""Options of `statemachine-system`, and the manifest and the running system that they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import db_given, db_option, inherited_option, socket_options, stacked
from ..program import USAGE, Failure

if TYPE_CHECKING:
    from ...actors.system.control_server import Address
    from ...actors.system.manifest import Manifest

FILE_NAME = "statemachine-project.yaml"

_MANIFEST = "statemachine_engine.manifest"


#: options of the group and each of its commands
system_options = stacked(
    inherited_option(
        _MANIFEST, "--manifest", metavar="PATH", type=click.Path(path_type=Path),
        help=f"The manifest, or its folder. [default: {FILE_NAME}]",
    ),
    db_option,
)  # fmt: skip

#: options of commands that talk to the running system
running_options = stacked(system_options, socket_options)


def manifest_path() -> Path:
    """Return the absolute path of the manifest; a Failure if it does not exist."""
    given: Path = click.get_current_context().meta.get(_MANIFEST) or Path(FILE_NAME)
    path = given.expanduser().resolve()
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        hint = "name one with --manifest" if given == Path(FILE_NAME) else "see docs/system.md for its keys"
        raise Failure(f"{path}: no such manifest; {hint}", USAGE)
    return path


def read_given_manifest() -> Manifest:
    """Read the manifest; the files of its machines are not read."""
    from ...actors.system.manifest_file import read_manifest

    return read_manifest(manifest_path())


def address(control_socket_prefix: str | None) -> Address:
    """Return the address of the manifest's system; the manifest itself may have errors."""
    from ...actors.sockets import unix_socket
    from ...actors.system.control_server import Address

    return Address.of(manifest_path(), unix_socket.control_prefix(control_socket_prefix))


def environment(
    manifest: Manifest, *, control_socket_prefix: str | None, event_socket_path: str | None
) -> dict[str, str]:
    """Return the environment of worker processes and hooks: database and sockets as all processes use them."""
    from ...actors.sockets import unix_socket

    return {
        **os.environ,
        "STATEMACHINE_DB": manifest.db_url(db_given(), os.environ),
        "STATEMACHINE_CONTROL_PREFIX": os.path.abspath(unix_socket.control_prefix(control_socket_prefix)),
        "STATEMACHINE_EVENT_SOCKET": os.path.abspath(unix_socket.event_socket(event_socket_path)),
    }


def ask_status(place: Address) -> dict[str, Any] | None:
    """Return the status of the running system; None when it is not up."""
    from ...actors.system.control_server import NotUp, ask

    try:
        return ask(place, "status", timeout_s=10.0) or None
    except NotUp:
        return None
    except TimeoutError:
        raise Failure(f"the system does not answer (process {_holder(place)}); a hook may be running") from None


def _holder(place: Address) -> str:
    try:
        return place.lock.read_text().strip() or "unknown"
    except OSError:
        return "unknown"
