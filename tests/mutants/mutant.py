"""A deliberate defect: which text of which files becomes what, and which tests should notice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]


class MutantError(Exception):
    """A mutant that does not apply: its text is not there exactly once."""


class Edit(msgspec.Struct, frozen=True):
    """`find` stands exactly once in the files of a mutant, and becomes `put`."""

    find: str
    put: str


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """`where` are glob patterns below the root, so that code may move between the files of a part.

    `tests` are what pytest gets, the likeliest to notice first.
    """

    id: str
    where: tuple[str, ...]
    breaks: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]

    def files(self, root: Path) -> list[Path]:
        return sorted({path for pattern in self.where for path in root.glob(pattern)})

    def changes(self, root: Path) -> dict[Path, str]:
        """New texts by file. Raises MutantError."""
        texts = {path: path.read_text() for path in self.files(root)}
        changed: dict[Path, str] = {}
        for edit in self.edits:
            holders = [path for path, text in texts.items() if edit.find in text]
            count = sum(texts[path].count(edit.find) for path in holders)
            if count != 1:
                raise MutantError(
                    f"{self.id}: expected the text once in {', '.join(self.where)}, it is there "
                    f"{count} times; adapt the mutant to the code: {edit.find!r}"
                )
            path = holders[0]
            texts[path] = changed[path] = texts[path].replace(edit.find, edit.put)
        return changed

    def named(self, root: Path = ROOT) -> str:
        """The files it changes, relative to the root."""
        return ", ".join(str(path.relative_to(root)) for path in self.changes(root))


def one(find: str, put: str) -> tuple[Edit, ...]:
    return (Edit(find, put),)


def mutant(
    id: str, where: str, breaks: str, edits: Sequence[Edit], *tests: tuple[str, ...]
) -> Mutant:
    """`where` holds patterns with blanks between; `tests` are groups of test paths."""
    paths = tuple(dict.fromkeys(path for group in tests for path in group))
    return Mutant(id=id, where=tuple(where.split()), breaks=breaks, edits=tuple(edits), tests=paths)
