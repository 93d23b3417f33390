"""Every kind of mistake in a machine's file is refused with its place and code; an arrow marks the place."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.errors import ConfigError

ARROW = "➤"
GOOD = "initial_state: a\ntransitions:\n  - {from: a, to: b, event: e}\n"
DECLARED = "states: [waiting, working]\n"


class Bad(NamedTuple):
    title: str
    text: str
    code: str
    hint: str = ""


def without_arrows(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the text to load, and the line and column of each arrow."""
    before, places = "", []
    for part in text.split(ARROW)[:-1]:
        before += part
        places.append((before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1))
    return text.replace(ARROW, ""), places


def in_action(text: str) -> str:
    """Return a machine whose state `a` has one action with these lines."""
    return GOOD + "actions:\n  a:\n    - " + text.replace("\n", "\n      ")


SYNTAX = [
    Bad("a bracket that is never closed", "initial_state: [a\n➤", "E017"),
    Bad("a quote that is never closed", 'name: x\ninitial_state: ➤"a\n', "E017"),
    Bad("a tab as indentation", "transitions:\n➤\t- from: a\n", "E017"),
    Bad("an unquoted star", "transitions:\n  - from: *➤\n", "E017"),
    Bad("an unquoted colon", "name: Worker➤: fast\n", "E017"),
    Bad("an unquoted at sign", "name: ➤@home\n", "E017"),
    Bad("a value that begins with a placeholder", "name: {id} ➤done\n", "E017"),
    Bad("a key in the wrong column", "initial_state: a\n b➤: c\n", "E017"),
    Bad("two documents", "initial_state: a\n➤---\ninitial_state: b\n", "E017"),
    Bad("a control character", "name: 'a➤\x07'\n", "E017"),
    Bad("a lone surrogate", "name: ➤\ud800\n", "E017"),
    Bad("deep nesting", "context: " + "[" * 64 + "➤[" + "[" * 200_000, "E017"),
    Bad("an alias without an anchor", "initial_state: a\nstates: ➤*all\n", "E017"),
    Bad("a misspelt alias", "x-a: &states [a]\nstates: ➤*state\n", "E017", "did you mean 'states'?"),
    Bad("an alias inside itself", "context: &c\n  c: ➤*c\n", "E017"),
    Bad("a tag of a Python object", GOOD + "context: {a: ➤!!python/object:os.system x}\n", "E017"),
    Bad("a tag on a list", GOOD + "context: {a: ➤!!set [x]}\n", "E017"),
    Bad("a tag that does not fit", GOOD + "context: {a: ➤!!int x}\n", "E017"),
    Bad("a hexadecimal number without an end", GOOD + f"context: {{a: ➤0x{'f' * 5000}}}\n", "E017"),
    Bad("a base-60 number without an end", GOOD + f"context: {{a: ➤1{':59' * 200_000}}}\n", "E017"),
    Bad("a base-60 fraction without an end", GOOD + f"context: {{a: ➤1{':59' * 200_000}.5}}\n", "E017"),
    Bad("a list as a key", GOOD + "context: {➤[a]: b}\n", "E011"),
    Bad("a merge of what is no mapping", GOOD + "context:\n  <<: [➤1]\n", "E017"),
    Bad("a key given twice", "initial_state: a\nname: x\n➤initial_state: b\n", "E018"),
    Bad("a state's actions given twice", GOOD + "actions:\n  a: []\n  ➤a: []\n", "E018"),
]

