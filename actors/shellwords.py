"""What the words of a shell command do with the values in them: most are only words, some are evaluated as code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from .interpolation import Placeholder


class Guard(IntEnum):
    """What a value has to be where it stands; a higher one is stricter."""

    TEXT = 0
    """Anything: it arrives as it is."""
    INERT = 1
    """Letters, digits and a few signs, which a shell that evaluates them takes for themselves."""
    INTEGER = 2
    """bash evaluates anything else in arithmetic as code."""


@dataclass(slots=True, eq=False)
class Hole:
    """A place in a command where a value goes."""

    placeholder: Placeholder
    before: str
    after: str
    """The quotes around the reference to the value."""
    pasted: bool = False
    """The value is program text on purpose."""
    always: bool = False
    """A missing value is handed over too, as the placeholder's own text, since its braces would disturb here."""
    range: bool = False
    """A bound of `{1..9}`, which the shell takes from digits only."""
    guard: Guard = Guard.TEXT
    where: str = ""

    def demand(self, guard: Guard, where: str) -> None:
        """Makes the guard at least this strict."""
        if guard > self.guard:
            self.guard, self.where = guard, where


Demand = tuple[Guard, str]

_ARITHMETIC: Demand = (Guard.INTEGER, "in shell arithmetic, which evaluates text as code")
_SUBSCRIPT: Demand = (Guard.INTEGER, "in an array subscript, which bash evaluates as code")
_NAME: Demand = (Guard.INERT, "as the name of a shell variable, which bash evaluates")
_EVALUATED: Demand = (Guard.INERT, "in text that a shell evaluates")

