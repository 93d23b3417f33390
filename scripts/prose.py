"""Measure how the documentation reads, and search the repository for retired words; --check exits 1 beyond the limits.

Pages are README.md, CONTRIBUTING.md and docs/*.md. Fenced blocks, parts made by scripts/docs.py, headings and comments
are left out. Each paragraph, list item and table cell is cut into sentences; fewer than three words are no sentence,
and inline code counts as one word.

- *long*: a sentence of more than 30 words.
- *passive*: a form of "be", then any of ADVERBS, then a participle (a word in -ed, or one of IRREGULAR). "is opened"
  counts, "opened files" does not. Adjectives such as "is limited" count too: the share is an upper bound.
- *retired*: a private name of former code, or a phrase at which readers stopped (PHRASES).
- *example*: a fenced block within the first 40 lines of the page.

The sources in ROOMS are searched as well:

- for retired names: whole class names, and the words of which an identifier or a file's name is made. KEPT lists data
  names that databases and clients rely on;
- for PHRASES in comments and strings of Python files;
- for docstrings that begin with a question word (PUZZLES) instead of a verb.

Options: `--check`; `--long [PAGE ...]` and `--passive [PAGE ...]` list those sentences.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
ROOMS = ("actors", "storage", "cli", "web", "compat", "benchmarks", "scripts", "tests")

LONG_WORDS = 30
EXAMPLE_LINES = 40
MOST_LONG = 0.02
MOST_PASSIVE = 0.15


def words(*lines: str) -> frozenset[str]:
    """Return the words of some lines."""
    return frozenset(" ".join(lines).split())


CLASSES = words(
    "Behaviour Stay Performer Parts Shared View Showcase ContextRoom Mail Letter JobDesk JobBells ProcessHub Hub",
    "Keeper Household Charges Roster WatchBoard Tally Timings Trouble Rarely Stamps Atlas Hole Guard Track Shard",
    "Remains Controls Findings Incoming",
)
WORDS = words(
    "showcase desk hub keeper household roster tally tallies timings trouble troubles rarely stamps atlas shard shards",
    "doorbell doorbells bell bells ring rings rang rung letter letters anew fares",
)
AMBIGUOUS = words("stay charges hole holes remains")
"""Retired as well, except in the sentences that are the names of tests."""
PHRASES = (
    "anew",
    "unless said",
    "by now",
    "fares",
    "so many",
    "so long a",
    "in other clothes",
    "as it were",
    "bad days",
    "from elsewhere on the net",
    "doorbell",
    "roster",
    "household",
    "keeper",
    "tally",
    "letterbox",
)
KEPT = frozenset({"keeper_crashed", "troubles", "TROUBLES", "m0008_troubles", "bell"})
"""Label value of a metric; table of the database, text of its creation, its migration; key on the wire."""
KEPT_FILES = ("scripts/prose.py", "tests/test_prose.py")
PUZZLES = words("What Whatever Whether Who Whom Whose Which How Where Those Of")

BE = "am|is|are|was|were|be|been|being|isn't|aren't|wasn't|weren't"
ADVERBS = "not|also|then|never|always|still|only|again|already|all|both|first|once|just|even|now|too|yet|[a-z]+ly"
IRREGULAR = words(
    "begun bound broken brought built bought caught chosen cut done drawn driven fed felt forgotten found frozen given",
    "hidden held hit kept known laid left let lost made meant met paid put read run said seen sent set shown shut",
    "spent split stolen struck sworn taken taught thrown told torn understood woken won worn written",
)
PASSIVE = re.compile(rf"\b(?:{BE})(?: (?:{ADVERBS}))*? (?:\w{{2,}}ed|{'|'.join(sorted(IRREGULAR))})\b", re.IGNORECASE)
MADE = re.compile(r"<!-- made: .*?<!-- /made -->", re.DOTALL)
NOT_PASSIVE = re.compile(rf"\b(?:{BE}) (?:need|indeed|red|bed|speed)\b", re.IGNORECASE)


class Page(NamedTuple):
    """The figures of one page."""

    name: str
    sentences: int
    long: tuple[str, ...]
    passive: tuple[str, ...]
    retired: tuple[str, ...]
    example: bool


def main() -> int:
    """Print the table and every fault; return the exit code. `--long` and `--passive` list those sentences too."""
    pages = [measure(path) for path in PAGES]
    names = list(retired_names())
    report(pages)
    for page in pages:
        for option in ("long", "passive"):
            if f"--{option}" in sys.argv and is_asked(page.name):
                print(*(f"{page.name}: {option}: {sentence}" for sentence in getattr(page, option)), sep="\n")
    faults = [*faults_of(pages), *(f"retired name: {name}" for name in names)]
    print(*faults, sep="\n")
    return 1 if faults and "--check" in sys.argv else 0


def is_asked(name: str) -> bool:
    """Return True for a page that the command line names, or when it names none."""
    asked = [argument for argument in sys.argv[1:] if argument.endswith(".md")]
    return not asked or any(name.endswith(argument) for argument in asked)


def report(pages: list[Page]) -> None:
    """Print a row a page, and the totals."""
    print(f"{'page':24} {'sentences':>9} {'long':>7} {'passive':>8} {'retired':>8}  example")
    for page in [*pages, total(pages)]:
        long, passive = len(page.long) / max(page.sentences, 1), len(page.passive) / max(page.sentences, 1)
        example = "yes" if page.example else "NO"
        print(f"{page.name:24} {page.sentences:9} {long:7.1%} {passive:8.1%} {len(page.retired):8}  {example}")


def faults_of(pages: list[Page]) -> Iterator[str]:
    """Yield what is beyond the limits."""
    whole = total(pages)
    for page in pages:
        yield from (f"{page.name}: retired: {phrase}" for phrase in page.retired)
        if not page.example:
            yield f"{page.name}: no example in the first {EXAMPLE_LINES} lines"
    if len(whole.long) > MOST_LONG * whole.sentences:
        yield f"more than {MOST_LONG:.0%} of the sentences have over {LONG_WORDS} words (list them with --long)"
    if len(whole.passive) > MOST_PASSIVE * whole.sentences:
        yield f"more than {MOST_PASSIVE:.0%} of the sentences are passive (list them with --passive)"


def total(pages: list[Page]) -> Page:
    """Return the sum of all pages."""
    return Page(
        "all",
        sum(page.sentences for page in pages),
        tuple(chain.from_iterable(page.long for page in pages)),
        tuple(chain.from_iterable(page.passive for page in pages)),
        tuple(chain.from_iterable(page.retired for page in pages)),
        all(page.example for page in pages),
    )


# Pages


def measure(path: Path) -> Page:
    """Return the figures of a page."""
    text = path.read_text(encoding="utf-8")
    found = list(sentences(text))
    return Page(
        str(path.relative_to(ROOT)),
        len(found),
        tuple(sentence for sentence in found if len(sentence.split()) > LONG_WORDS),
        tuple(sentence for sentence in found if PASSIVE.search(NOT_PASSIVE.sub("", sentence))),
        tuple(retired_in(text)),
        any(line.startswith("```") for line in text.splitlines()[:EXAMPLE_LINES]),
    )


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a page's own prose."""
    for block in blocks(prose_of(MADE.sub("\n", text))):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", block)
        plain = re.sub(r"[*>]|<[^>]*>", "", plain)
        for sentence in re.split(r"(?<=[.!?])[\")]*\s+(?=[\"(]?[A-Z`0-9])", " ".join(plain.split())):
            if len(sentence.split()) >= 3:
                yield sentence


