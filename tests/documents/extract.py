"""The commands that README.md and docs/*.md give, as they are written there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("fairlead", "make", "pip", "pytest", "python", "sqlite3")
_STARTS = re.compile(rf"(?:\.venv[\w.-]*/bin/)?(?:{'|'.join(PROGRAMS)})(?: |$)")
_INLINE = re.compile(r"`([^`\n]+)`")
_COMMENT = re.compile(r"\s+#.*$")
_FENCE = "```"


def documents(root: Path) -> list[Path]:
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def commands(text: str) -> Iterator[str]:
    """Every command of one document: lines of blocks, indented lines, inline code.

    A block of a language (toml, python) holds no commands. A line that is indented under a command
    goes on with it.
    """
    block: list[str] | None = None
    for line in text.splitlines():
        if line.startswith(_FENCE):
            if block is None:
                block = []
                is_plain = line.strip() == _FENCE
            else:
                if is_plain:
                    yield from _of_block(block)
                block = None
        elif block is not None:
            block.append(line)
        elif line.startswith("    ") and _STARTS.match(line.strip()):
            yield _plain(line)
        else:
            yield from (code for code in _INLINE.findall(line) if _STARTS.match(code))


def _of_block(lines: list[str]) -> Iterator[str]:
    whole = ""
    for line in lines:
        if whole and line.startswith(" "):
            whole = f"{whole} {_plain(line)}"
            continue
        if whole:
            yield whole
        whole = _plain(line) if _STARTS.match(line) else ""
    if whole:
        yield whole


def _plain(line: str) -> str:
    return " ".join(_COMMENT.sub("", line).split())
