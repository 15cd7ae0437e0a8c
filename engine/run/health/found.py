"""What a look at a machine and a config tells: what was looked at, and each trouble's remedy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from fairlead.engine.errors import Exit


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, and what a person does about it. `look` keeps no run from working.

    `exit_code` is what the start that meets it would end with, as far as one does.
    """

    code: str
    text: str
    remedy: str
    level: Literal["bad", "look"] = "bad"
    exit_code: int = int(Exit.FAILED)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One look: at what, what was seen, and what is wrong with it."""

    name: str
    seen: str
    troubles: list[Trouble] = []


def check(name: str, seen: str, troubles: Iterable[Trouble] = ()) -> Check:
    return Check(name=name, seen=seen, troubles=list(troubles))
