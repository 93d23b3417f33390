"""Reads a shell command the way a shell does, to find out how each placeholder in it is quoted."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from .interpolation import pieces_at
from .shellwords import Expression, Findings, Hole, Words, demand_inert, reads_code


class Quotes(Enum):
    """How a place in a command is quoted: what goes before and after a reference to a variable there."""

    BARE = ('"', '"')
    DOUBLE = ("", "")
    SINGLE = ("'\"", "\"'")
    ANSI = ("'\"", "\"$'")


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document whose body follows on the next line."""

    at: int
    """Where its delimiter stands among the parts."""
    delimiter: str
    quoted: bool
    tabs: bool
    """`<<-`: tabs before its lines are dropped."""
    command: list[str]


_PLAIN = re.compile(r"[^ \t\n'\"`$\\{()<>;&|#\[]+")
_OPERATOR = re.compile(r";;&|;;|;&|&>>?|&&|\|\||\|&|[;&|]")
_REDIRECTION = re.compile(r"<<<|<<-?|<>|<&|>\||>>|>&|[<>]")
_DELIMITER = re.compile(r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\;&|<>()])+""", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:[A-Za-z_]\w*|[\d@*#?$!-])?")
_PARAMETER = re.compile(r"([#!]?)([A-Za-z_]\w*|\d+|[@*#?$!-])?")
_FALLBACK = re.compile(r":?[-=?+]")
_NAME = re.compile(r"[A-Za-z_]\w*")
_RUN = re.compile(r"[\w \t\n./,-]*")
_PARENTHESES = re.compile(r"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"|[()]", re.DOTALL)
_UNQUOTED = re.compile(r"['\"]|\\(.)", re.DOTALL)


class Scanner:
    """One pass over a command; `parts` are the text and the holes it consists of."""

    def __init__(self, text: str, findings: Findings) -> None:
        self.parts: list[str | Hole] = []
        self._text = text
        self._at = 0
        self._kept = 0
        """Up to where the text has been put into the parts."""
        self._findings = findings
        self._words: Expression = Words(findings)
        self._heredocs: list[Heredoc] = []

    def scan_command(self) -> list[str | Hole]:
        """The parts of a whole command."""
        self._code()
        return self._finished()

    def scan_body(self) -> list[str | Hole]:
        """The parts of a here-document's body, where quotes are only text."""
        while self._more():
            self._quoted_char()
        return self._finished()

    def scan_literal(self) -> list[str | Hole]:
        """The parts of a body after a quoted delimiter, where all but placeholders is only text."""
        while self._more():
            if not self._hole(Quotes.DOUBLE):
                self._take_run()
        return self._finished()

    # Steps

    def _more(self) -> bool:
        return self._at < len(self._text)

    def _is(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _flush(self) -> None:
        if self._kept < self._at:
            self.parts.append(self._text[self._kept : self._at])
        self._kept = self._at

    def _finished(self) -> list[str | Hole]:
        self._at = len(self._text)
        self._flush()
        return self.parts

    def _take(self, length: int = 1) -> None:
        """The next characters are part of a word."""
        self._words.add(self._text[self._at : self._at + length])
        self._at += length

    def _take_run(self) -> None:
        """The next character, and those after it that mean nothing anywhere."""
        found = _RUN.match(self._text, self._at + 1)
        self._take(found.end() - self._at if found else 1)

    def _skip(self, length: int = 1) -> None:
        """The next characters are quotes, or part of no word."""
        self._at = min(self._at + length, len(self._text))

    def _hole(self, quotes: Quotes, *, inside: bool = False) -> bool:
        """Takes a placeholder or a literal `{name}`, if one stands here."""
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
                hole = Hole(piece, *quotes.value, pasted=piece.raw, always=inside, range=self._is_bound(end))
                self.parts.append(hole)
                self._words.add_hole(hole)
        self._at = self._kept = end
        return True

    def _is_bound(self, end: int) -> bool:
        before, after = self._text[max(0, self._at - 2) : self._at], self._text[end : end + 2]
        return (before.endswith("..") and after[:1] == "}") or (before.endswith("{") and after == "..")

    def _backslash(self) -> None:
        """Within quotes: one before a value stays a backslash, and must not reach the `$` of the reference."""
        if self._text.startswith("{", self._at + 1) and pieces_at(self._text, self._at + 1):
            self._flush()
            self.parts.append("\\")
            self._take()
        else:
            self._take(2)

    # Commands

    def _code(self, closer: str = "", *, array: str | None = None) -> None:
        """Commands, or the elements of an array, up to the closer, which stays to be taken."""
        outer, words = self._words, Words(self._findings, array=array)
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
        elif char == "{" and self._hole(Quotes.BARE):
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
            self._findings.arrays.add(words.assigned_name)
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
        """What stands between parentheses, the first of which stands here."""
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
        body = Scanner(self._text[self._at : end], self._findings)
        parts = body.scan_literal() if heredoc.quoted else body.scan_body()
        holes = [part for part in parts if isinstance(part, Hole)]
        if parts == [self._text[self._at : end]] or not parts:
            pass
        elif heredoc.quoted:
            self._unquote(heredoc, parts, holes, end, after)
        else:
            self.parts += parts
            self._kept = end
        if reads_code(heredoc.command):
            demand_inert(holes)
        self._at = after

    def _unquote(self, heredoc: Heredoc, parts: list[str | Hole], holes: list[Hole], end: int, after: int) -> None:
        """A quoted delimiter lets no value in: the body has been escaped, a plain one takes its place."""
        name = heredoc.delimiter if _NAME.fullmatch(heredoc.delimiter) else "SM_EOF"
        lines = {line.lstrip("\t") for line in self._text[self._at : end].split("\n")}
        while name in lines:
            name += "_"
        for hole in holes:
            hole.pasted = False
        self.parts[heredoc.at] = name
        self.parts += [_escaped(part, r"[\\$`]") if isinstance(part, str) else part for part in parts]
        if end < after:
            self.parts.append(name)
        self._kept = after

    def _heredoc_end(self, heredoc: Heredoc) -> tuple[int, int]:
        """Where the body ends, and where its delimiter does."""
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
            elif not self._hole(quotes):
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
        elif not self._hole(Quotes.DOUBLE):
            self._take_run()

    def _backquote(self, *, quoted: bool) -> None:
        """Its content is unescaped once before it is read as commands, and written so that it comes out the same."""
        end = self._at + 1
        while end < len(self._text) and self._text[end] != "`":
            end += 2 if self._text[end] == "\\" else 1
        content = self._text[self._at + 1 : end]
        plain = re.sub(r'\\([$`\\"])' if quoted else r"\\([$`\\])", r"\1", content)
        parts = Scanner(plain, self._findings).scan_command()
        self._words.add("")
        if parts and parts != [plain]:
            self._flush()
            written = [_escaped(part, r"[\\`]") if isinstance(part, str) else part for part in parts]
            self.parts += ["`", *written]
            self._kept = min(end, len(self._text))
        self._at = min(end + 1, len(self._text))

    # Expansions

    def _dollar(self, *, quoted: bool) -> None:
        if self._is("$((") and self._is_arithmetic(self._at + 1):
            self._skip(3)
            self._arithmetic("))", quoted=quoted)
        elif self._is("$("):
            self._words.add("$")
            self._skip()
            self._nested()
        elif self._is("${"):
            self._parameter(quoted=quoted)
        elif self._is("$["):
            self._skip(2)
            self._arithmetic("]", quoted=quoted)
        elif self._is("$'") and not quoted:
            self._ansi()
        else:
            found = _VARIABLE.match(self._text, self._at)
            self._take(found.end() - self._at if found else 1)

    def _is_arithmetic(self, start: int) -> bool:
        """Whether the `((` here is closed by `))`; commands in two pairs of parentheses are not."""
        depth = 0
        for found in _PARENTHESES.finditer(self._text, start + 1):
            depth += (found[0] == "(") - (found[0] == ")")
            if depth == 0:
                return self._text.startswith(")", found.end())
        return True

    def _parameter(self, *, quoted: bool) -> None:
        """`${…}`, which is the shell's own up to the word after its operator."""
        self._skip(1)
        if self._is("{{") and self._hole(Quotes.DOUBLE):
            return
        self._skip(1)
        found = _PARAMETER.match(self._text, self._at)
        mark, name = (found[1], found[2] or "") if found else ("", "")
        self._words.add("" if mark == "#" else f"${name}")
        self._skip(found.end() - self._at if found else 0)
        if self._is("["):
            self._subscript(name, quoted=quoted)
        if mark == "!" or self._is("@P"):
            self._findings.evaluated.add(name)
        if _FALLBACK.match(self._text, self._at):
            self._operand("}", quoted=quoted)
        elif self._is(":"):
            self._arithmetic("}", quoted=quoted)
        else:
            self._operand("}", quoted=False)

    def _operand(self, closer: str, *, quoted: bool) -> None:
        """The word after an operator in `${…}`, or an extended pattern, with its closer."""
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
        elif not self._hole(Quotes.DOUBLE if quoted else Quotes.BARE, inside=True):
            self._take_run()

    def _arithmetic(self, closer: str, *, quoted: bool) -> None:
        expression = self._expression(closer, quoted=quoted)
        expression.end_arithmetic()

    def _subscript(self, array: str, *, quoted: bool) -> None:
        self._skip()
        expression = self._expression("]", quoted=quoted)
        self._findings.subscripts.append((array, expression.text, expression.holes))
        self._words.add("[]")

    def _expression(self, closer: str, *, quoted: bool) -> Expression:
        """What stands up to the closer, which is taken."""
        outer, self._words = self._words, Expression(self._findings)
        opener = {"))": "(", "]": "[", "}": ""}[closer]
        depth = 0
        while self._more() and (depth or not self._is(closer)):
            if opener:
                depth += self._is(opener) - self._is(closer[0])
            self._operand_char(quoted=quoted)
        self._skip(len(closer))
        expression, self._words = self._words, outer
        return expression


def _escaped(text: str, special: str) -> str:
    return re.sub(special, r"\\\g<0>", text)


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
