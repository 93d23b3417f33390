"""Every kind of mistake in a machine's file is refused at its place; an arrow stands before what is wrong."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.errors import ConfigError

ARROW = "➤"
GOOD = "initial_state: a\ntransitions:\n  - {from: a, to: b, event: e}\n"
LONG = "a number of more than 100 characters"
DECLARED = "states: [waiting, working]\n"


class Bad(NamedTuple):
    title: str
    text: str
    message: str
    hint: str | None = None


def without_arrows(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text to load, and line and column of each arrow in it."""
    before, places = "", []
    for part in text.split(ARROW)[:-1]:
        before += part
        places.append((before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1))
    return text.replace(ARROW, ""), places


def in_action(text: str) -> str:
    """A machine whose state `a` has one action with these lines."""
    return GOOD + "actions:\n  a:\n    - " + text.replace("\n", "\n      ")


SYNTAX = [
    Bad("a bracket that is never closed", "initial_state: [a\n➤", "did not find expected ',' or ']'"),
    Bad("a quote that is never closed", 'name: x\ninitial_state: ➤"a\n', "this quote is never closed"),
    Bad("a tab as indentation", "transitions:\n➤\t- from: a\n", "cannot start any token", "YAML takes no tabs"),
    Bad("an unquoted star", "transitions:\n  - from: *➤\n", "scanning an alias", 'quote the star: "*"'),
    Bad(
        "an unquoted colon", "name: Worker➤: fast\n", "mapping values are not allowed", "quote text that contains ': '"
    ),
    Bad("an unquoted at sign", "name: ➤@home\n", "cannot start any token", "begins with @"),
    Bad("a value that begins with a placeholder", "name: {id} ➤done\n", "did not find expected key", '"{name} ..."'),
    Bad("a key in the wrong column", "initial_state: a\n b➤: c\n", "mapping values"),
    Bad(
        "two documents",
        "initial_state: a\n➤---\ninitial_state: b\n",
        "a second document",
        "one file defines one machine",
    ),
    Bad("a control character", "name: 'a➤\x07'\n", "'\\x07' is not allowed", "write it as an escape"),
    Bad("a lone surrogate", "name: ➤\ud800\n", "'\\ud800' is not allowed"),
    Bad("deep nesting", "context: " + "[" * 64 + "➤[" + "[" * 200_000, "nested more than 64 levels deep"),
    Bad("an alias without an anchor", "initial_state: a\nstates: ➤*all\n", "'*all' has no anchor '&all'", '"*all"'),
    Bad("a misspelt alias", "x-a: &states [a]\nstates: ➤*state\n", "'*state' has no anchor", "did you mean 'states'?"),
    Bad("an alias inside itself", "context: &c\n  c: ➤*c\n", "stands inside its own anchor"),
    Bad(
        "a tag of a Python object", GOOD + "context: {a: ➤!!python/object:os.system x}\n", "'!!python/object:os.system'"
    ),
    Bad("a tag on a list", GOOD + "context: {a: ➤!!set [x]}\n", "tag '!!set' is not allowed"),
    Bad("a tag that does not fit", GOOD + "context: {a: ➤!!int x}\n", "'x' is no int", "quote it if it is text"),
    Bad(
        "a hexadecimal number without an end",
        GOOD + f"context: {{a: ➤0x{'f' * 5000}}}\n",
        LONG,
        "quote it if it is text",
    ),
    Bad("a base-60 number without an end", GOOD + f"context: {{a: ➤1{':59' * 200_000}}}\n", LONG),
    Bad("a base-60 fraction without an end", GOOD + f"context: {{a: ➤1{':59' * 200_000}.5}}\n", LONG),
    Bad("a list as a key", GOOD + "context: {➤[a]: b}\n", "a key must be text, not a list"),
    Bad("a merge of what is no mapping", GOOD + "context:\n  <<: [➤1]\n", "merges mappings"),
    Bad(
        "a key given twice",
        "initial_state: a\nname: x\n➤initial_state: b\n",
        "given twice, first in line 1",
        "keep one",
    ),
    Bad("a state's actions given twice", GOOD + "actions:\n  a: []\n  ➤a: []\n", "'a' is given twice, first in line 5"),
]