def prose_of(text: str) -> str:
    """Return a page without fenced blocks, comments and headings; inline code as one word."""
    text = re.sub(r"^```.*?^```$", "\n", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "\n", text, flags=re.DOTALL)
    text = re.sub(r"^#+ .*$", "\n", text, flags=re.MULTILINE)
    return re.sub(r"<code>.*?</code>|(`+)(?!`).*?\1", "`code`", text, flags=re.DOTALL)


def blocks(text: str) -> Iterator[str]:
    """Yield paragraphs, list items and table cells."""
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|\n(?=\|)", text):
        if paragraph.lstrip().startswith("|"):
            yield from re.split(r"(?<!\\)\|", paragraph)
        else:
            yield re.sub(r"^\s*(?:[-*]|\d+\.) ", "", paragraph)


def retired_in(text: str) -> Iterator[str]:
    """Yield the retired phrases of a page, made parts included, and the former class names in its `code`."""
    prose = " ".join(prose_of(text).lower().split())
    yield from (phrase for phrase in PHRASES if re.search(rf"\b{phrase}\b", prose))
    for code in re.findall(r"`([^`\n]+)`", text):
        yield from (name for name in re.findall(r"\w+", code) if name in CLASSES)


# Sources


def retired_names() -> Iterator[str]:
    """Yield a line for each source file with retired names, phrases or puzzling docstrings: what, and how often."""
    for path in sorted(chain.from_iterable(source_files(room) for room in ROOMS)):
        where = str(path.relative_to(ROOT))
        if where in KEPT_FILES:
            continue
        text = path.read_text(encoding="utf-8")
        found = Counter(retired_in_python(text) if path.suffix == ".py" else retired_in_script(text))
        found.update(name for name in [path.stem] if is_retired(name))
        if found:
            yield f"{where}: " + ", ".join(f"{name} ({count})" for name, count in sorted(found.items()))


def source_files(room: str) -> Iterator[Path]:
    """Yield the Python files of a room, and the scripts of its page."""
    yield from (ROOT / room).rglob("*.py")
    yield from (path for path in (ROOT / room / "static").rglob("*.js") if "vendor" not in path.parts)


def retired_in_python(text: str) -> Iterator[str]:
    """Yield the retired names and phrases of a Python source, and the first words of puzzling docstrings."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and is_retired(token.string):
            yield token.string
        elif token.type in (tokenize.COMMENT, tokenize.STRING):
            said = " ".join(token.string.lower().split())
            yield from (f"'{phrase}'" for phrase in PHRASES if re.search(rf"\b{phrase}\b", said))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = (ast.get_docstring(node) or "").partition(" ")[0]
            if first in PUZZLES:
                yield f"docstring '{first} ...'"


def retired_in_script(text: str) -> Iterator[str]:
    """Yield the retired words in the names and texts of a JavaScript source."""
    plain = re.sub(r"([a-z])([A-Z])", r"\1_\2", text)
    return (name for name in re.findall(r"\w+", plain) if not WORDS.isdisjoint(name.lower().split("_")))


def is_retired(name: str) -> bool:
    """Return True for a former class, and for an identifier made with a retired word."""
    if name in KEPT:
        return False
    parts = name.lower().split("_")
    ambiguous = parts[0] != "test" and not AMBIGUOUS.isdisjoint(parts)
    return name.lstrip("_") in CLASSES or not WORDS.isdisjoint(parts) or ambiguous


if __name__ == "__main__":
    sys.exit(main())
