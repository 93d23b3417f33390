"""Make hostile input, the same for the same seed: texts, JSON values, and damaged documents."""

from __future__ import annotations

import json
import random
from typing import Any

PIECES = [
    "", " ", "\t", "\n", "\r", "\0", "\x1b[2J", "\x1b]0;t\x07", "\x9b31m", "\u202e", "\u2066", "\u2028",
    "\ufeff", "\ud800",
    "\udfff", "é", "e\u0301", "👩\u200d👧", "\u200b", "ﷺ", "Ω", "../", "/etc/passwd", "C:\\", "~", "-", "--",
    "-rf", "--help",
    "$(id)", "`id`", "${IFS}", ";", "|", "&", ">", "'", '"', "\\", "\\n", "%s", "%n", "%00", "%0a", "{", "}",
    "{x}", "{{x}}",
    "{x|raw}", "{0.__class__}", "{{7*7}}", "${7*7}", "<script>alert(1)</script>", "<!--", "]]>", "&lt;", "' OR 1=1--",
    "'; DROP TABLE jobs;--", "*", "?", "[", "]", "null", "true", "NaN", "Infinity", "-0", "1e309", "0x10",
    "1_000", "9" * 400,
    "x" * 300, "x" * 5000, "é" * 600, "all", "ui", "*", ".", "..", "\r\nSet-Cookie: a=b",
    "2026-11-24 10:00:00 - root - ERROR",
]  # fmt: skip
TOKENS = [
    b"*a", b"&a", b"<<: *a", b"!!python/object/apply:os.system [id]", b"!!binary aGk=", b"!!set {a}", b"? ",
    b"- ", b": ",
    b"[", b"]", b"{", b"}", b"|", b">", b"%YAML 1.1", b"---", b"...", b"@", b"`", b"\t", b"\r", b"\x00",
    b"\xff", b"\xef\xbb\xbf",
    b"#", b"'", b'"', b"~", b"yes", b"0o7", b"1e400", b"2026-11-24", b"\n", b"\n  ", b"from: '*'",
    b"timeout(1e99)", b"{x|raw}",
    b"*" * 50, b"[" * 100, b"- " * 100, b"{a: " * 100, b"a: &b [*b, *b]", "é".encode() * 50, b"x" * 2000,
    b"-1", b"99999999999", b"9" * 5000, b"0x" + b"f" * 5000, b"1" + b":59" * 2000, b"1" + b":59" * 2000 + b".5",
]  # fmt: skip


def text(rng: random.Random) -> str:
    """Return a few hostile pieces, or characters of any kind."""
    if rng.random() < 0.3:
        return "".join(
            chr(rng.randrange(0x11_0000 if rng.random() < 0.2 else 0x3000)) for _ in range(rng.randrange(40))
        )
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 5)))


def value(rng: random.Random, depth: int = 0) -> Any:
    """Return any JSON value."""
    kind = rng.randrange(9 if depth < 4 else 6)
    if kind < 2:
        return text(rng)
    if kind < 6:
        return rng.choice([None, True, False, 0, -1, 2**31, 2**63, 10**99, 10**400, 1.5, -0.0, 1e308, "", [], {}])
    if kind == 6:
        nested: Any = 1
        for _ in range(rng.choice([3, 63, 65, 300])):
            nested = [nested] if rng.random() < 0.5 else {"a": nested}
        return nested
    inner = [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return inner if kind == 7 else {text(rng): item for item in inner}


def jsonish(rng: random.Random, message: dict[str, Any]) -> bytes:
    """Return a message with some keys changed, and sometimes with broken JSON."""
    changed = dict(message)
    for _ in range(rng.randrange(3)):
        changed[rng.choice([*message, text(rng)])] = value(rng)
    data = json.dumps(changed).encode()
    return broken(rng, data) if rng.random() < 0.5 else data


def broken(rng: random.Random, data: bytes) -> bytes:
    """Return the document with bytes flipped, removed, inserted or doubled."""
    for _ in range(rng.randrange(1, 5)):
        at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        end = min(end, at + rng.choice([1, 3, 30, 300]))
        match rng.randrange(6):
            case 0:
                data = data[:at] + data[end:]
            case 1:
                data = data[:at] + rng.choice(TOKENS) + data[at:]
            case 2:
                data = data[:at] + rng.randbytes(end - at) + data[end:]
            case 3:
                data = data[:at] + data[at:end] * rng.choice([2, 20]) + data[end:]
            case 4:
                data = data[:at] + text(rng).encode("utf-8", "surrogatepass") + data[end:]
            case 5:
                data = data[: at + 1] if rng.random() < 0.2 else data
    return data