WHOLE = [
    Bad("an empty file", "➤", "the file is empty", "initial_state"),
    Bad("only comments", "➤# nothing\n\n", "the file is empty"),
    Bad("a list", "➤- from: a\n", "a machine must be a mapping, not a list", "at the left margin"),
    Bad("a text", "➤hello\n", "a machine must be a mapping, not the text 'hello'"),
    Bad(
        "no initial state",
        "➤transitions:\n  - {from: a, to: b, event: e}\n",
        "there is no 'initial_state'",
        "states: a, b",
    ),
    Bad(
        "an unknown initial state",
        DECLARED + "initial_state: ➤wating\n",
        "'wating' is unknown",
        "did you mean 'waiting'?",
    ),
    Bad("a star as initial state", 'initial_state: ➤"*"\n', "must be one state, not '*'"),
    Bad("a list as initial state", "initial_state: ➤[a]\n", "must be a name, not a list"),
    Bad("no value as initial state", "initial_state:➤\nstates: [waiting]\n", "must be text, not empty", "write a name"),
    Bad("a title that is a list", GOOD + "name: ➤[a]\n", "name must be text, not a list"),
    Bad("a description that is a mapping", GOOD + "description: ➤{a: b}\n", "description must be text, not a mapping"),
    Bad("metadata that is text", GOOD + "metadata: ➤worker\n", "metadata must be a mapping"),
    Bad("a machine name with a slash", GOOD + "metadata:\n  machine_name: ➤a/b\n", "must not contain '/'", "socket"),
    Bad("a machine name with NUL", GOOD + 'metadata: {machine_name: ➤"a\\0b"}\n', "control characters"),
    Bad("an empty machine name", GOOD + 'metadata: {machine_name: ➤""}\n', "must not be empty"),
    Bad("a number as machine name", GOOD + "metadata: {machine_name: ➤42}\n", "not the number '42'", 'quote it: "42"'),
    Bad("a machine name too long for a socket", GOOD + f"metadata: {{machine_name: ➤{'m' * 77}}}\n", "longer than 76"),
    Bad("a template that is no flag", GOOD + "template: ➤perhaps\n", "template must be true or false"),
    Bad("an actions folder that is a list", GOOD + "actions_root: ➤[a]\n", "actions_root must be text"),
    Bad("an unknown policy", GOOD + "on_unhandled: ➤errors\n", "must be ignore or error", "did you mean 'error'?"),
    Bad("an error policy that is text", GOOD + "on_error: ➤retry\n", "on_error must be a mapping"),
    Bad("a negative number of tries", GOOD + "on_error: {tries: ➤-1}\n", "tries must be a number from 0 on"),
    Bad("a delay that is no duration", GOOD + "on_error: {delay: ➤soon}\n", "delay must be a duration", "1m30s"),
    Bad("a factor below one", GOOD + "on_error: {factor: ➤0.5}\n", "factor must be a number from 1 on"),
    Bad("a retry that is a number", in_action("{type: x, retry: ➤3}\n"), "retry must be a mapping", "'key: value'"),
    Bad("a negative number of retries", in_action("{type: x, retry: {max: ➤-1}}\n"), "max must be a number from 0"),
    Bad("half a retry", in_action("{type: x, retry: {max: ➤1.5}}\n"), "max must be a whole number"),
    Bad("retries as a word", in_action("{type: x, retry: {max: ➤often}}\n"), "max must be a number"),
    Bad(
        "a wait between retries that is none", in_action("{type: x, retry: {delay: ➤-1}}\n"), "delay must be a duration"
    ),
    Bad(
        "a longest wait that is none",
        in_action("{type: x, retry: {max_delay: ➤[1]}}\n"),
        "max_delay must be a duration",
    ),
    Bad("waits that get shorter", in_action("{type: x, retry: {factor: ➤0.5}}\n"), "factor must be a number from 1 on"),
    Bad("more jitter than wait", in_action("{type: x, retry: {jitter: ➤2}}\n"), "jitter must be a share", "a tenth"),
    Bad("negative jitter", in_action("{type: x, retry: {jitter: ➤-1}}\n"), "jitter must be a number from 0 on"),
    Bad("a retry after success", in_action("{type: x, retry: {on: [75, ➤0]}}\n"), "0 is no exit code", "from 1 to 255"),
    Bad("a retry after a list", in_action("{type: x, retry: {on: [➤[1]]}}\n"), "on must name exit codes", "last name"),
    Bad("a retry after a path", in_action("{type: x, retry: {on: ➤a.B}}\n"), "on must name exit codes", "last name"),
    Bad("a retry under params", in_action("{type: x, params: {retry: ➤on}}\n"), "retry must be a mapping"),
    Bad("a context that is a list", GOOD + "context: ➤[a]\n", "context must be a mapping, not a list"),
    Bad(
        "a context key of the engine",
        GOOD + "context:\n  x: 1\n  ➤current_job: 2\n",
        "belongs to the engine",
        "another",
    ),
    Bad("a secret from nowhere", GOOD + "context: {key: {secret: ➤hunter2}}\n", "where it comes from", "env:NAME"),
    Bad("a secret that is a list", GOOD + "context: {a: [{secret: ➤[x]}]}\n", "where it comes from", "file:PATH"),
    Bad("a secret of a bad name", GOOD + "context: {a: {b: {secret: ➤env:1X}}}\n", "where it comes from", "env:NAME"),
    Bad("a number as context key", GOOD + "context: {➤1: a}\n", "a context key must be text", 'quote it: "1"'),
]

