"""No code of the source is without a row in docs/error-codes.md, and no row without what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from fairlead.engine.codes.document import PARTS, page
from fairlead.engine.run.ended import EXITS

ROOT = Path(__file__).resolve().parents[3]
ROWS = {name for codes in PARTS.values() for name in codes}
# What a session or a card finds, and the template of a venue, is told to who writes an adapter.
LEFT_OUT = ("engine/codes/", "engine/sessions/", "engine/scaffold/toy/")
LEFT_OUT += ("engine/conformance/orders.py", "engine/conformance/process.py")
NOT_CODES = {
    "FAIRLEAD-001",  # names of NautilusTrader's parts
    "FAIRLEAD-CLOSING",
    "FAIRLEAD-STEWARD",
    "LOOK-001",
    "S-001",
    "HAND-OVER",  # kinds of a journal's record
    "LEFT-OUT",
}
_SAID = re.compile(r'"([A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+)(?:"|: )')
_RAISED = re.compile(r'(?:Error|Failed)\(\s*"([A-Z]+)"')  # a word alone is a code there
_TOLD = re.compile(r"\b(?:error|warning|problem) ([A-Z][A-Z0-9]+(?:-[A-Z0-9]+)*): ")
_NAMED = re.compile(r'f"([A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+) \{')  # with whom it is of
_BUILT = re.compile(r'f"([A-Z]+)-\{code\}"')
_PART = re.compile(r'\b(?:return|or) "([A-Z]+)"')  # of which it is built


def codes_in(text: str) -> set[str]:
    """Text in the form of a code, alone or before what it says; what an error or a line begins
    with.
    """
    built = {f"{one}-{part}" for one in _BUILT.findall(text) for part in _PART.findall(text)}
    found = (one.findall(text) for one in (_SAID, _RAISED, _TOLD, _NAMED))
    return built.union(*found)


def sources() -> Iterator[str]:
    for path in (*ROOT.glob("engine/**/*.py"), *ROOT.glob("adapters/*.py")):
        if not str(path.relative_to(ROOT)).startswith(LEFT_OUT):
            yield path.read_text()
    for path in ROOT.glob("adapters/base/**/*.py"):
        yield path.read_text()


def test_every_code_of_the_source_has_a_row_and_every_row_a_code() -> None:
    used = {code for text in sources() for code in codes_in(text)} | set(EXITS)
    missing = used - ROWS - NOT_CODES
    assert missing == set(), "add each to a table of engine/codes/, with what to do"
    words = {"OVERFILL", "STOPPED"}  # no form tells them apart from other words
    assert ROWS - used - words == set(), "nothing says these any more"
    assert used >= NOT_CODES


def test_a_code_without_a_row_is_noticed() -> None:
    text = 'raise FairleadError(\n"ODD", x)\nwarn("NEW-CODE")\nf"LOG-CODE: {why}"\nx = "A-b"\n'
    assert codes_in(text) == {"ODD", "NEW-CODE", "LOG-CODE"}
    line = 'say(f"error LINE: {x}")\n"warning LINE-TOO: " f"NOTE-OF {x}: y"\n'
    assert codes_in(line) == {"LINE", "LINE-TOO", "NOTE-OF"}
    assert codes_in('return "DNS"\nx = y or "RESET"\nf"WS-{code}"\n') == {"WS-DNS", "WS-RESET"}


def test_every_row_says_what_it_means_and_what_to_do() -> None:
    for codes in PARTS.values():
        for name, code in codes.items():
            for text in code:
                assert len(text) >= len("wait"), name
                assert text == text.strip(), name
                assert "|" not in text, f"{name}: it would end the table's cell"
    assert len(ROWS) == sum(map(len, PARTS.values())), "a code is in one table"


def test_the_page_is_made_of_the_tables() -> None:
    document = (ROOT / "docs" / "error-codes.md").read_text()
    assert document == page(), "python -m fairlead.engine.codes.document > docs/error-codes.md"
