"""One row of the table."""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """What a code means, and what a person does about it, as Markdown."""

    means: str
    do: str