WHOLE = [
    Bad("an empty file", "➤", "E000"),
    Bad("only comments", "➤# nothing\n\n", "E000"),
    Bad("a list", "➤- from: a\n", "E000"),
    Bad("a text", "➤hello\n", "E000"),
    Bad("no initial state", "➤transitions:\n  - {from: a, to: b, event: e}\n", "E001"),
    Bad("an unknown initial state", DECLARED + "initial_state: ➤wating\n", "E001", "did you mean 'waiting'?"),
    Bad("a star as initial state", 'initial_state: ➤"*"\n', "E002"),
    Bad("a list as initial state", "initial_state: ➤[a]\n", "E011"),
    Bad("no value as initial state", "initial_state:➤\nstates: [waiting]\n", "E011"),
    Bad("a title that is a list", GOOD + "name: ➤[a]\n", "E015"),
    Bad("a description that is a mapping", GOOD + "description: ➤{a: b}\n", "E015"),
    Bad("metadata that is text", GOOD + "metadata: ➤worker\n", "E015"),
    Bad("a machine name with a slash", GOOD + "metadata:\n  machine_name: ➤a/b\n", "E019"),
    Bad("a machine name with NUL", GOOD + 'metadata: {machine_name: ➤"a\\0b"}\n', "E011"),
    Bad("an empty machine name", GOOD + 'metadata: {machine_name: ➤""}\n', "E011"),
    Bad("a number as machine name", GOOD + "metadata: {machine_name: ➤42}\n", "E011"),
    Bad("a machine name too long for a socket", GOOD + f"metadata: {{machine_name: ➤{'m' * 77}}}\n", "E019"),
    Bad("a template that is no flag", GOOD + "template: ➤perhaps\n", "E015"),
    Bad("an actions folder that is a list", GOOD + "actions_root: ➤[a]\n", "E015"),
    Bad("an unknown policy", GOOD + "on_unhandled: ➤errors\n", "E015", "did you mean 'error'?"),
    Bad("an error policy that is text", GOOD + "on_error: ➤retry\n", "E015"),
    Bad("a negative number of tries", GOOD + "on_error: {tries: ➤-1}\n", "E015"),
    Bad("a delay that is no duration", GOOD + "on_error: {delay: ➤soon}\n", "E015"),
    Bad("a factor below one", GOOD + "on_error: {factor: ➤0.5}\n", "E015"),
    Bad("a retry that is a number", in_action("{type: x, retry: ➤3}\n"), "E015"),
    Bad("a negative number of retries", in_action("{type: x, retry: {max: ➤-1}}\n"), "E015"),
    Bad("half a retry", in_action("{type: x, retry: {max: ➤1.5}}\n"), "E015"),
    Bad("retries as a word", in_action("{type: x, retry: {max: ➤often}}\n"), "E015"),
    Bad("a wait between retries that is none", in_action("{type: x, retry: {delay: ➤-1}}\n"), "E015"),
    Bad("a longest wait that is none", in_action("{type: x, retry: {max_delay: ➤[1]}}\n"), "E015"),
    Bad("waits that get shorter", in_action("{type: x, retry: {factor: ➤0.5}}\n"), "E015"),
    Bad("more jitter than wait", in_action("{type: x, retry: {jitter: ➤2}}\n"), "E015"),
    Bad("negative jitter", in_action("{type: x, retry: {jitter: ➤-1}}\n"), "E015"),
    Bad("a retry after success", in_action("{type: x, retry: {on: [75, ➤0]}}\n"), "E015"),
    Bad("a retry after a list", in_action("{type: x, retry: {on: [➤[1]]}}\n"), "E015"),
    Bad("a retry after a path", in_action("{type: x, retry: {on: ➤a.B}}\n"), "E015"),
    Bad("a retry under params", in_action("{type: x, params: {retry: ➤on}}\n"), "E015"),
    Bad("a context that is a list", GOOD + "context: ➤[a]\n", "E015"),
    Bad("a context key of the engine", GOOD + "context:\n  x: 1\n  ➤current_job: 2\n", "E019"),
    Bad("a secret from nowhere", GOOD + "context: {key: {secret: ➤hunter2}}\n", "E015"),
    Bad("a secret that is a list", GOOD + "context: {a: [{secret: ➤[x]}]}\n", "E015"),
    Bad("a secret of a bad name", GOOD + "context: {a: {b: {secret: ➤env:1X}}}\n", "E015"),
    Bad("a number as context key", GOOD + "context: {➤1: a}\n", "E011"),
]

STATES = [
    Bad("states that are text", "initial_state: a\nstates: ➤a, b\n", "E015"),
    Bad("an unquoted yes", "initial_state: waiting\nstates:\n  - waiting\n  - ➤yes\n", "E011"),
    Bad("an unquoted number", "initial_state: waiting\nstates: [waiting, ➤1.5]\n", "E011"),
    Bad("an unquoted null", "initial_state: waiting\nstates: [waiting, ➤null]\n", "E011"),
    Bad("an item without a name", "initial_state: waiting\nstates:\n  - waiting\n  -➤\n", "E011"),
    Bad("an unquoted off as a key", "initial_state: waiting\nstates:\n  waiting:\n  ➤off:\n", "E011"),
    Bad("an empty name", "initial_state: waiting\nstates: [waiting, ➤'']\n", "E011"),
    Bad("a line break in a name", 'initial_state: waiting\nstates: [waiting, ➤"a\\nb"]\n', "E011"),
    Bad("a star as a state", 'initial_state: waiting\nstates: [waiting, ➤"*"]\n', "E002"),
    Bad("a mapping in the list", "initial_state: waiting\nstates: [waiting, ➤{a: b}]\n", "E011"),
    Bad("a state that is a list", "states: {waiting: ➤[a]}\n", "E015"),
    Bad("an unknown outcome", "states: {waiting: {outcome: ➤good}}\n", "E015"),
    Bad("a final that is no flag", "states: {waiting: {final: ➤sometimes}}\n", "E015"),
    Bad("a group that is a list", "states: {waiting: {group: ➤[a]}}\n", "E015"),
    Bad("an unknown parent", "states: {waiting: {parent: ➤wait}}\n", "E002", "'waiting'?"),
    Bad("a state in itself", "states:\n  waiting: {parent: b}\n  b: {parent: ➤waiting}\n", "E002"),
    Bad("an unknown final state", GOOD + "final: [➤c]\n", "E002"),
    Bad("an unknown outcome of a final state", GOOD + "final: {b: ➤bad}\n", "E015"),
    Bad("a final state unknown in a map", GOOD + "final: {➤c: failure}\n", "E002"),
    Bad("an unknown state in a group", GOOD + "state_groups: {G: [a, ➤z]}\n", "E002"),
    Bad("groups that are a list", GOOD + "state_groups: ➤[a]\n", "E015"),
]

