"""Commands are read as a shell reads them: comments, patterns, parentheses and here-documents."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.shell.shell import rewrite


def rewritten(template: str) -> str:
    return rewrite(template, {"v": "x", "r": "raw"}).text.replace("${SM_V1}", "$V")


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("# it's {v}\n{v}", '# it\'s {v}\n"$V"'),
        ("a#{v} #'{v}", 'a#"$V" #\'{v}'),
        ("$(#'\n{v})", '$(#\'\n"$V")'),
        ("echo ';' \\# {v}", "echo ';' \\# \"$V\""),
        ('"$(case x in a) "{v}";; (b) {v};; esac)" {v}', '"$(case x in a) "$V";; (b) "$V";; esac)" "$V"'),
        ('"$(case x in esac)"{v}', '"$(case x in esac)""$V"'),
        ("$(case x in a) {v}; esac) {v}", '$(case x in a) "$V"; esac) "$V"'),
        ("case x in @(a|b)) {v};; esac", 'case x in @(a|b)) "$V";; esac'),
        ("(a; (b)) {v} <({v}) >({v})", '(a; (b)) "$V" <("$V") >("$V")'),
        ("f() { echo {v}; }; { {v}; }", 'f() { echo "$V"; }; { "$V"; }'),
        ("a=({v} '{v}') {v}", 'a=("$V" \'\'"$V"\'\') "$V"'),
        ("a |& b &>> {v} >| {v} <> {v} 2>&- {v}", 'a |& b &>> "$V" >| "$V" <> "$V" 2>&- "$V"'),
        (") {v} ]] }} ;; {v}", ') "$V" ]] }} ;; "$V"'),
        ("[[ a < {v} && b =~ {v} ]] < {v}", '[[ a < "$V" && b =~ "$V" ]] < "$V"'),
    ],
)
def test_commands_are_read_as_a_shell_reads_them(template: str, written: str) -> None:
    assert rewritten(template) == written


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("cat <<A\n'{v}' \"{v}\" $({v}) \\{v} \\$\nA\n{v}", 'cat <<A\n\'$V\' "$V" $("$V") \\\\$V \\$\nA\n"$V"'),
        ("cat <<'A'\n$x `y` \\ {v}\nA\n{v}", 'cat <<A\n\\$x \\`y\\` \\\\ $V\nA\n"$V"'),
        ("cat <<'A'\n$x `y` \\\nA\n{v}", "cat <<'A'\n$x `y` \\\nA\n\"$V\""),
        ('cat << "A B" | wc {v}\n$x{v}\nA B', 'cat << SM_EOF | wc "$V"\n\\$x$V\nSM_EOF'),
        ("cat <<'A B'\nSM_EOF\n{v}\nA B\n", "cat <<SM_EOF_\nSM_EOF\n$V\nSM_EOF_\n"),
        ("cat <<-\\A\n\t{v}\n\tA\n{v}", 'cat <<-A\n\t$V\nA\n"$V"'),
        ("cat <<A <<'B'\n{v}\nA\n$ {v}\nB\n{v}", 'cat <<A <<B\n$V\nA\n\\$ $V\nB\n"$V"'),
        ("cat <<A\n a\\\nA\n{v}\nA\n{v}", 'cat <<A\n a\\\nA\n$V\nA\n"$V"'),
        ("cat <<'A'\n a\\\nA\n{v}", "cat <<'A'\n a\\\nA\n\"$V\""),
        ("cat <<A\n{v}", "cat <<A\n$V"),
        ("cat <<'A'\n{v}", "cat <<A\n$V"),
        ("cat <<'A'\n{{v}}$\nA", "cat <<A\n{v}\\$\nA"),
        ("cat <<A\nA\n{v}", 'cat <<A\nA\n"$V"'),
        ("x=$(cat <<A\n{v}\nA\n) {v}", 'x=$(cat <<A\n$V\nA\n) "$V"'),
        ("cat <<<{v} <<<'{v}'\n{v}", 'cat <<<"$V" <<<\'\'"$V"\'\'\n"$V"'),
        ("cat <<\n{v}", 'cat <<\n"$V"'),
        ("cat <<A", "cat <<A"),
    ],
)
def test_a_here_document_takes_values_and_keeps_the_rest(template: str, written: str) -> None:
    assert rewritten(template) == written


def test_raw_text_is_pasted_where_a_here_document_expands_but_stays_text_where_it_does_not() -> None:
    assert rewritten("cat <<A\n{r|raw}\nA") == "cat <<A\nraw\nA"
    assert rewritten("cat <<'A'\n{r|raw}\nA") == "cat <<A\n$V\nA"
