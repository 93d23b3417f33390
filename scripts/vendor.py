"""Fetch the browser libraries of web/static/vendor/ from npm: run `scripts/vendor.py` after a change of VERSIONS."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[1] / "web" / "static" / "vendor"

VERSIONS = {"preact": "11.2.0", "htm": "3.1.1", "@mermaid-js/tiny": "11.17.2"}

# package, file in it, name here
FILES = (
    ("preact", "dist/preact.mjs", "preact.js"),
    ("preact", "hooks/dist/hooks.mjs", "preact-hooks.js"),
    ("preact", "LICENSE", "preact.LICENSE.txt"),
    ("htm", "dist/htm.mjs", "htm.js"),
    ("htm", "LICENSE", "htm.LICENSE.txt"),
    ("@mermaid-js/tiny", "dist/mermaid.tiny.js", "mermaid.js"),
    ("@mermaid-js/tiny", "LICENSE", "mermaid.LICENSE.txt"),
)

# A browser without an import map (which would have to be inline) needs addresses instead of package names.
IMPORTS = {'from"preact"': 'from"./preact.js"', 'from "preact"': 'from "./preact.js"'}


def main() -> None:
    VENDOR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        packages = {name: fetch(name, version, Path(scratch)) for name, version in VERSIONS.items()}
        for package, source, name in FILES:
            text = (packages[package] / source).read_text(encoding="utf-8")
            (VENDOR / name).write_text(adapted(text), encoding="utf-8")
    (VENDOR / "versions.json").write_text(json.dumps(manifest(), indent=2) + "\n", encoding="utf-8")


def fetch(name: str, version: str, scratch: Path) -> Path:
    """Download a package, unpack it, and return its folder."""
    folder = scratch / name.replace("/", "-")
    folder.mkdir()
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), f"{name}@{version}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def adapted(text: str) -> str:
    for name, address in IMPORTS.items():
        text = text.replace(name, address)
    kept = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL=")]
    return "\n".join(kept) + "\n"


def manifest() -> dict[str, object]:
    files = {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for _, _, name in FILES}
    return {"packages": VERSIONS, "sha256": files}


if __name__ == "__main__":
    main()
