"""Any text arrives byte for byte through real shells at every place in a command, and none of it is executed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statemachine_engine.actors.shell.shell import ShellCommand, ShellValueError, rewrite

Expected = Callable[[str], str]

BASH = shutil.which("bash")
SHELLS = [shell for shell in ("/bin/sh", BASH, shutil.which("busybox")) if shell]


def as_it_is(value: str) -> str:
    return value


def less_newlines(value: str) -> str:
    """Remove line breaks from the end, as a command substitution does."""
    return value.rstrip("\n")


def between(before: str, after: str) -> Expected:
    return lambda value: f"{before}{value}{after}"


PORTABLE: dict[str, tuple[str, Expected]] = {
    "bare": ("p {v}", as_it_is),
    "within double quotes": ('p "{v}"', as_it_is),
    "within single quotes": ("p '{v}'", as_it_is),
    "amid a bare word": ("p foo{v}bar", between("foo", "bar")),
    "amid a double-quoted word": ('p "foo {v} bar"', between("foo ", " bar")),
    "amid a single-quoted word": ("p 'foo {v} \"$bar'", between("foo ", ' "$bar')),
    "after an equals sign": ("p --a={v}", between("--a=", "")),
    "twice in a row": ("p {v}{v}", lambda value: value * 2),
    "beside quotes": ("p 'a'{v}\"b\"", between("a", "b")),
    "after a backslash in double quotes": (r'p "\{v}"', between("\\", "")),
    "after a backslash in single quotes": (r"p '\{v}'", between("\\", "")),
    "after two backslashes": (r"p \\{v}", between("\\", "")),
    "in an assignment": ('x={v}; p "$x"', as_it_is),
    "in an assignment before a command": ('x={v} sh -c \'printf "%s\\0" "$x"\'', as_it_is),
    "in a command substitution": ("p $(printf %s {v} | (IFS= read -r x; printf ok))", lambda value: "ok"),
    "in a quoted command substitution": ('p "$(printf %s {v})"', less_newlines),
    "quoted in a quoted command substitution": ('p "$(printf %s "{v}")"', less_newlines),
    "in two command substitutions": ('p "$(printf %s "$(printf %s \'{v}\')")"', less_newlines),
    "in a case in a command substitution": ('p "$(case x in x) printf %s {v};; esac)"', less_newlines),
    "in backquotes": ('x=`printf %s {v}`; p "$x"', less_newlines),
    "in quoted backquotes": ('p "`printf %s "{v}"`"', less_newlines),
    "in backquotes in backquotes": ('x=`printf %s "\\`printf %s {v}\\`"`; p "$x"', less_newlines),
    "as a fallback": ("unset x; p ${x:-{v}}", as_it_is),
    "as a quoted fallback": ('unset x; p "${x:-{v}}"', as_it_is),
    "as a fallback in quotes": ("unset x; p \"${x:-'{v}'}\"", between("'", "'")),
    "as an alternative": ('x=1; p "${x:+{v}}"', as_it_is),
    "as a default that is assigned": ('unset x; : "${x:={v}}"; p "$x"', as_it_is),
    "as a suffix that is cut off": ('x=pre{v}; p "${x%{v}}"', lambda value: "pre"),
    "as a prefix that is cut off": ("x={v}post; p ${x#'{v}'}", lambda value: "post"),
    "in a here-document": ("cat <<END\n[{v}]\nEND\nn", between("[", "]\n")),
    "in quotes in a here-document": ("cat <<END\n\"{v}\" '{v}' \\{v}\nEND\nn", lambda v: f"\"{v}\" '{v}' \\{v}\n"),
    "in a command in a here-document": ("cat <<END\n$(printf %s '{v}')\nEND\nn", lambda v: less_newlines(v) + "\n"),
    "in a literal here-document": ("cat <<'END'\n$x `a` \\ \"{v}\"\nEND\nn", between('$x `a` \\ "', '"\n')),
    "in an indented here-document": ('cat <<-"END"\n\t\t{v}\n\tEND\nn', between("", "\n")),
    "in a here-document with an odd delimiter": ("cat <<'E N D'\n{v}\\\nE N D\nn", between("", "\\\n")),
    "in a second here-document": ("cat <<A - <<\\B\nA\n{v}\nB\nn", between("", "\n")),
    "in a here-document in a substitution": ('p "$(cat <<END\n{v}.\nEND\n)"', between("", ".")),
    "after a comment with a quote": ("# don't {v}\np {v}", as_it_is),
    "as a case pattern": ("case {v} in {v}) p yes;; *) p no;; esac", lambda value: "yes"),
    "as a part of a case pattern": ("case a{v}b in *'{v}'b) p yes;; esac", lambda value: "yes"),
    "in a function": ("f() { p {v}; }; f", as_it_is),
    "in a subshell": ("( p {v} )", as_it_is),
    "in a loop": ('for x in {v}; do p "$x"; done', as_it_is),
    "in a comparison": ('if [ {v} = "{v}" ]; then p yes; fi', lambda value: "yes"),
    "over a continued line": ("p \\\n  {v}", as_it_is),
    "in a pipe": ("printf '%s\\0' {v} | cat", as_it_is),
    "as an argument of another shell": ('sh -c \'printf "%s\\0" "$1"\' _ {v}', as_it_is),
    "as an argument of a function": ('g() { p "$2"; }; g {v} {v}', as_it_is),
    "as a positional parameter": ('set -- {v}; p "$1"', as_it_is),
}

BASH_ONLY: dict[str, tuple[str, Expected]] = {
    "in escaping quotes": (r"p $'a\'\t{v}\{v}'", lambda v: f"a'\t{v}\\{v}"),
    "in a here-string": ("cat <<< {v}; n", between("", "\n")),
    "in a quoted here-string": ('cat <<< "<{v}>"; n', between("<", ">\n")),
    "in an array": ('a=({v} "{v}"); p "${a[1]}"', as_it_is),
    "added to an array": ('a=(); a+=({v}); p "${a[@]}"', as_it_is),
    "at an index of an array": ('a=([2]={v}); p "${a[2]}"', as_it_is),
    "as a key of a map": ('declare -A m; m[{v}x]={v}; p "${m[{v}x]}"', as_it_is),
    "in a conditional": ("[[ {v} == {v} && '{v}' = \"{v}\" ]] && p yes", lambda value: "yes"),
    "as a pattern to replace": ('x=a{v}b; p "${x/{v}b/-}"', lambda value: "a-"),
    "as a replacement": ('x=ab; p "${x/b/{v}}"', between("a", "")),
    "in a process substitution": ("cat <(printf %s {v}); n", as_it_is),
    "in a brace expansion": ('q() { p "$2"; }; q {a,{v}}', as_it_is),
    "in a declaration": ('f() { local x={v}; p "$x"; }; f', as_it_is),
    "in a function with a keyword": ("function h { p {v}; }; h", as_it_is),
}

PRELUDE = "p() { printf '%s\\0' \"$1\"; }; n() { printf '\\0'; }\n"

HOSTILE = [
    *("$(touch canary)", "`touch canary`", "; touch canary", "'; touch canary; '", '"; touch canary; "'),
    *("\ntouch canary\n", "'\"'\"'$(touch canary)", "&& touch canary", "| touch canary", "> canary", "$(<canary)"),
    *("a[$(touch canary)]", "x[`touch canary`0]", "$((a[$(touch canary)]))", "END\ntouch canary\nEND"),
    *("B\ntouch canary", "E N D\ntouch canary", "SM_EOF\ntouch canary", ") touch canary;;", "}; touch canary; {"),
    *("<(touch canary)", "`touch\tcanary`", "\\$(touch canary)", "\\`touch canary\\`", "@(touch)", "${x@P}", "x@P"),
    *("$SM_V1", "${SM_V1}", "{v}", "{v|raw}", "{{v}}", "{a,b}", "{1..3}", "*", "?", "[a]", "~", "~root", "${IFS}"),
    *("-n", "-e", "--", "!!", "!", "#x", " # x", "", " ", "\t", "a  b", "a\n", "\n", "\n\n", "a\rb", "&", "&&x"),
    *(
        "$",
        "$$",
        "${",
        "$(",
        "`",
        ")",
        "}",
        "'",
        '"',
        "\\",
        "\\'",
        '\\"',
        "esac",
        ";;",
        "%s%n",
        "\\0",
        "\\n",
        "1+1",
        "010",
    ),
    *(
        "\x01",
        "\x7f",
        "\x01\x01",
        "\x7f\x7fa",
        "\x88",
        "\x81\x82",
        "\x1b[0m",
        "Ł",
        "é",
        "日本語",
        "🎈",
        "\u2028",
        "\ufeff",
    ),
]

values = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
    st.lists(st.sampled_from(HOSTILE), min_size=2, max_size=4).map("".join),
    st.text(st.sampled_from("'\"\\$`(){}[]<>|&;#*?~!= \n\tabEND\x01\x7f"), max_size=15),
)


def argv(shell: str) -> list[str]:
    return [shell, *(["sh"] if shell.endswith("busybox") else []), "-c"]


def outcome(shell: str, script: str, env: dict[str, str]) -> tuple[str, str]:
    """Run the script, check that it leaves no file, and return its output."""
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            [*argv(shell), script],
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **env},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert os.listdir(folder) == []
    return done.stdout.decode(), done.stderr.decode()


def commands_for(contexts: dict[str, tuple[str, Expected]], texts: list[str]) -> Iterator[tuple[str, str, str]]:
    for name, (template, expected) in contexts.items():
        for at, text in enumerate(texts):
            yield f"{name}: {text!r}", template.replace("{v}", f"{{v{at}}}"), expected(text)


def check(shell: str, contexts: dict[str, tuple[str, Expected]], texts: list[str]) -> None:
    names, templates, expected = zip(*commands_for(contexts, texts), strict=True)
    command = rewrite(PRELUDE + "\n".join(templates), {f"v{at}": text for at, text in enumerate(texts)})
    printed, errors = outcome(shell, command.text, command.env)
    assert errors == ""
    assert dict(zip(names, printed.split("\0")[:-1], strict=True)) == dict(zip(names, expected, strict=True))


def prints(word: str) -> st.SearchStrategy[str]:
    """Generate commands that print the word."""
    return st.sampled_from(
        [
            f"printf %s {word}",
            f"(printf %s {word})",
            f"( (printf %s {word}) )",
            f"if [ x ]; then printf %s {word}; fi # it's {{v}}\n",
            f"case x in x) printf %s {word};; esac",
            f"case x in (y|x) printf %s {word} ;; *) ;; esac",
            f"f() {{ printf %s {word}; }}; f",
            f'for x in {word}; do printf %s "$x"; done',
            f": $((1 + (2))); printf %s {word}",
            f"printf %s {word} | cat 2>&1",
            f"cat <<A{len(word)}\n$(printf %s {word})\nA{len(word)}\n",
            f"cat <<A{len(word)} 2>&1; : <<'B'\n$(printf %s {word})\nA{len(word)}\n' $HOME \\{{v}}\nB\n",
        ]
    )


def words(command: str) -> st.SearchStrategy[str]:
    """Generate words that expand to the output of the command."""
    escaped = command.replace("\\", "\\\\").replace("`", "\\`")
    return st.sampled_from(
        [
            f'"$( {command}\n)"',
            f'"`{escaped}\n`"',
            f"$(:)\"$( {command}\n)\"''",
            f'"${{u:-$( {command}\n)}}"',
            f'${{u:-"$( {command}\n)"}}',
            f'"${{u-"$( {command}\n)"}}"',
            f'"${{PATH+`{escaped}\n`}}"',
        ]
    )


nested_words = st.recursive(
    st.sampled_from(["{v}", '"{v}"', "'{v}'", "${u:-{v}}", '"${u:-{v}}"', '"${u:-"{v}"}"', "''{v}\"\""]),
    lambda word: word.flatmap(prints).flatmap(words),
    max_leaves=4,
)

FOR_REAL_SHELLS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("shell", SHELLS)
@given(texts=st.lists(values, min_size=1, max_size=6))
@FOR_REAL_SHELLS
def test_any_text_arrives_byte_for_byte(shell: str, texts: list[str]) -> None:
    check(shell, PORTABLE, texts)


@pytest.mark.skipif(not BASH, reason="needs bash")
@given(texts=st.lists(values, min_size=1, max_size=6))
@FOR_REAL_SHELLS
def test_any_text_arrives_byte_for_byte_where_only_bash_has_a_place_for_it(texts: list[str]) -> None:
    check(BASH or "", BASH_ONLY, texts)


@given(word=nested_words, text=values.map(less_newlines))
@settings(FOR_REAL_SHELLS, max_examples=100)
def test_any_text_arrives_through_any_nesting_of_quotes_and_substitutions(word: str, text: str) -> None:
    for shell in SHELLS:
        # bash does not take every quote in a comment or here-document within backquotes.
        if outcome(shell, f"{PRELUDE}p {word}".replace("{v}", "plain"), {}) == ("plain\0", ""):
            check(shell, {word: (f"p {word}", as_it_is)}, [text])


@pytest.mark.parametrize("shell", SHELLS)
def test_hostile_values_arrive_as_they_are(shell: str) -> None:
    for start in range(0, len(HOSTILE), 20):
        check(shell, PORTABLE, HOSTILE[start : start + 20])


@pytest.mark.skipif(not BASH, reason="needs bash")
def test_hostile_values_arrive_as_they_are_where_only_bash_has_a_place_for_them() -> None:
    for start in range(0, len(HOSTILE), 20):
        check(BASH or "", BASH_ONLY, HOSTILE[start : start + 20])


FRAGMENTS = [
    *(
        "{v}",
        "{v}",
        "{v}",
        "{w}",
        "{w|upper|lower}",
        " ",
        " ",
        " ",
        "\n",
        "'",
        '"',
        "\\",
        ";",
        "&&",
        "||",
        "|",
        "&",
        "#",
    ),
    *(
        "$(",
        ")",
        "`",
        "$((",
        "))",
        "((",
        "$[",
        "]",
        "${x:-",
        "${x:",
        "${a[",
        "}",
        "$'",
        "$n",
        "${n}",
        "$",
        "(",
        "{ ",
        "; }",
    ),
    *(
        "[[ ",
        " ]]",
        "[ ",
        " -eq ",
        " -lt 1 ",
        " == ",
        " -v ",
        "a[",
        "]=",
        "=",
        "+=",
        "n=",
        "a=(",
        "RANDOM=",
        "x",
        "1",
        "*",
    ),
    *(
        "echo ",
        "; eval ",
        "declare -i ",
        "declare -a ",
        "declare -A m;",
        "local ",
        "let ",
        "unset ",
        "read ",
        "printf -v ",
    ),
    *(
        "trap ",
        "export ",
        "exec ",
        "command ",
        "set -- ",
        "sh -c ",
        "bash -c ",
        "f() { ",
        "; }; f",
        "function g ",
        "! ",
    ),
    *(
        "case x in ",
        " in ",
        "esac",
        ";;",
        "for n in ",
        "; do ",
        "; done",
        "if ",
        "; then ",
        "; fi",
        "@(",
        "2>&1",
        ">&",
        "<(",
    ),
    *("<<EOF\n", "\nEOF\n", "<<'E'\n", "\nE\n", "<<<"),
]
ATTACKS = [text for text in HOSTILE if "touch" in text] + [
    "x[$(touch canary)]=1",
    "($(touch canary))",
    "SM_V2",
    "n",
    "7",
]


@given(
    template=st.lists(st.sampled_from(FRAGMENTS), min_size=3, max_size=14).map("".join),
    v=st.sampled_from(ATTACKS),
    w=st.sampled_from(ATTACKS),
)
@settings(FOR_REAL_SHELLS, max_examples=200)
def test_no_command_whatever_its_syntax_executes_a_value(template: str, v: str, w: str) -> None:
    try:
        command = rewrite(template, {"v": v, "w": w})
    except ShellValueError:
        return
    for shell in SHELLS if command.env else ():
        assert "canary" not in files_left(shell, command)


def files_left(shell: str, command: ShellCommand) -> list[str]:
    """Run the command, even a broken one, and return the files that it created."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [*argv(shell), command.text],
                env={"PATH": os.environ["PATH"], **command.env},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=5,
                check=False,
            )
        return os.listdir(folder)
