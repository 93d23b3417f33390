"""Nothing that a user or sender writes becomes program text: each call that could do this is listed with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("actors", "storage", "web", "cli", "compat")

#: calls that run text as a program, or build objects from text
FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.execve", "os.execvp", "os.spawnv",
    "pickle.load", "pickle.loads", "marshal.loads", "shelve.open", "yaml.load", "yaml.load_all", "yaml.unsafe_load",
    "yaml.full_load", "importlib.import_module", "subprocess.run", "subprocess.Popen", "subprocess.call",
    "subprocess.check_call", "subprocess.check_output", "subprocess.getoutput", "asyncio.create_subprocess_shell",
    "asyncio.create_subprocess_exec", "render_template_string", "Markup",
    "import_module", "loader.exec_module",
}  # fmt: skip

#: place -> why it may
ALLOWED = {
    "actors/processes/command.py: subprocess.Popen": "the bash action, whose values are environment variables",
    "actors/processes/child_process.py: subprocess.Popen": "our own interpreter, with a list of words",
    "actors/system/hooks.py: subprocess.run": "the manifest's own hooks, whose text no value is put into",
    "cli/system/run.py: subprocess.Popen": "our own interpreter, with a list of words",
    "actors/actions/registry.py: import_module": "a built-in action, whose file is looked for by name first",
    "actors/actions/custom.py: loader.exec_module": "the user's own actions",
    "cli/diagrams.py: import_module": "our own modules, from a table in the code",
    "cli/program.py: importlib.import_module": "our own modules, from a table in the code",
}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(ROOT)}: {ast.unparse(node.func)}", node


def test_each_call_that_could_run_text_is_listed_with_a_reason() -> None:
    found = {place for place, _ in calls() if place.partition(": ")[2] in FORBIDDEN}
    assert found == set(ALLOWED)


def test_no_command_is_given_to_a_shell_by_python() -> None:
    for place, call in calls():
        assert not any(keyword.arg == "shell" for keyword in call.keywords), place


def test_templates_of_the_page_escape_every_value() -> None:
    for path in (ROOT / "web" / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "|safe" not in text.replace(" ", "")
        assert "autoescape false" not in text
    for path in (ROOT / "web" / "static").rglob("*.js"):
        if "vendor" not in path.parts:
            text = path.read_text(encoding="utf-8")
            for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
                assert word not in text, f"{path.name}: {word}"
