"""The words of shell commands, collected while a command is read, and what they ask of the values in them."""

from __future__ import annotations

import re

from .holes import (
    ARITHMETIC,
    EVALUATED,
    EXPANDED_TWICE,
    HOLE,
    NAME,
    CommandTaints,
    PlaceholderSite,
    demand,
    identifiers,
)
from .rules import DECLARING, builtin, demand_of, naming, reads_code

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\[[^=]*\])?\+?=")
_COMPARISONS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})
_RESERVED = frozenset({"if", "then", "elif", "else", "fi", "do", "done", "while", "until", "{", "}", "!", "time"})


class Expression:
    """Text and holes that belong together: an arithmetic expression, a subscript, or one word."""

    def __init__(self, findings: CommandTaints) -> None:
        self.findings = findings
        self.text = ""
        self.holes: list[PlaceholderSite] = []
        self.started = False

    def add(self, text: str) -> None:
        """More of it, its quotes removed."""
        self.text += text
        self.started = True

    def add_hole(self, hole: PlaceholderSite) -> None:
        """A hole in it."""
        self.add(HOLE)
        self.holes.append(hole)

    def add_expansion(self, name: str = "") -> None:
        """A variable, or the output of a command."""
        self.add(f"${{{name}}}")

    def end_arithmetic(self) -> None:
        """It was arithmetic."""
        self.findings.arithmetic |= identifiers(self.text)
        demand(self.holes, ARITHMETIC)


class Words(Expression):
    """The words of a list of commands, one command after another."""

    def __init__(self, findings: CommandTaints, *, array: str | None = None) -> None:
        super().__init__(findings)
        self.words: list[str] = []
        self.conditional = False
        """Between `[[` and `]]`."""
        self.array = array
        """The array whose elements these are, in place of commands."""
        self._cases: list[str] = []
        self._redirection = ""
        self._inputs: list[PlaceholderSite] = []
        self._operand: list[PlaceholderSite] = []

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
            self._end_redirection(holes)
        elif self.array is not None:
            return
        elif self.conditional:
            self._end_operand(word, holes)
        elif self._cases and self._cases[-1] != "body":
            self._end_case_word(word)
        elif self.words or not self._opens(word, holes):
            self._end_argument(word, holes)

    def _take_word(self) -> tuple[str, list[PlaceholderSite]]:
        word, holes = self.text, self.holes
        self.text, self.holes, self.started = "", [], False
        return word, holes

    def _end_redirection(self, holes: list[PlaceholderSite]) -> None:
        if self._redirection == ">&":
            demand(holes, EXPANDED_TWICE)
        elif self._redirection == "<<<":
            self._inputs += holes
        self._redirection = ""

    def _opens(self, word: str, holes: list[PlaceholderSite]) -> bool:
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

    def _end_operand(self, word: str, holes: list[PlaceholderSite]) -> None:
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
            demand(holes, naming(word))
        self.words.append(word)
        self._operand = holes

    def _compare(self, word: str, holes: list[PlaceholderSite]) -> None:
        self.findings.arithmetic |= identifiers(word)
        demand(holes, ARITHMETIC)

    def _end_argument(self, word: str, holes: list[PlaceholderSite]) -> None:
        before = self.words
        if before == ["function"]:
            self.words = []
            return
        name = builtin(before)
        if name in DECLARING:
            self._declare(name, word, holes)
        elif name == "let":
            self._compare(word, holes)
        elif holes and (asked := demand_of(before, word)):
            demand(holes, asked)
        self._note_variable(name, holes)
        # An expansion may come to several words, as ${RUN:-bash -c} does.
        before += word.replace("}", "} ").split() if word.startswith("${") else [word]

    def _declare(self, name: str, word: str, holes: list[PlaceholderSite]) -> None:
        flags = "".join(known for known in self.words if known.startswith("-"))
        variable, _, value = word.partition("=")
        variable = variable.removesuffix("+")
        kinds = {"i": self.findings.arithmetic, "a": self.findings.arrays, "A": self.findings.maps}
        for flag, names in kinds.items():
            names |= {variable} if flag in flags else set()
        self.findings.assigned += [(variable, hole) for hole in holes]
        self.findings.declared += [(variable, hole) for hole in holes if name != "export"]
        if "n" in flags and value:
            demand(holes, NAME)
        if HOLE in variable and name in ("declare", "typeset", "local"):
            demand(holes, naming(variable))

    def _note_variable(self, name: str, holes: list[PlaceholderSite]) -> None:
        """`for n in VALUES` and `printf -v n VALUES` put values into variables."""
        before = self.words
        if name in ("for", "select") and len(before) > 2:
            self.findings.assigned += [(before[1], hole) for hole in holes]
        elif name == "printf" and len(before) > 2 and before[1] == "-v":
            self.findings.assigned += [(before[2], hole) for hole in holes]

    def _end_inputs(self) -> None:
        """Here-strings: code for a shell, values for `read`."""
        if reads_code(self.words):
            demand(self._inputs, EVALUATED)
        elif self.words[:1] == ["read"]:
            self.findings.assigned += [(name, hole) for name in self.words[1:] for hole in self._inputs]
        self._inputs = []