STATES = [
    Bad("states that are text", "initial_state: a\nstates: ➤a, b\n", "states must be a list, not the text", "'- '"),
    Bad(
        "an unquoted yes",
        "initial_state: waiting\nstates:\n  - waiting\n  - ➤yes\n",
        "boolean 'yes'",
        'quote it: "yes"',
    ),
    Bad(
        "an unquoted number", "initial_state: waiting\nstates: [waiting, ➤1.5]\n", "the number '1.5'", 'quote it: "1.5"'
    ),
    Bad("an unquoted null", "initial_state: waiting\nstates: [waiting, ➤null]\n", "not null", 'quote it: "null"'),
    Bad("an item without a name", "initial_state: waiting\nstates:\n  - waiting\n  -➤\n", "not empty", "write a name"),
    Bad("an unquoted off as a key", "initial_state: waiting\nstates:\n  waiting:\n  ➤off:\n", "boolean 'off'", '"off"'),
    Bad("an empty name", "initial_state: waiting\nstates: [waiting, ➤'']\n", "a state must not be empty"),
    Bad("a line break in a name", 'initial_state: waiting\nstates: [waiting, ➤"a\\nb"]\n', "line breaks"),
    Bad(
        "a star as a state",
        'initial_state: waiting\nstates: [waiting, ➤"*"]\n',
        "must be one state",
        "only 'from' of a transition",
    ),
    Bad(
        "a mapping in the list", "initial_state: waiting\nstates: [waiting, ➤{a: b}]\n", "must be a name, not a mapping"
    ),
    Bad("a state that is a list", "states: {waiting: ➤[a]}\n", "state 'waiting' must be a mapping, not a list"),
    Bad("an unknown outcome", "states: {waiting: {outcome: ➤good}}\n", "must be success or failure"),
    Bad("a final that is no flag", "states: {waiting: {final: ➤sometimes}}\n", "final of state 'waiting' must be true"),
    Bad("a group that is a list", "states: {waiting: {group: ➤[a]}}\n", "group of state 'waiting' must be text"),
    Bad(
        "an unknown parent",
        "states: {waiting: {parent: ➤wait}}\n",
        "parent of 'waiting' 'wait' is unknown",
        "'waiting'?",
    ),
    Bad("a state in itself", "states:\n  waiting: {parent: b}\n  b: {parent: ➤waiting}\n", "state 'b' lies in itself"),
    Bad("an unknown final state", GOOD + "final: [➤c]\n", "final state 'c' is unknown; known: a, b"),
    Bad("an unknown outcome of a final state", GOOD + "final: {b: ➤bad}\n", "must be success or failure"),
    Bad("a final state unknown in a map", GOOD + "final: {➤c: failure}\n", "final state 'c' is unknown"),
    Bad("an unknown state in a group", GOOD + "state_groups: {G: [a, ➤z]}\n", "state 'z' is unknown"),
    Bad("groups that are a list", GOOD + "state_groups: ➤[a]\n", "state_groups must be a mapping"),
]

