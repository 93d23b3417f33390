"""References to values are written within the quoting of the template."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.shell.shell import rewrite


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("a{v}b", 'a"$V"b'),
        ('"a{v}b"', '"a$Vb"'),
        ("'a{v}b'", "'a'\"$V\"'b'"),
        ("$'a\\'{v}b'", "$'a\\''\"$V\"$'b'"),
        ('$"{v}"', '$"$V"'),
        ("\\\\{v}", '\\\\"$V"'),
        ("\\{v}", "\\{v}"),
        ('"\\{v}"', '"\\\\$V"'),
        ('"\\\\{v}"', '"\\\\$V"'),
        ("$'\\{v}'", "$'\\\\'\"$V\"$''"),
        ("'\\{v}'", "'\\'\"$V\"''"),
        ("'it'\\''s {v}'", "'it'\\''s '\"$V\"''"),
        ("$({v})", '$("$V")'),
        ('"$({v})"', '"$("$V")"'),
        ('"$("{v}")" {v}', '"$("$V")" "$V"'),
        ("$(: ')' {v})", "$(: ')' \"$V\")"),
        ("`{v}`", '`"$V"`'),
        ('"`"{v}"`"', '"`"$V"`"'),
        ('"`\\"{v}\\"`"', '"`"$V"`"'),
        ("`\\`{v} \\\\\\$x\\``", '`\\`"$V" $x\\``'),
        ("${x:-{v}}", '${x:-"$V"}'),
        ('"${x:-{v}}"', '"${x:-$V}"'),
        ('"${x:-"{v}"}"', '"${x:-"$V"}"'),
        ("\"${x:-'{v}'}\"", "\"${x:-'$V'}\""),
        ('"${x#{v}}"', '"${x#"$V"}"'),
        ("\"${x%%'{v}'}\"", "\"${x%%''\"$V\"''}\""),
        ('"${x/{v}/{v}}"', '"${x/"$V"/"$V"}"'),
        ("${x:-$(echo '}' {v})}", "${x:-$(echo '}' \"$V\")}"),
        ("${x:-\\}{v}}", '${x:-\\}"$V"}'),
        ('$x{v} "$x{v}" $${v} $#{v}', '$x"$V" "$x$V" $$"$V" $#"$V"'),
        ('"$(( $({v}) + 1 ))"', '"$(( $("$V") + 1 ))"'),
        ('"unclosed {v}', '"unclosed $V'),
        ("`unclosed {v}", '`unclosed "$V"'),
        ("${unclosed:-{v}", '${unclosed:-"$V"'),
    ],
)
def test_a_reference_is_quoted_as_its_place_is(template: str, written: str) -> None:
    assert rewrite(template, {"v": "x"}).text.replace("${SM_V1}", "$V") == written
