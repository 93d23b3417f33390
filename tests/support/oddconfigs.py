"""Legal configurations with names that nobody would choose, the same for the same seed."""

from __future__ import annotations

from random import Random
from typing import Any

KEYWORDS = [
    "end", "state", "note", "class", "click", "style", "direction", "default", "scale", "href", "as", "fork", "join",
    "choice", "stateDiagram", "start", "start1", "end1", "root", "root_start", "root_end", "any_state", "main",
    "MAIN", "accTitle", "accDescr", "classDef", "hide", "left", "right", "constructor", "toString", "__proto__",
    "hasOwnProperty", "graph", "digraph", "node", "edge", "subgraph", "strict", "END", "State", "Note",
]  # fmt: skip
PHRASES = [
    "[*]", "a b", "a-b", "a_b", "a  b", " a", "a ", "a.b", "a:b", "a::b", "a;b", "a#b", "a#35;b", "#quot;", "&amp;",
    '"', "'", '"quoted"', "`code`", "```", "**bold**", "- item", "1. item", "1", "007", "9lives", "<b>", "<<fork>>",
    "[[join]]", "{", "}", "{a: 1}", "--", "-->", "a --> b", "%%", "%%{init: {}}%%", "direction TB", "direction  LR",
    "state x {", "note left of a", "end note", "hide empty description", "accTitle: x", "class a b", "\\n", "\\", "/",
    "C:\\temp", "$$x$$", "www.example.com", "a@b.c", "fa:fa-car", "ﬂ°°59¶ß", "×", "|", "a|b", "~~x~~", "!", "?", "=",
    "Ждать", "待機中", "état", "🚀", "👩‍🚀 go", "e\u0301", "ימין לשמאל", "\u00a0nbsp\u00a0", "ß", "İ", "²",
    "\ufeff", "e\u200dx",
    "timeout(", "x" * 300, "Ж" * 100, "a b " * 30, "a-" * 40,
]  # fmt: skip
GROUPS = [
    "IDLE",
    "idle",
    "JOB HANDLING",
    "JOBHANDLING",
    "main",
    "MAIN",
    "end",
    "any_state",
    "../up",
    *KEYWORDS,
    *PHRASES,
]
TIMEOUTS = ["timeout(5)", "timeout(.5)", "timeout(1m30s)"]
EVENTS = ["new_job", "job_done", "error", "stop", "shutdown", "no_jobs", "go on"]


def odd_config(seed: int) -> dict[str, Any]:
    """Make a mapping in the shape of a configuration file."""
    random = Random(seed)
    states = _names(random, random.randint(1, 12))
    names = [state for state in states if state not in ("stopped",)]
    groups = random.sample(GROUPS, random.randint(0, 3))
    return {
        **({"name": random.choice(PHRASES)} if random.random() < 0.7 else {}),
        "description": " ".join(random.sample(PHRASES, 3)),
        "metadata": {"machine_name": f"machine {seed}", "version": random.choice(["1.0", 2, None, "a|b"])},
        "initial_state": names[0],
        "states": {state: _state(random, groups) for state in states},
        "final": random.sample(names[1:], min(len(names) - 1, random.randint(0, 2))),
        "events": {event: {"description": random.choice(PHRASES)} for event in _names(random, 3)},
        "transitions": [_transition(random, names) for _ in range(random.randint(0, 12))],
    }


# Helpers


def _names(random: Random, count: int) -> list[str]:
    names = [random.choice([*KEYWORDS, *PHRASES]) for _ in range(count)]
    names += [random.choice(names) + random.choice(["_2", "_start", "_end", " ", "-", "_"]) for _ in range(count // 3)]
    if random.random() < 0.3:
        names.append("".join(chr(random.choice([*range(33, 127), *range(0xA1, 0x500)])) for _ in range(12)))
    return list(dict.fromkeys(name for name in names if name.strip() and name != "*"))


def _state(random: Random, groups: list[str]) -> dict[str, Any]:
    return {
        **({"group": random.choice(groups)} if groups and random.random() < 0.8 else {}),
        **({"description": random.choice(PHRASES)} if random.random() < 0.3 else {}),
        **({"actions": [{"type": "log", "message": "x"}]} if random.random() < 0.3 else {}),
    }


def _transition(random: Random, states: list[str]) -> dict[str, Any]:
    source: Any = random.choice(["*", *states, *states])
    if source != "*" and random.random() < 0.2:
        source = list(dict.fromkeys(random.choices(states, k=3)))
    transition: dict[str, Any] = {"from": source, "event": _event(random)}
    if random.random() < 0.15:
        transition["internal"] = True
    else:
        transition["to"] = random.choice(states)
    if random.random() < 0.2:
        transition["actions"] = [{"type": random.choice(["log", "bash", "my action", "a:b;c"]), "command": "true"}]
    if random.random() < 0.1:
        transition["interrupt"] = random.random() < 0.5
    return transition


def _event(random: Random) -> str:
    return random.choice([random.choice(EVENTS), random.choice(EVENTS), random.choice(PHRASES + KEYWORDS), *TIMEOUTS])