EVENTS = [
    Bad("events that are text", GOOD + "events: ➤e\n", "E015"),
    Bad("an unquoted on", GOOD + "events: [e, ➤on]\n", "E011"),
    Bad("an event that is a list", GOOD + "events: {e: ➤[x]}\n", "E015"),
    Bad("a context map that is a list", GOOD + "events: {e: {context_map: ➤[x]}}\n", "E015"),
    Bad("an empty step in a path", GOOD + "events: {e: {context_map: {x: ➤payload..id}}}\n", "E013"),
    Bad("a number for a context key", GOOD + "events: {e: {context_map: {➤5: payload}}}\n", "E011"),
    Bad("a number as a path", GOOD + "events: {e: {context_map: {x: ➤5}}}\n", "E013"),
    Bad("a context key of the engine", GOOD + "events: {e: {context_map: {➤config: payload.x}}}\n", "E019"),
]

TRANSITIONS = [
    Bad("transitions that are a mapping", "initial_state: a\ntransitions: ➤{from: a}\n", "E015"),
    Bad("a transition that is text", "initial_state: a\ntransitions:\n  - ➤a to b\n", "E015"),
    Bad("no from", "initial_state: a\ntransitions:\n  - ➤to: b\n    event: e\n", "E010"),
    Bad("no to", "initial_state: a\ntransitions:\n  - ➤from: a\n    target: b\n    event: e\n", "E010", "of 'target'?"),
    Bad("no event", "initial_state: a\ntransitions:\n  - ➤from: a\n    to: a\n    evnt: e\n", "E010", "of 'evnt'?"),
    Bad("an empty list of sources", "initial_state: a\ntransitions:\n  - {from: ➤[], to: a, event: e}\n", "E015"),
    Bad("a mapping as source", "initial_state: a\ntransitions:\n  - {from: ➤{}, to: a, event: e}\n", "E011"),
    Bad(
        "an unknown source", DECLARED + "transitions:\n  - {from: ➤work, to: waiting, event: e}\n", "E002", "'working'?"
    ),
    Bad(
        "one unknown source of two",
        DECLARED + "transitions:\n  - {from: [waiting, ➤x], to: waiting, event: e}\n",
        "E002",
    ),
    Bad(
        "an unknown target",
        DECLARED + "transitions:\n  - from: waiting\n    to: ➤worknig\n    event: e\n",
        "E002",
        "'working'?",
    ),
    Bad("a star as target", 'initial_state: a\ntransitions:\n  - {from: a, to: ➤"*", event: e}\n', "E002"),
    Bad("an unquoted no as target", "initial_state: a\ntransitions:\n  - {from: a, to: ➤no, event: e}\n", "E011"),
    Bad("an unquoted yes as event", "initial_state: a\ntransitions:\n  - {from: a, to: a, event: ➤yes}\n", "E011"),
    Bad("a number as event", "initial_state: a\ntransitions:\n  - {from: a, to: a, event: ➤404}\n", "E011"),
    Bad("a list of events", "initial_state: a\ntransitions:\n  - {from: a, to: a, event: ➤[e]}\n", "E011"),
    Bad(
        "a timeout without a number",
        "initial_state: a\ntransitions:\n  - {from: a, to: a, event: ➤timeout()}\n",
        "E015",
    ),
    Bad(
        "a timeout in a wrong unit",
        "initial_state: a\ntransitions:\n  - {from: a, to: a, event: ➤timeout(5y)}\n",
        "E015",
    ),
    Bad("a negative timeout", "initial_state: a\ntransitions:\n  - {from: a, to: a, event: ➤timeout(-1)}\n", "E015"),
    Bad(
        "an endless timeout",
        f"initial_state: a\ntransitions:\n  - {{from: a, to: a, event: ➤timeout({9**99})}}\n",
        "E015",
    ),
    Bad("an internal transition that leaves", GOOD + "  - {from: a, to: ➤b, event: f, internal: true}\n", "E015"),
    Bad("an interrupt that is no flag", GOOD + "  - {from: a, to: b, event: f, interrupt: ➤5}\n", "E015"),
    Bad("actions of a transition that are text", GOOD + "  - {from: a, to: b, event: f, actions: ➤log}\n", "E015"),
]

