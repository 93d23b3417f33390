"""Read text with placeholders as a shell reads its quotes and expansions."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from enum import Enum

from ..placeholders.interpolation import pieces_at
from .placeholder_sites import CommandTaints, PlaceholderSite
from .words import Expression, Words

_VARIABLE = re.compile(r"\$([A-Za-z_]\w*|[\d@*#?$!-])")
_PARAMETER = re.compile(r"([#!]?)([A-Za-z_]\w*|\d+|[@*#?$!-])?")
_FALLBACK = re.compile(r":?[-=?+]")
_RUN = re.compile(r"[\w \t\n./,-]*")
_PARENTHESES = re.compile(r"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"|[()]", re.DOTALL)


class Quotes(Enum):
    """The quoting at a place in a command: the text before and after a reference to a variable there."""

    BARE = ('"', '"')
    DOUBLE = ("", "")
    SINGLE = ("'\"", "\"'")
    ANSI = ("'\"", "\"$'")


class ShellText(ABC):
    """A position in a text that a shell will read, and the parts read so far: text and placeholder sites."""

    def __init__(self, text: str, taints: CommandTaints) -> None:
        self.parts: list[str | PlaceholderSite] = []
        self._text = text
        self._at = 0
        self._kept = 0
        """The position up to which the text is in the parts."""
        self._taints = taints
        self._words: Expression = Words(taints)

    @abstractmethod
    def _nested(self, *, array: str | None = None) -> None:
        """Read the content of parentheses, the first of which stands here: commands, or an array's elements."""

    @abstractmethod
    def _commands(self, text: str) -> list[str | PlaceholderSite]:
        """Return the parts of commands in a separate text."""

    # Steps

    def _more(self) -> bool:
        return self._at < len(self._text)

    def _is(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _flush(self) -> None:
        if self._kept < self._at:
            self.parts.append(self._text[self._kept : self._at])
        self._kept = self._at

    def _finished(self) -> list[str | PlaceholderSite]:
        self._at = len(self._text)
        self._flush()
        return self.parts

    def _take(self, length: int = 1) -> None:
        """Consume the next characters as part of a word."""
        self._words.add(self._text[self._at : self._at + length])
        self._at += length

    def _take_run(self) -> None:
        """Consume the next character, and those after it that never have a special meaning."""
        found = _RUN.match(self._text, self._at + 1)
        self._take(found.end() - self._at if found else 1)

    def _skip(self, length: int = 1) -> None:
        """Consume the next characters without adding them to a word."""
        self._at = min(self._at + length, len(self._text))

    def _site(self, quotes: Quotes, *, inside: bool = False) -> bool:
        """Consume a placeholder or a literal `{name}`. Return False if none stands here."""
        found = pieces_at(self._text, self._at) if self._is("{") else None
        if not found:
            return False
        pieces, end = found
        self._flush()
        for piece in pieces:
            if isinstance(piece, str):
                self.parts.append(piece)
                self._words.add(piece)
            else:
                site = PlaceholderSite(piece, *quotes.value, pasted=piece.raw, always=inside, range=self._is_bound(end))
                self.parts.append(site)
                self._words.add_site(site)
        self._at = self._kept = end
        return True

    def _is_bound(self, end: int) -> bool:
        before, after = self._text[max(0, self._at - 2) : self._at], self._text[end : end + 2]
        return (before.endswith("..") and after[:1] == "}") or (before.endswith("{") and after == "..")

    def _backslash(self) -> None:
        """Consume a backslash within quotes. Before a value, double it: it would escape the `$` of the reference."""
        if self._text.startswith("{", self._at + 1) and pieces_at(self._text, self._at + 1):
            self._flush()
            self.parts.append("\\")
            self._take()
        else:
            self._take(2)

    # Quotes

    def _single(self, words: Words | None = None) -> None:
        self._quoted("'", 1, Quotes.SINGLE, escapes=False)

    def _ansi(self) -> None:
        self._quoted("'", 2, Quotes.ANSI, escapes=True)

    def _quoted(self, closer: str, opening: int, quotes: Quotes, *, escapes: bool) -> None:
        self._skip(opening)
        self._words.add("")
        while self._more() and not self._is(closer):
            if escapes and self._is("\\"):
                self._backslash()
            elif not self._site(quotes):
                self._take_run()
        self._skip()

    def _double(self, words: Words | None = None) -> None:
        self._skip()
        self._words.add("")
        while self._more() and not self._is('"'):
            self._quoted_char()
        self._skip()

    def _quoted_char(self) -> None:
        char = self._text[self._at]
        if char == "\\":
            self._backslash()
        elif char == "$":
            self._dollar(quoted=True)
        elif char == "`":
            self._backquote(quoted=True)
        elif not self._site(Quotes.DOUBLE):
            self._take_run()

    def _backquote(self, *, quoted: bool) -> None:
        """Read a command in backquotes: its content is unescaped once, and escaped again when it is written."""
        end = self._at + 1
        while end < len(self._text) and self._text[end] != "`":
            end += 2 if self._text[end] == "\\" else 1
        content = self._text[self._at + 1 : end]
        plain = re.sub(r'\\([$`\\"])' if quoted else r"\\([$`\\])", r"\1", content)
        parts = self._commands(plain)
        self._words.add_expansion()
        if parts and parts != [plain]:
            self._flush()
            self.parts += ["`", *escaped(parts, r"[\\`]")]
            self._kept = min(end, len(self._text))
        self._at = min(end + 1, len(self._text))

    # Expansions

    def _dollar(self, *, quoted: bool) -> None:
        if self._is("$((") and self._is_arithmetic(self._at + 1):
            self._skip(3)
            self._arithmetic("))", quoted=quoted)
        elif self._is("$("):
            self._words.add_expansion()
            self._skip()
            self._nested()
        elif self._is("${"):
            self._parameter(quoted=quoted)
        elif self._is("$["):
            self._skip(2)
            self._arithmetic("]", quoted=quoted)
        elif self._is("$'") and not quoted:
            self._ansi()
        elif found := _VARIABLE.match(self._text, self._at):
            self._words.add_expansion(found[1])
            self._skip(len(found[0]))
        else:
            self._take()

    def _is_arithmetic(self, start: int) -> bool:
        """Return whether the `((` here is closed by `))`; for commands in two pairs of parentheses, it is not."""
        depth = 0
        for found in _PARENTHESES.finditer(self._text, start + 1):
            depth += (found[0] == "(") - (found[0] == ")")
            if depth == 0:
                return self._text.startswith(")", found.end())
        return True

    def _parameter(self, *, quoted: bool) -> None:
        """Read `${…}`. Placeholders count only in the word after its operator."""
        self._skip(1)
        if self._is("{{") and self._site(Quotes.DOUBLE):
            return
        self._skip(1)
        found = _PARAMETER.match(self._text, self._at)
        mark, name = (found[1], found[2] or "") if found else ("", "")
        self._words.add_expansion("" if mark == "#" else name)
        self._skip(found.end() - self._at if found else 0)
        if self._is("["):
            self._subscript(name, quoted=quoted)
        if mark == "!" or self._is("@P"):
            self._taints.evaluated.add(name)
        if fallback := _FALLBACK.match(self._text, self._at):
            self._skip(len(fallback[0]))
            self._operand("}", quoted=quoted)
        elif self._is(":"):
            self._arithmetic("}", quoted=quoted)
        else:
            self._operand("}", quoted=False)

    def _operand(self, closer: str, *, quoted: bool) -> None:
        """Read the word after an operator in `${…}`, or an extended pattern, including its closer."""
        depth = 0
        while self._more() and (depth or not self._is(closer)):
            depth += (closer == ")") * (self._is("(") - self._is(")"))
            self._operand_char(quoted=quoted)
        self._skip()

    def _operand_char(self, *, quoted: bool) -> None:
        char = self._text[self._at]
        if char == "\\":
            self._take(2)
        elif char == "'" and not quoted:
            self._single()
        elif char == '"':
            self._double()
        elif char == "$":
            self._dollar(quoted=quoted)
        elif char == "`":
            self._backquote(quoted=quoted)
        elif not self._site(Quotes.DOUBLE if quoted else Quotes.BARE, inside=True):
            self._take_run()

    def _arithmetic(self, closer: str, *, quoted: bool) -> None:
        expression = self._expression(closer, quoted=quoted)
        expression.end_arithmetic()

    def _subscript(self, array: str, *, quoted: bool) -> None:
        self._skip()
        expression = self._expression("]", quoted=quoted)
        self._taints.subscripts.append((array, expression.text, expression.sites))
        self._words.add("[]")

    def _expression(self, closer: str, *, quoted: bool) -> Expression:
        """Read an expression up to its closer, which is consumed."""
        outer, self._words = self._words, Expression(self._taints)
        opener = {"))": "(", "]": "[", "}": ""}[closer]
        depth = 0
        while self._more() and (depth or not self._is(closer)):
            if opener:
                depth += self._is(opener) - self._is(closer[0])
            self._operand_char(quoted=quoted)
        self._skip(len(closer))
        expression, self._words = self._words, outer
        return expression


def escaped(parts: list[str | PlaceholderSite], special: str) -> list[str | PlaceholderSite]:
    """Return the parts with a backslash before each special character of their text."""
    return [re.sub(special, r"\\\g<0>", part) if isinstance(part, str) else part for part in parts]