_HOLE = "\0"
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\[[^=]*\])?\+?=")
_CODE_OPTION = re.compile(r"-[A-Za-z]*c[A-Za-z]*")
_SSH_OPTION = re.compile(r"-\w*[BbcDEeFIiJLlmOopQRSWw]")
_COMPARISONS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})
_RESERVED = frozenset(["if", "then", "elif", "else", "fi", "do", "done", "while", "until", "{", "}", "!", "time"])
_SHELLS = frozenset(["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "rbash", "$SHELL", "$BASH"])
_OPTIONS_WITH_WORD = frozenset({"-o", "+o", "-O", "+O", "--rcfile", "--init-file"})
_NAMING = frozenset(["unset", "read", "readarray", "mapfile", "getopts"])
_DECLARING = frozenset(["declare", "typeset", "local", "readonly", "export"])
_INTEGERS = frozenset(["RANDOM", "SRANDOM", "SECONDS", "LINENO", "HISTCMD", "OPTIND", "EPOCHSECONDS", "BASHPID"])
_EVALUATED_VARIABLES = frozenset({"PS4", "PROMPT_COMMAND", "BASH_ENV", "ENV"})


@dataclass(slots=True)
class Findings:
    """What a whole command does with its variables: a value in one that is used as code has to be harmless too."""

    assigned: list[tuple[str, Hole]] = field(default_factory=list)
    arithmetic: set[str] = field(default_factory=lambda: set(_INTEGERS))
    evaluated: set[str] = field(default_factory=lambda: set(_EVALUATED_VARIABLES))
    arrays: set[str] = field(default_factory=set)
    declared: list[tuple[str, Hole]] = field(default_factory=list)
    maps: set[str] = field(default_factory=set)
    """Associative arrays: their subscripts are only text."""
    subscripts: list[tuple[str, str, list[Hole]]] = field(default_factory=list)

    def settle(self) -> None:
        """Applies to every hole what was found out about its variable anywhere in the command."""
        for array, text, holes in self.subscripts:
            if array not in self.maps:
                self.arithmetic |= set(_IDENTIFIER.findall(text))
                _demand(holes, _SUBSCRIPT)
        for name, hole in self.assigned:
            if name in self.arithmetic:
                hole.demand(*_ARITHMETIC)
            elif name in self.evaluated:
                hole.demand(*_EVALUATED)
        for name, hole in self.declared:
            if name in self.arrays or name in self.maps:
                hole.demand(*_EVALUATED)


class Expression:
    """Text and holes that belong together: an arithmetic expression, a subscript, or one word."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.text = ""
        self.holes: list[Hole] = []
        self.started = False

    def add(self, text: str) -> None:
        """More of it, its quotes removed."""
        self.text += text
        self.started = True

    def add_hole(self, hole: Hole) -> None:
        """A hole in it."""
        self.add(_HOLE)
        self.holes.append(hole)

    def end_arithmetic(self) -> None:
        """It was arithmetic."""
        self.findings.arithmetic |= set(_IDENTIFIER.findall(self.text))
        _demand(self.holes, _ARITHMETIC)


class Words(Expression):
    """The words of a list of commands, one command after another."""

    def __init__(self, findings: Findings, *, array: str | None = None) -> None:
        super().__init__(findings)
        self.words: list[str] = []
        self.conditional = False
        """Between `[[` and `]]`."""
        self.array = array
        """The array whose elements these are, in place of commands."""
        self._cases: list[str] = []
        self._redirection = ""
        self._inputs: list[Hole] = []
        self._operand: list[Hole] = []

    @property
    def in_pattern(self) -> bool:
        """Whether a pattern of a `case` stands here, whose `)` closes nothing."""
        return bool(self._cases) and self._cases[-1] == "pattern"

    @property
    def assigned_name(self) -> str | None:
        """The variable, where the word so far is `name=`."""
        found = _ASSIGNMENT.fullmatch(self.text)
        return found[1] if found else None

    @property
    def subscripted_name(self) -> str | None:
        """The array, where a `[` that follows opens the subscript of an assignment."""
        if self.array is not None:
            return None if self.started else self.array
        if self._cases and self._cases[-1] != "body":
            return None
        return self.text if not self.words and _IDENTIFIER.fullmatch(self.text) else None

    def end_pattern(self) -> None:
        """The `)` after a pattern: commands follow."""
        self._cases[-1] = "body"
        self.words = []

    def redirect(self, operator: str) -> None:
        """The next word is a file or an input, not an argument."""
        if self.text.isdigit():
            self._take_word()
        self.end_word()
        self._redirection = operator

    def end_command(self, operator: str = ";") -> None:
        """A separator."""
        self.end_word()
        if self.conditional or (self._cases and self._cases[-1] != "body"):
            return
        if self._cases and operator.startswith((";;", ";&")):
            self._cases[-1] = "pattern"
        self._end_inputs()
        self.words = []

    def end_word(self) -> None:
        """A blank, or anything else that ends a word."""
        if not self.started:
            return
        word, holes = self._take_word()
        if self._redirection:
            self._inputs += holes if self._redirection == "<<<" else ()
            self._redirection = ""
        elif self.array is not None:
            return
        elif self.conditional:
            self._end_operand(word, holes)
        elif self._cases and self._cases[-1] != "body":
            self._end_case_word(word)
        elif self.words or not self._opens(word, holes):
            self._end_argument(word, holes)

    def _take_word(self) -> tuple[str, list[Hole]]:
        word, holes = self.text, self.holes
        self.text, self.holes, self.started = "", [], False
        return word, holes

    def _opens(self, word: str, holes: list[Hole]) -> bool:
        """Whether a first word is no command's name: a reserved word, or an assignment."""
        if word in ("case", "[["):
            self._cases += ["subject"] if word == "case" else []
            self.conditional = word == "[["
        elif word == "esac" and self._cases:
            self._cases.pop()
        elif found := _ASSIGNMENT.match(word):
            self.findings.assigned += [(found[1], hole) for hole in holes]
        else:
            return word in _RESERVED
        return True

    def _end_case_word(self, word: str) -> None:
        state = self._cases[-1]
        if state == "subject":
            self._cases[-1] = "in"
        elif state == "in" and word == "in":
            self._cases[-1] = "pattern"
        elif state == "pattern" and word == "esac":
            self._cases.pop()

    def _end_operand(self, word: str, holes: list[Hole]) -> None:
        """A word of `[[ … ]]`: its number comparisons are arithmetic."""
        previous = self.words[-1] if self.words else ""
        if word == "]]":
            self.conditional, self.words, self._operand = False, [], []
            return
        if word in _COMPARISONS:
            self._compare(previous, self._operand)
        elif previous in _COMPARISONS:
            self._compare(word, holes)
        elif previous == "-v":
            _demand(holes, _naming(word))
        self.words.append(word)
        self._operand = holes

    def _compare(self, word: str, holes: list[Hole]) -> None:
        self.findings.arithmetic |= set(_IDENTIFIER.findall(word))
        _demand(holes, _ARITHMETIC)

    def _end_argument(self, word: str, holes: list[Hole]) -> None:
        before = self.words
        if before == ["function"]:
            self.words = []
            return
        name = next((known for known in before if known not in ("command", "builtin", "exec")), "")
        if name in _DECLARING:
            self._declare(name, word, holes)
        elif name == "let":
            self._compare(word, holes)
        elif demand := _demand_of(name, before, word):
            _demand(holes, demand)
        self._note_variable(name, holes)
        before.append(word)

    def _declare(self, name: str, word: str, holes: list[Hole]) -> None:
        flags = "".join(known for known in self.words if known.startswith("-"))
        variable, _, value = word.partition("=")
        variable = variable.removesuffix("+")
        kinds = {"i": self.findings.arithmetic, "a": self.findings.arrays, "A": self.findings.maps}
        for flag, names in kinds.items():
            names |= {variable} if flag in flags else set()
        self.findings.assigned += [(variable, hole) for hole in holes]
        self.findings.declared += [(variable, hole) for hole in holes if name != "export"]
        if "n" in flags and value:
            _demand(holes, _NAME)
        if _HOLE in variable and name in ("declare", "typeset", "local"):
            _demand(holes, _naming(variable))

    def _note_variable(self, name: str, holes: list[Hole]) -> None:
        """`for n in VALUES` and `printf -v n VALUES` put values into variables."""
        before = self.words
        if name in ("for", "select") and len(before) > 2:
            self.findings.assigned += [(before[1], hole) for hole in holes]
        elif name == "printf" and len(before) > 2 and before[1] == "-v":
            self.findings.assigned += [(before[2], hole) for hole in holes]

    def _end_inputs(self) -> None:
        """Here-strings: code for a shell, values for `read`."""
        if reads_code(self.words):
            _demand(self._inputs, _EVALUATED)
        elif self.words[:1] == ["read"]:
            self.findings.assigned += [(name, hole) for name in self.words[1:] for hole in self._inputs]
        self._inputs = []


def demand_inert(holes: Iterable[Hole]) -> None:
    """These stand in a script for another shell."""
    _demand(holes, _EVALUATED)


def reads_code(words: Sequence[str]) -> bool:
    """Whether the input of this command is a script: `bash -s`, `sudo sh`, `ssh host`."""
    for at, word in enumerate(words):
        arguments = words[at + 1 :]
        if _program(word) in _SHELLS:
            return not _code_follows(arguments) and not _script(arguments)
        if _program(word) == "ssh":
            remote = _remote(arguments)
            return not remote or reads_code(remote)
    return False


def _demand(holes: Iterable[Hole], demand: Demand) -> None:
    for hole in holes:
        hole.demand(*demand)


def _naming(word: str) -> Demand:
    return _SUBSCRIPT if "[" in word else _NAME


def _demand_of(name: str, before: Sequence[str], word: str) -> Demand | None:
    """What a word asks of the values in it, by the words before it."""
    if name in ("eval", "trap") or _is_code(before):
        return _EVALUATED
    if name in _NAMING or (before and before[-1] == "-v" and name in ("test", "[", "printf")):
        return _naming(word)
    return None


def _is_code(before: Sequence[str]) -> bool:
    """Whether the next word is a script: after `sh -c`, also one that sudo, find or xargs starts, and after `ssh`."""
    for at, word in enumerate(before):
        arguments = before[at + 1 :]
        if _program(word) == "ssh" or (_program(word) in _SHELLS and _code_follows(arguments)):
            return True
        if _program(word) in ("su", "runuser") and arguments and arguments[-1] in ("-c", "--command"):
            return True
    return False


def _code_follows(arguments: Sequence[str]) -> bool:
    return not _script(arguments) and any(_CODE_OPTION.fullmatch(word) for word in arguments)


def _script(arguments: Sequence[str]) -> bool:
    """Whether a shell's arguments name what it runs; after `-s` they are only arguments."""
    if "-s" in arguments:
        return False
    pairs = zip(("", *arguments), arguments, strict=False)
    return any(word[:1] not in ("-", "+") and option not in _OPTIONS_WITH_WORD for option, word in pairs)


def _remote(arguments: Sequence[str]) -> Sequence[str]:
    """The command that ssh is to run on the other host."""
    for at, word in enumerate(arguments):
        if not word.startswith("-") and not (at and _SSH_OPTION.fullmatch(arguments[at - 1])):
            return arguments[at + 1 :]
    return ()


def _program(word: str) -> str:
    return word.rpartition("/")[2]
