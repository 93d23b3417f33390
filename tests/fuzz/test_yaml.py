"""Mutated configurations are loaded, linted and drawn, or refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from statemachine_engine.actors.definition.loader import load
from statemachine_engine.actors.errors import ConfigError
from statemachine_engine.actors.lint.examine import examine_text
from statemachine_engine.actors.system.manifest_file import read_manifest
from statemachine_engine.storage.names import UNSAFE, escaped
from tests.fuzz import hostile
from tests.fuzz.campaign import campaign

ROOT = Path(__file__).parents[2]
FILES = [path.read_bytes() for path in sorted((ROOT / "examples").glob("*/config/*.yaml"))]
MANIFESTS = [(ROOT / "statemachine-project.yaml").read_bytes()]


@pytest.mark.timeout(3600)
def test_each_file_is_a_machine_or_refused_with_its_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"

    def attack(rng: random.Random) -> str:
        manifest = rng.random() < 0.1
        data = hostile.broken(rng, rng.choice(MANIFESTS if manifest else FILES))
        file.write_bytes(data)
        try:
            if manifest:
                read_manifest(file)
            else:
                load(file)
        except ConfigError as error:
            tell(error)
            outcome = "refused"
        else:
            outcome = "loaded"
        if not manifest and rng.random() < 0.3:
            examine_text(data.decode("utf-8", "replace").replace("actions_root", "actions_r00t"), str(file))
        return outcome

    outcomes = campaign("YAML files", attack, long=20_000, short=120)
    assert set(outcomes) == {"refused", "loaded"}


def tell(error: ConfigError) -> None:
    """Return the text that the command line prints."""
    for line in str(error).split("\n"):
        assert not UNSAFE.search(escaped(line))