EVENTS = [
    Bad("events that are text", GOOD + "events: ➤e\n", "events must be a list"),
    Bad("an unquoted on", GOOD + "events: [e, ➤on]\n", "an event must be text, not the boolean 'on'", 'quote it: "on"'),
    Bad("an event that is a list", GOOD + "events: {e: ➤[x]}\n", "event 'e' must be a mapping"),
    Bad(
        "a context map that is a list", GOOD + "events: {e: {context_map: ➤[x]}}\n", "context_map of event 'e' must be"
    ),
    Bad(
        "an empty step in a path",
        GOOD + "events: {e: {context_map: {x: ➤payload..id}}}\n",
        "a path into",
        "payload.user.id",
    ),
    Bad(
        "a number for a context key", GOOD + "events: {e: {context_map: {➤5: payload}}}\n", "a context key must be text"
    ),
    Bad("a number as a path", GOOD + "events: {e: {context_map: {x: ➤5}}}\n", "a path into the message"),
    Bad(
        "a context key of the engine",
        GOOD + "events: {e: {context_map: {➤config: payload.x}}}\n",
        "belongs to the engine",
    ),
]

TRANSITIONS = [
    Bad(
        "transitions that are a mapping",
        "initial_state: a\ntransitions: ➤{from: a}\n",
        "transitions must be a list",
        "'- '",
    ),
    Bad("a transition that is text", "initial_state: a\ntransitions:\n  - ➤a to b\n", "a transition must be a mapping"),
    Bad(
        "no from", "initial_state: a\ntransitions:\n  - ➤to: b\n    event: e\n", "no 'from'", "'from', 'to' and 'event'"
    ),
    Bad(
        "no to",
        "initial_state: a\ntransitions:\n  - ➤from: a\n    target: b\n    event: e\n",
        "no 'to'",
        "of 'target'?",
    ),
    Bad(
        "no event", "initial_state: a\ntransitions:\n  - ➤from: a\n    to: a\n    evnt: e\n", "no 'event'", "of 'evnt'?"
    ),
    Bad(
        "an empty list of sources",
        "initial_state: a\ntransitions:\n  - {from: ➤[], to: a, event: e}\n",
        "is an empty list",
    ),
    Bad("a mapping as source", "initial_state: a\ntransitions:\n  - {from: ➤{}, to: a, event: e}\n", "not a mapping"),
    Bad(
        "an unknown source",
        DECLARED + "transitions:\n  - {from: ➤work, to: waiting, event: e}\n",
        "unknown",
        "'working'?",
    ),
    Bad(
        "one unknown source of two",
        DECLARED + "transitions:\n  - {from: [waiting, ➤x], to: waiting, event: e}\n",
        "'x'",
    ),
    Bad(
        "an unknown target",
        DECLARED + "transitions:\n  - from: waiting\n    to: ➤worknig\n    event: e\n",
        "",
        "'working'?",
    ),
    Bad("a star as target", 'initial_state: a\ntransitions:\n  - {from: a, to: ➤"*", event: e}\n', "must be one state"),
    Bad(
        "an unquoted no as target",
        "initial_state: a\ntransitions:\n  - {from: a, to: ➤no, event: e}\n",
        "",
        'quote it: "no"',
    ),
    Bad(
        "an unquoted yes as event",
        "initial_state: a\ntransitions:\n  - {from: a, to: a, event: ➤yes}\n",
        "'yes'",
        "quote it",
    ),
    Bad(
        "a number as event", "initial_state: a\ntransitions:\n  - {from: a, to: a, event: ➤404}\n", "'404'", "quote it"
    ),
    Bad("a list of events", "initial_state: a\ntransitions:\n  - {from: a, to: a, event: ➤[e]}\n", "must be a name"),
    Bad(
        "a timeout without a number",
        "initial_state: a\ntransitions:\n  - {from: a, to: a, event: ➤timeout()}\n",
        "duration",
    ),
    Bad(
        "a timeout in a wrong unit",
        "initial_state: a\ntransitions:\n  - {from: a, to: a, event: ➤timeout(5y)}\n",
        "",
        "90s",
    ),
    Bad(
        "a negative timeout", "initial_state: a\ntransitions:\n  - {from: a, to: a, event: ➤timeout(-1)}\n", "duration"
    ),
    Bad(
        "an endless timeout",
        f"initial_state: a\ntransitions:\n  - {{from: a, to: a, event: ➤timeout({9**99})}}\n",
        "duration",
    ),
    Bad(
        "an internal transition that leaves",
        GOOD + "  - {from: a, to: ➤b, event: f, internal: true}\n",
        "stays in its state",
    ),
    Bad(
        "an interrupt that is no flag",
        GOOD + "  - {from: a, to: b, event: f, interrupt: ➤5}\n",
        "interrupt must be true",
    ),
    Bad(
        "actions of a transition that are text",
        GOOD + "  - {from: a, to: b, event: f, actions: ➤log}\n",
        "must be a list",
    ),
]

