"""Read a shell command as a shell does, to find out how each placeholder in it is quoted."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .placeholder_sites import EVALUATED, CommandTaints, PlaceholderSite, demand
from .rules import reads_code
from .text import Quotes, ShellText, escaped
from .words import Words

_PLAIN = re.compile(r"[^ \t\n'\"`$\\{()<>;&|#\[]+")
_OPERATOR = re.compile(r";;&|;;|;&|&>>?|&&|\|\||\|&|[;&|]")
_REDIRECTION = re.compile(r"<<<|<<-?|<>|<&|>\||>>|>&|[<>]")
_DELIMITER = re.compile(r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\;&|<>()])+""", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*")
_UNQUOTED = re.compile(r"['\"]|\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document whose body follows on the next line."""

    at: int
    """The index of its delimiter among the parts."""
    delimiter: str
    quoted: bool
    tabs: bool
    """`<<-`: tabs before its lines are dropped."""
    command: list[str]


class Scanner(ShellText):
    """One pass over a command."""

    def __init__(self, text: str, taints: CommandTaints) -> None:
        super().__init__(text, taints)
        self._heredocs: list[Heredoc] = []

    def scan_command(self) -> list[str | PlaceholderSite]:
        """Return the parts of a whole command."""
        self._code()
        return self._finished()

    def scan_body(self) -> list[str | PlaceholderSite]:
        """Return the parts of a here-document's body, where quotes are plain text."""
        while self._more():
            self._quoted_char()
        return self._finished()

    def scan_literal(self) -> list[str | PlaceholderSite]:
        """Return the parts of a body after a quoted delimiter, where all but placeholders is plain text."""
        while self._more():
            if not self._site(Quotes.DOUBLE):
                self._take_run()
        return self._finished()

    # Commands

    def _commands(self, text: str) -> list[str | PlaceholderSite]:
        return Scanner(text, self._taints).scan_command()

    def _code(self, closer: str = "", *, array: str | None = None) -> None:
        """Read commands, or the elements of an array, up to the closer, which is not consumed."""
        outer, words = self._words, Words(self._taints, array=array)
        self._words = words
        while self._more():
            if self._is(")"):
                words.end_word()
                if closer and not words.in_pattern:
                    break
            self._code_char(words)
        words.end_command()
        self._words = outer

    def _code_char(self, words: Words) -> None:
        char = self._text[self._at]
        if char in _STEPS:
            _STEPS[char](self, words)
        elif char in " \t":
            words.end_word()
            self._skip()
        elif char == "{" and self._site(Quotes.BARE):
            return
        else:
            plain = _PLAIN.match(self._text, self._at)
            self._take(plain.end() - self._at if plain else 1)

    def _newline(self, words: Words) -> None:
        words.end_command()
        self._skip()
        pending, self._heredocs = self._heredocs, []
        for heredoc in pending:
            self._heredoc_body(heredoc)

    def _comment(self, words: Words) -> None:
        if words.started or words.conditional:
            self._take()
        else:
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end

    def _escape(self, words: Words) -> None:
        if self._is("\\\n"):
            self._skip(2)
        else:
            self._skip()
            self._take()

    def _operator(self, words: Words) -> None:
        found = _OPERATOR.match(self._text, self._at)
        operator = found[0] if found else ""
        if operator.startswith("&>"):
            words.redirect(operator)
        else:
            words.end_command(operator)
        self._skip(len(operator))

    def _bracket(self, words: Words) -> None:
        array = words.subscripted_name
        if array is None:
            self._take()
        else:
            self._subscript(array, quoted=False)

    def _open(self, words: Words) -> None:
        if words.assigned_name and not words.conditional:
            self._taints.arrays.add(words.assigned_name)
            self._nested(array=words.assigned_name)
        elif words.started and words.text[-1:] in tuple("?*+@!"):
            self._take()
            self._operand(")", quoted=False)
        elif words.conditional or words.in_pattern:
            words.end_word()
            self._skip()
        elif not words.started and self._is("((") and self._is_arithmetic(self._at):
            self._skip(2)
            self._arithmetic("))", quoted=False)
        else:
            words.end_command()
            self._nested()

    def _nested(self, *, array: str | None = None) -> None:
        """Read the content of parentheses; the opening one stands here."""
        self._skip()
        self._code(")", array=array)
        self._skip()

    def _close(self, words: Words) -> None:
        if words.in_pattern:
            words.end_pattern()
        else:
            words.end_command()
        self._skip()

    def _redirection(self, words: Words) -> None:
        found = _REDIRECTION.match(self._text, self._at)
        operator = found[0] if found else ""
        if words.conditional:
            words.end_word()
            self._skip()
        elif self._text.startswith("(", self._at + 1) and len(operator) == 1:
            self._take()
            self._nested()
        else:
            words.redirect(operator)
            self._skip(len(operator))
            if operator in ("<<", "<<-"):
                self._heredoc(words, operator)

    # Here-documents

    def _heredoc(self, words: Words, operator: str) -> None:
        while self._is(" ") or self._is("\t"):
            self._skip()
        found = _DELIMITER.match(self._text, self._at)
        if not found:
            return
        self._flush()
        written = found[0]
        delimiter = _UNQUOTED.sub(lambda match: match[1] or "", written)
        quoted = delimiter != written
        self._heredocs.append(Heredoc(len(self.parts), delimiter, quoted, operator == "<<-", words.words))
        self.parts.append(written)
        self._at = self._kept = found.end()
        words.add("")
        words.end_word()

    def _heredoc_body(self, heredoc: Heredoc) -> None:
        self._flush()
        end, after = self._heredoc_end(heredoc)
        body = Scanner(self._text[self._at : end], self._taints)
        parts = body.scan_literal() if heredoc.quoted else body.scan_body()
        sites = [part for part in parts if isinstance(part, PlaceholderSite)]
        if parts == [self._text[self._at : end]] or not parts:
            pass
        elif heredoc.quoted:
            self._unquote(heredoc, parts, sites, end, after)
        else:
            self.parts += parts
            self._kept = end
        if reads_code(heredoc.command):
            demand(sites, EVALUATED)
        self._at = after

    def _unquote(
        self, heredoc: Heredoc, parts: list[str | PlaceholderSite], sites: list[PlaceholderSite], end: int, after: int
    ) -> None:
        """Replace a quoted delimiter, which prevents expansion, by a plain one, and escape the body instead."""
        name = heredoc.delimiter if _NAME.fullmatch(heredoc.delimiter) else "SM_EOF"
        lines = {line.lstrip("\t") for line in self._text[self._at : end].split("\n")}
        while name in lines:
            name += "_"
        for site in sites:
            site.pasted = False
        self.parts[heredoc.at] = name
        self.parts += escaped(parts, r"[\\$`]")
        if end < after:
            self.parts.append(name)
        self._kept = after

    def _heredoc_end(self, heredoc: Heredoc) -> tuple[int, int]:
        """Return the end of the body, and the end of its delimiter."""
        start, continued = self._at, False
        while start < len(self._text):
            newline = self._text.find("\n", start)
            stop = len(self._text) if newline < 0 else newline
            line = self._text[start:stop]
            if not continued and (line.lstrip("\t") if heredoc.tabs else line) == heredoc.delimiter:
                return start, stop
            backslashes = len(line) - len(line.rstrip("\\"))
            continued = not heredoc.quoted and backslashes % 2 == 1
            start = stop + 1
        return len(self._text), len(self._text)


_STEPS: dict[str, Callable[[Scanner, Words], None]] = {
    "\n": Scanner._newline,
    "#": Scanner._comment,
    "\\": Scanner._escape,
    "'": Scanner._single,
    '"': Scanner._double,
    "`": lambda scanner, words: scanner._backquote(quoted=False),
    "$": lambda scanner, words: scanner._dollar(quoted=False),
    "[": Scanner._bracket,
    "(": Scanner._open,
    ")": Scanner._close,
    "<": Scanner._redirection,
    ">": Scanner._redirection,
    ";": Scanner._operator,
    "&": Scanner._operator,
    "|": Scanner._operator,
}