ACTIONS = [
    Bad("a list of actions at the top", GOOD + "actions:\n  ➤- type: log\n", "E015"),
    Bad("actions of a state that are a mapping", GOOD + "actions:\n  a:\n    ➤type: log\n", "E015"),
    Bad("actions of an unknown state", DECLARED + "actions:\n  ➤workin: []\n", "E002", "'working'?"),
    Bad("actions of an unquoted on", GOOD + "actions:\n  ➤on: []\n", "E011"),
    Bad("actions of any state", GOOD + 'actions:\n  ➤"*": []\n', "E002"),
    Bad("actions in two places", "states:\n  waiting: {actions: ➤[]}\nactions:\n  waiting: []\n", "E018"),
    Bad("an action that is text", in_action("➤log\n"), "E015"),
    Bad("an action without a type", in_action("➤message: hi\n"), "E010"),
    Bad("a misspelt type key", in_action("➤tpye: log\n"), "E010", "instead of 'tpye'?"),
    Bad("a number as type", in_action("type: ➤5\n"), "E011"),
    Bad("params that are text", in_action("type: bash\nparams: ➤ls\n"), "E015"),
    Bad("an unquoted yes as success event", in_action("type: bash\nsuccess: ➤yes\n"), "E011"),
    Bad("a list as error event", in_action("type: bash\nparams:\n  error: ➤[a]\n"), "E011"),
    Bad("an interval of zero", in_action("type: bash\nevery: ➤0\n"), "E015"),
    Bad("an interval in words", in_action("type: bash\nevery: ➤minute\n"), "E015"),
    Bad("a lease in words", in_action("type: claim_job\nlease: ➤long\n"), "E015"),
    Bad("a repeatable that is no flag", in_action("type: bash\nrepeatable: ➤often\n"), "E015"),
    Bad(
        "an unknown run policy",
        in_action("type: bash\nrun_policy: ➤repeat_per_tik\n"),
        "E015",
        "did you mean 'repeat_per_tick'?",
    ),
    Bad("a description that is a list", in_action("type: bash\ndescription: ➤[a]\n"), "E015"),
]

TABLE = [*SYNTAX, *WHOLE, *STATES, *EVENTS, *TRANSITIONS, *ACTIONS]


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.title)
def test_a_mistake_is_refused_at_its_place(bad: Bad) -> None:
    text, places = without_arrows(bad.text)
    with pytest.raises(ConfigError) as caught:
        load_text(text, "worker.yaml")
    (problem,) = caught.value.problems
    assert [(problem.line, problem.column)] == places
    assert (problem.file, problem.severity, problem.code) == ("worker.yaml", "error", bad.code)
    assert bad.hint in (problem.hint or "")


def test_all_mistakes_of_a_file_come_at_once_in_its_order() -> None:
    text, places = without_arrows("""
states: [waiting, working, ➤yes]
initial_state: ➤wating
transitions:
  - {from: waiting, to: ➤wroking, event: ➤on}
  - {from: ➤[], to: waiting, event: ➤timeout(x)}
actions:
  ➤wrking: [➤{message: hi}]
context: {➤machine_name: x}
""")
    with pytest.raises(ConfigError) as caught:
        load_text(text)
    assert [(problem.line, problem.column) for problem in caught.value.problems] == places


def test_an_error_has_the_form_of_a_compilers_message() -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(DECLARED + "initial_state: wating\n", "worker.yaml")
    assert str(caught.value) == (
        "worker.yaml:2:16: error: initial_state 'wating' is unknown; known: waiting, working\n"
        "  hint: did you mean 'waiting'?"
    )


def test_warnings_come_with_the_errors_since_they_often_explain_them() -> None:
    with pytest.raises(ConfigError) as caught:
        load_text("initial_stat: waiting\n")
    (warning,) = caught.value.warnings
    assert (warning.line, warning.column, warning.hint) == (1, 1, "did you mean 'initial_state'?")


def test_a_few_lines_of_nested_aliases_cannot_fill_the_memory() -> None:
    lines = ["x-0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    with pytest.raises(ConfigError, match="aliases expand to more than 100000 values"):
        load_text("\n".join(lines))


def test_many_names_are_cut_in_the_message() -> None:
    with pytest.raises(ConfigError, match=r"known: s0, s1, .*s11 and 88 more"):
        load_text(f"initial_state: x\nstates: [{', '.join(f's{n}' for n in range(100))}]\n")