ACTIONS = [
    Bad("a list of actions at the top", GOOD + "actions:\n  ➤- type: log\n", "not a list", "name the state"),
    Bad(
        "actions of a state that are a mapping",
        GOOD + "actions:\n  a:\n    ➤type: log\n",
        "actions of state 'a' must be a list",
    ),
    Bad("actions of an unknown state", DECLARED + "actions:\n  ➤workin: []\n", "'workin' is unknown", "'working'?"),
    Bad("actions of an unquoted on", GOOD + "actions:\n  ➤on: []\n", "the boolean 'on'", 'quote it: "on"'),
    Bad("actions of any state", GOOD + 'actions:\n  ➤"*": []\n', "must be one state"),
    Bad(
        "actions in two places",
        "states:\n  waiting: {actions: ➤[]}\nactions:\n  waiting: []\n",
        "actions here and under",
    ),
    Bad("an action that is text", in_action("➤log\n"), "an action must be a mapping", "'- type: log'"),
    Bad("an action without a type", in_action("➤message: hi\n"), "has no 'type'", "type: log"),
    Bad("a misspelt type key", in_action("➤tpye: log\n"), "has no 'type'", "instead of 'tpye'?"),
    Bad("a number as type", in_action("type: ➤5\n"), "the type of an action must be text", 'quote it: "5"'),
    Bad("params that are text", in_action("type: bash\nparams: ➤ls\n"), "params must be a mapping"),
    Bad(
        "an unquoted yes as success event",
        in_action("type: bash\nsuccess: ➤yes\n"),
        "under 'success'",
        'quote it: "yes"',
    ),
    Bad(
        "a list as error event",
        in_action("type: bash\nparams:\n  error: ➤[a]\n"),
        "the event under 'error' must be a name",
    ),
    Bad("an interval of zero", in_action("type: bash\nevery: ➤0\n"), "every must be more than 0"),
    Bad("an interval in words", in_action("type: bash\nevery: ➤minute\n"), "every must be a duration", "1m30s"),
    Bad("a lease in words", in_action("type: claim_job\nlease: ➤long\n"), "lease must be a duration"),
    Bad(
        "a repeatable that is no flag",
        in_action("type: bash\nrepeatable: ➤often\n"),
        "repeatable must be true or false",
    ),
    Bad(
        "an unknown run policy",
        in_action("type: bash\nrun_policy: ➤repeat_per_tik\n"),
        "",
        "did you mean 'repeat_per_tick'?",
    ),
    Bad("a description that is a list", in_action("type: bash\ndescription: ➤[a]\n"), "description of an action"),
]

TABLE = [*SYNTAX, *WHOLE, *STATES, *EVENTS, *TRANSITIONS, *ACTIONS]


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.title)
def test_a_mistake_is_refused_at_its_place_with_what_would_be_right(bad: Bad) -> None:
    text, places = without_arrows(bad.text)
    with pytest.raises(ConfigError) as caught:
        load_text(text, "worker.yaml")
    (problem,) = caught.value.problems
    assert [(problem.line, problem.column)] == places
    assert (problem.file, problem.severity) == ("worker.yaml", "error")
    assert bad.message in problem.message
    assert bad.hint is None or bad.hint in (problem.hint or "")


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


def test_an_error_reads_like_a_compilers() -> None:
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
