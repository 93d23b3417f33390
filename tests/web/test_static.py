"""The page's files: what is vendored is what npm has, and everything that is needed is there."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

WEB = Path(__file__).parents[2] / "web"
STATIC = WEB / "static"
VENDOR = STATIC / "vendor"
#: loaded when it is needed, or not a module
NOT_PRELOADED = {"app.js", "theme.js", "vendor/mermaid.js"}


def test_vendored_files_are_unchanged_and_have_their_licences() -> None:
    versions = json.loads((VENDOR / "versions.json").read_text())
    for name, digest in versions["sha256"].items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
    assert {path.name for path in VENDOR.iterdir()} == {*versions["sha256"], "versions.json"}
    assert len(list(VENDOR.glob("*.LICENSE.txt"))) == len(versions["packages"])


def test_the_template_preloads_every_module() -> None:
    template = (WEB / "templates" / "monitor.html").read_text()
    listed = re.search(r"for module in \[(.*?)\]", template, re.DOTALL)
    assert listed is not None
    modules = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.js")}
    assert set(json.loads(f"[{listed[1]}]")) == modules - NOT_PRELOADED


def test_a_module_imports_only_what_is_there() -> None:
    for path in STATIC.rglob("*.js"):
        for name in re.findall(r'(?:^|[;}])(?:import|export)[^;]*?from ?"([^"]+)"', path.read_text(), re.MULTILINE):
            if path.name != "mermaid.js":
                assert name.startswith("."), (path, name)
                assert (path.parent / name).resolve().is_file(), (path, name)


def test_no_file_of_ours_speaks_to_anybody_else_or_writes_markup() -> None:
    for path in [
        *STATIC.glob("*.js"),
        *STATIC.glob("views/*.js"),
        *STATIC.glob("*.css"),
        *WEB.glob("templates/*.html"),
    ]:
        text = path.read_text()
        assert not re.search(r"https?://|innerHTML|outerHTML|dangerouslySet|document\.write|eval\(", text), path
