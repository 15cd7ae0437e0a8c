"""A span of data that a study keeps closed: no run looks at it until it is spent, once, by name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.files import decoded
from fairlead.engine.research.trials import FILE, STUDIES, Registry

BEGUN, DONE = "begun", "done"  # of the one run that spends it
SECOND_NS = 1_000_000_000


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """From `start_ns` to `end_ns`, both in, of instruments of a catalog."""

    study: str
    catalog: str
    instruments: tuple[str, ...]
    start_ns: int
    end_ns: int
    is_spent: bool = False

    def has(self, catalog: str, instruments: Iterable[str], span_ns: tuple[int, int]) -> bool:
        return (
            self.catalog == catalog
            and bool({*self.instruments} & {*instruments})
            and span_ns[0] <= self.end_ns
            and span_ns[1] >= self.start_ns
        )

    def words(self) -> str:
        return f"{utc(self.start_ns)} to {utc(self.end_ns)}"


def utc(ns: int) -> str:
    return time_of(ns).isoformat().replace("+00:00", "Z")


def time_of(ns: int) -> datetime:
    """To the microsecond below."""
    whole, rest = divmod(ns, SECOND_NS)
    return datetime.fromtimestamp(whole, UTC).replace(microsecond=rest // 1000)


def held_of(registry: Registry) -> Held | None:
    """What the study holds."""
    entries = list(registry.entries("hold"))
    if not entries:
        return None
    held = msgspec.convert({"study": registry.name, **entries[-1].body}, Held)
    is_spent = registry.find("spend", BEGUN) is not None
    return msgspec.structs.replace(held, is_spent=is_spent)


def hold(registry: Registry, held: Held) -> None:
    """Raises FairleadError HELD-BEFORE where the study holds another, HELD-SEEN where a trial of
    it, or a screen, has looked at the span."""
    if (known := held_of(registry)) is not None:
        raise FairleadError(
            "HELD-BEFORE",
            f"the study {registry.name} holds {known.words()} already, once and for all",
            int(Exit.USAGE),
        )
    spans = [(entry.body["span_ns"], 1) for entry in registry.entries("trial")]
    screens = (entry.body for entry in registry.entries("screen"))
    spans += [(body["span_ns"], len(body["variants"])) for body in screens]
    seen = sum(n for (begin, end), n in spans if begin <= held.end_ns and end >= held.start_ns)
    if seen:
        raise FairleadError(
            "HELD-SEEN",
            f"{seen} trials of the study {registry.name} have looked at {held.words()}: hold a "
            "span before the first trial",
            int(Exit.USAGE),
        )
    body = msgspec.to_builtins(held)
    registry.append("hold", "", {name: body[name] for name in body.keys() - {"study", "is_spent"}})


def require_open(
    state_dir: Path,
    catalog: Path,
    instruments: Iterable[str],
    span_ns: tuple[int, int],
    spends: str = "",
) -> None:
    """Raises FairleadError HELD-OUT where a study of the state folder keeps some of it closed.

    `spends` is the study whose span this run is to spend.
    """
    names = list(instruments)
    for held in _all(state_dir):
        if held.study == spends or held.is_spent:
            continue
        if held.has(str(catalog), names, span_ns):
            before = utc(held.start_ns - 1000)
            raise FairleadError(
                "HELD-OUT",
                f"the study {held.study} holds {held.words()} of this data until it is spent; end "
                f"before it (--set backtest.end={before}), or spend it, once: `fairlead study "
                f"spend {held.study}`",
                int(Exit.USAGE),
            )


def _all(state_dir: Path) -> Iterator[Held]:
    """Without a look at their trials. Raises FairleadError STUDY-UNREADABLE."""
    for file in sorted((state_dir / STUDIES).glob(f"*/{FILE}")):
        try:
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60)) as db:
                rows = db.execute(
                    "SELECT kind, key, body FROM entries WHERE kind IN ('hold', 'spend') "
                    "ORDER BY seq"
                ).fetchall()
            spent = any(kind == "spend" and key == BEGUN for kind, key, _ in rows)
            for body in (body for kind, _, body in rows if kind == "hold"):
                told = {**(decoded(body, dict[str, Any]) or {}), "study": file.parent.name}
                yield msgspec.convert({**told, "is_spent": spent}, Held)
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            text = f"{file}: {error}"
            raise FairleadError("STUDY-UNREADABLE", text, int(Exit.BAD_DATA)) from error
