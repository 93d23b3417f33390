"""Collect the words of shell commands while a command is read, and make their demands on the values in them."""

from __future__ import annotations

import re

from .placeholder_sites import (
    ARITHMETIC,
    EVALUATED,
    EXPANDED_TWICE,
    NAME,
    SITE,
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
    """A text with its placeholder sites: an arithmetic expression, a subscript, or one word."""

    def __init__(self, taints: CommandTaints) -> None:
        self.taints = taints
        self.text = ""
        self.sites: list[PlaceholderSite] = []
        self.started = False

    def add(self, text: str) -> None:
        """Append text, without its quotes."""
        self.text += text
        self.started = True

    def add_site(self, site: PlaceholderSite) -> None:
        """Append a placeholder site."""
        self.add(SITE)
        self.sites.append(site)

    def add_expansion(self, name: str = "") -> None:
        """Append a variable, or the output of a command."""
        self.add(f"${{{name}}}")

    def end_arithmetic(self) -> None:
        """End an arithmetic expression: its variables and sites must be integers."""
        self.taints.arithmetic |= identifiers(self.text)
        demand(self.sites, ARITHMETIC)


class Words(Expression):
    """The words of a list of commands, one command after another."""

    def __init__(self, taints: CommandTaints, *, array: str | None = None) -> None:
        super().__init__(taints)
        self.words: list[str] = []
        self.conditional = False
        """True between `[[` and `]]`."""
        self.array = array
        """The array, if the words are its elements and not commands."""
        self._cases: list[str] = []
        self._redirection = ""
        self._inputs: list[PlaceholderSite] = []
        self._operand: list[PlaceholderSite] = []

    @property
    def in_pattern(self) -> bool:
        """True in a pattern of a `case`, whose `)` closes nothing."""
        return bool(self._cases) and self._cases[-1] == "pattern"

    @property
    def assigned_name(self) -> str | None:
        """The variable, if the word so far is `name=`."""
        found = _ASSIGNMENT.fullmatch(self.text)
        return found[1] if found else None

    @property
    def subscripted_name(self) -> str | None:
        """The array, if a `[` that follows opens the subscript of an assignment."""
        if self.array is not None:
            return None if self.started else self.array
        if self._cases and self._cases[-1] != "body":
            return None
        return self.text if not self.words and _IDENTIFIER.fullmatch(self.text) else None

    def end_pattern(self) -> None:
        """End a pattern at its `)`; commands follow."""
        self._cases[-1] = "body"
        self.words = []

    def redirect(self, operator: str) -> None:
        """Note that the next word is a file or an input, not an argument."""
        if self.text.isdigit():
            self._take_word()
        self.end_word()
        self._redirection = operator

    def end_command(self, operator: str = ";") -> None:
        """End a command at a separator."""
        self.end_word()
        if self.conditional or (self._cases and self._cases[-1] != "body"):
            return
        if self._cases and operator.startswith((";;", ";&")):
            self._cases[-1] = "pattern"
        self._end_inputs()
        self.words = []

    def end_word(self) -> None:
        """End the word, if one has begun."""
        if not self.started:
            return
        word, sites = self._take_word()
        if self._redirection:
            self._end_redirection(sites)
        elif self.array is not None:
            return
        elif self.conditional:
            self._end_operand(word, sites)
        elif self._cases and self._cases[-1] != "body":
            self._end_case_word(word)
        elif self.words or not self._opens(word, sites):
            self._end_argument(word, sites)

    def _take_word(self) -> tuple[str, list[PlaceholderSite]]:
        word, sites = self.text, self.sites
        self.text, self.sites, self.started = "", [], False
        return word, sites

    def _end_redirection(self, sites: list[PlaceholderSite]) -> None:
        if self._redirection == ">&":
            demand(sites, EXPANDED_TWICE)
        elif self._redirection == "<<<":
            self._inputs += sites
        self._redirection = ""

    def _opens(self, word: str, sites: list[PlaceholderSite]) -> bool:
        """Return whether a first word is a reserved word or an assignment, and not the name of a command."""
        if word in ("case", "[["):
            self._cases += ["subject"] if word == "case" else []
            self.conditional = word == "[["
        elif word == "esac" and self._cases:
            self._cases.pop()
        elif found := _ASSIGNMENT.match(word):
            self.taints.assigned += [(found[1], site) for site in sites]
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

    def _end_operand(self, word: str, sites: list[PlaceholderSite]) -> None:
        """End a word of `[[ … ]]`, where comparisons of numbers are arithmetic."""
        previous = self.words[-1] if self.words else ""
        if word == "]]":
            self.conditional, self.words, self._operand = False, [], []
            return
        if word in _COMPARISONS:
            self._compare(previous, self._operand)
        elif previous in _COMPARISONS:
            self._compare(word, sites)
        elif previous == "-v":
            demand(sites, naming(word))
        self.words.append(word)
        self._operand = sites

    def _compare(self, word: str, sites: list[PlaceholderSite]) -> None:
        self.taints.arithmetic |= identifiers(word)
        demand(sites, ARITHMETIC)

    def _end_argument(self, word: str, sites: list[PlaceholderSite]) -> None:
        before = self.words
        if before == ["function"]:
            self.words = []
            return
        name = builtin(before)
        if name in DECLARING:
            self._declare(name, word, sites)
        elif name == "let":
            self._compare(word, sites)
        elif sites and (asked := demand_of(before, word)):
            demand(sites, asked)
        self._note_variable(name, sites)
        # An expansion may come to several words, as ${RUN:-bash -c} does.
        before += word.replace("}", "} ").split() if word.startswith("${") else [word]

    def _declare(self, name: str, word: str, sites: list[PlaceholderSite]) -> None:
        flags = "".join(known for known in self.words if known.startswith("-"))
        variable, _, value = word.partition("=")
        variable = variable.removesuffix("+")
        kinds = {"i": self.taints.arithmetic, "a": self.taints.arrays, "A": self.taints.maps}
        for flag, names in kinds.items():
            names |= {variable} if flag in flags else set()
        self.taints.assigned += [(variable, site) for site in sites]
        self.taints.declared += [(variable, site) for site in sites if name != "export"]
        if "n" in flags and value:
            demand(sites, NAME)
        if SITE in variable and name in ("declare", "typeset", "local"):
            demand(sites, naming(variable))

    def _note_variable(self, name: str, sites: list[PlaceholderSite]) -> None:
        """Note the variables that `for n in VALUES` and `printf -v n VALUES` assign."""
        before = self.words
        if name in ("for", "select") and len(before) > 2:
            self.taints.assigned += [(before[1], site) for site in sites]
        elif name == "printf" and len(before) > 2 and before[1] == "-v":
            self.taints.assigned += [(before[2], site) for site in sites]

    def _end_inputs(self) -> None:
        """Treat here-strings as code for a shell, and as values for `read`."""
        if reads_code(self.words):
            demand(self._inputs, EVALUATED)
        elif self.words[:1] == ["read"]:
            self.taints.assigned += [(name, site) for name in self.words[1:] for site in self._inputs]
        self._inputs = []
