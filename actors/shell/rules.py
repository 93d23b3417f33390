"""Rules for commands that evaluate text they are given: the words in which only harmless values are allowed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from .placeholder_sites import EVALUATED, NAME, SITE, SUBSCRIPT, Demand

DECLARING: Final = frozenset({"declare", "typeset", "local", "readonly", "export"})
"""Builtins whose arguments are assignments."""

_EVALUATING = frozenset({"eval", "trap", "alias", "complete", "compgen"})
_NAMING = frozenset({"unset", "read", "readarray", "mapfile", "getopts"})
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "rbash", "${SHELL}", "${BASH}"})
_OPTIONS_WITH_WORD = frozenset({"-o", "+o", "-O", "+O", "--rcfile", "--init-file"})
_EXPANSIONS = re.compile(rf"^(?:\$\{{\w*\}}|{SITE})+(?=.)|^(?:\$\{{\w*\}})+$", re.DOTALL)
_CODE_OPTION = re.compile(r"-[A-Za-z]*c[A-Za-z]*")
_SSH_OPTION = re.compile(r"-\w*[BbcDEeFIiJLlmOopQRSWw]")


def demand_of(before: Sequence[str], word: str) -> Demand | None:
    """Return the demand of a word on the values in it, given the words before it in its command."""
    name = builtin(before)
    if name in _EVALUATING or _is_code(before):
        return EVALUATED
    if name in _NAMING or (before and before[-1] == "-v" and name in ("test", "[", "printf")):
        return naming(word)
    return None


def naming(word: str) -> Demand:
    """Return the demand of a variable's name on the values in it."""
    return SUBSCRIPT if "[" in word else NAME


def builtin(before: Sequence[str]) -> str:
    """Return the command's name. An expansion before it, as in `$SUDO eval`, may be empty."""
    names = (_EXPANSIONS.sub("", word) for word in before)
    return next((name for name in names if name not in ("", "command", "builtin", "exec")), "")


def reads_code(words: Sequence[str]) -> bool:
    """Return whether the command reads a script from its input: `bash -s`, `sudo sh`, `ssh host`."""
    for at, word in enumerate(words):
        program, arguments = _program(word), words[at + 1 :]
        if program in _SHELLS:
            return not _code_follows(arguments) and not _script(arguments)
        if program == "ssh":
            remote = _remote(arguments)
            return not remote or reads_code(remote)
    return False


def _is_code(before: Sequence[str]) -> bool:
    """Return whether the next word is a script: after `sh -c`, also under sudo, find or xargs, and after `ssh`."""
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
    """Return whether a shell's arguments name a script file; after `-s` they are plain arguments."""
    if "-s" in arguments:
        return False
    pairs = zip(("", *arguments), arguments, strict=False)
    return any(word[:1] not in ("-", "+") and option not in _OPTIONS_WITH_WORD for option, word in pairs)


def _remote(arguments: Sequence[str]) -> Sequence[str]:
    """Return the command that ssh runs on the other host."""
    for at, word in enumerate(arguments):
        if not word.startswith("-") and not (at and _SSH_OPTION.fullmatch(arguments[at - 1])):
            return arguments[at + 1 :]
    return ()


def _program(word: str) -> str:
    return word.rpartition("/")[2]
