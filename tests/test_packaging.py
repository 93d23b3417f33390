"""setup.cfg names every package on disk: an editable install hides one that it forgets."""

import configparser
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("actors", "cli", "compat", "storage", "web")


def installed_name(folder: Path) -> str:
    """statemachine_engine.<path>; compat/ holds the seed's names and adds none of its own."""
    parts = folder.relative_to(ROOT).parts
    return ".".join(("statemachine_engine", *(parts[1:] if parts[:1] == ("compat",) else parts)))


def test_setup_cfg_lists_every_package() -> None:
    cfg = configparser.ConfigParser()
    cfg.read(ROOT / "setup.cfg")
    on_disk = {"statemachine_engine"} | {
        installed_name(init.parent) for name in FOLDERS for init in (ROOT / name).rglob("__init__.py")
    }

    assert set(cfg["options"]["packages"].split()) == on_disk


@pytest.mark.parametrize("name", FOLDERS)
def test_no_folder_becomes_a_top_level_name_of_its_own(name: str) -> None:
    assert importlib.util.find_spec(name) is None
