"""What the commands of `statemachine-system` share: which manifest is meant, and where its system is found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import F, db_given
from ..program import USAGE, Failure

if TYPE_CHECKING:
    from ...actors.system.control_server import Address
    from ...actors.system.manifest import Manifest

FILE_NAME = "statemachine-project.yaml"

_MANIFEST = "statemachine_engine.manifest"


def manifest_option(function: F) -> F:
    """`--manifest PATH`, on the group and on each of its commands alike."""

    def remember(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
        if value is not None:
            ctx.meta[_MANIFEST] = value

    return click.option(
        "--manifest",
        metavar="PATH",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=remember,
        help=f"The manifest, or its folder. [default: {FILE_NAME}]",
    )(function)


def manifest_path() -> Path:
    """The manifest that is meant, as an absolute path; it has to be there."""
    given: Path = click.get_current_context().meta.get(_MANIFEST) or Path(FILE_NAME)
    path = given.expanduser().resolve()
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        hint = "name one with --manifest" if given == Path(FILE_NAME) else "see docs/system.md for what stands in it"
        raise Failure(f"{path}: no such manifest; {hint}", USAGE)
    return path


def manifest() -> Manifest:
    """The manifest, read; its machines' files are not looked at."""
    from ...actors.system.manifest_file import read_manifest

    return read_manifest(manifest_path())


def address(control_socket_prefix: str | None) -> Address:
    """Where the system of the manifest is found; the manifest itself need not be in order."""
    from ...actors.sockets import unix_socket
    from ...actors.system.control_server import Address

    return Address.of(manifest_path(), unix_socket.control_prefix(control_socket_prefix))


def environment(
    manifest: Manifest, *, control_socket_prefix: str | None, event_socket_path: str | None
) -> dict[str, str]:
    """What shards and hooks get: database and sockets, as everybody on this system sees them."""
    from ...actors.sockets import unix_socket

    return {
        **os.environ,
        "STATEMACHINE_DB": manifest.db_url(db_given(), os.environ),
        "STATEMACHINE_CONTROL_PREFIX": os.path.abspath(unix_socket.control_prefix(control_socket_prefix)),
        "STATEMACHINE_EVENT_SOCKET": os.path.abspath(unix_socket.event_socket(event_socket_path)),
    }


def ask_status(place: Address) -> dict[str, Any] | None:
    """What the running system says of itself; None when it is not up."""
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
