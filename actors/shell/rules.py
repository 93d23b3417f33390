"""Commands that evaluate the text they are given: which of their words may hold only harmless values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from .holes import EVALUATED, HOLE, NAME, SUBSCRIPT, Demand

DECLARING: Final = frozenset({"declare", "typeset", "local", "readonly", "export"})
"""Builtins whose arguments are assignments."""

_EVALUATING = frozenset({"eval", "trap", "alias", "complete", "compgen"})
_NAMING = frozenset({"unset", "read", "readarray", "mapfile", "getopts"})
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "rbash", "${SHELL}", "${BASH}"})
_OPTIONS_WITH_WORD = frozenset({"-o", "+o", "-O", "+O", "--rcfile", "--init-file"})
_EXPANSIONS = re.compile(rf"^(?:\$\{{\w*\}}|{HOLE})+(?=.)|^(?:\$\{{\w*\}})+$", re.DOTALL)
_CODE_OPTION = re.compile(r"-[A-Za-z]*c[A-Za-z]*")
_SSH_OPTION = re.compile(r"-\w*[BbcDEeFIiJLlmOopQRSWw]")


def demand_of(before: Sequence[str], word: str) -> Demand | None:
    """What a word asks of the values in it, by the words before it in its command."""
    name = builtin(before)
    if name in _EVALUATING or _is_code(before):
        return EVALUATED
    if name in _NAMING or (before and before[-1] == "-v" and name in ("test", "[", "printf")):
        return naming(word)
    return None


def naming(word: str) -> Demand:
    """What the name of a variable asks of the values in it."""
    return SUBSCRIPT if "[" in word else NAME


def builtin(before: Sequence[str]) -> str:
    """The command's name; an expansion before it, as in `$SUDO eval`, may come to nothing."""
    names = (_EXPANSIONS.sub("", word) for word in before)
    return next((name for name in names if name not in ("", "command", "builtin", "exec")), "")


def reads_code(words: Sequence[str]) -> bool:
    """Whether the input of this command is a script: `bash -s`, `sudo sh`, `ssh host`."""
    for at, word in enumerate(words):
        program, arguments = _program(word), words[at + 1 :]
        if program in _SHELLS:
            return not _code_follows(arguments) and not _script(arguments)
        if program == "ssh":
            remote = _remote(arguments)
            return not remote or reads_code(remote)
    return False


def _is_code(before: Sequence[str]) -> bool:
    """Whether the next word is a script: after `sh -c`, also one that sudo, find or xargs starts, and after `ssh`."""
    for at, word in enumerate(before):
        program = _program(word)
        if program == "ssh" or (program in _SHELLS and _code_follows(before[at + 1 :])):
            return True
        if program in ("su", "runuser") and before[-1] in ("-c", "--command"):
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
