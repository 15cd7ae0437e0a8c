"""Definitions of instruments in a catalog: written when new or changed, the newest is the one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.commit import JOURNAL

_INFO = "info"
_TIMES = ("ts_event", "ts_init")  # when it was asked for, not what it is
# What an account's settings say: with a key a run knows them, without one it does not
_OF_ACCOUNT = frozenset({"margin_init", "margin_maint", "maker_fee", "taker_fee"})


def define(catalog: Path, instruments: Iterable[Any], ts_ns: int | None = None) -> list[str]:
    """Add definitions that the catalog lacks; `ts_ns` is when they were seen (default: their own).

    Gives a line for each whose rules differ from those before; what differs for an account alone is
    written, too, and no line: nothing that is recorded means anything else. Raises OSError.
    """
    catalog.joinpath(JOURNAL).mkdir(parents=True, exist_ok=True)
    told = []
    for instrument in instruments:
        known = _newest(catalog, instrument)
        changed = [] if known is None else _changed(known, instrument)
        if known is not None and not changed and not _is_richer(known, instrument):
            continue
        _write(catalog, instrument, ts_ns)
        if rules := [f"{name} {was} -> {now}" for name, was, now in changed if _is_rule(name)]:
            told.append(
                f"the definition of {instrument.id} has changed: {', '.join(rules)}. A backtest "
                "reads all that is recorded by the newest one; to keep both apart, record into "
                "another folder from now on ([record] dir)"
            )
    return told


def _is_rule(name: str) -> bool:
    """Whether a field of a definition says how the market trades."""
    return name not in _OF_ACCOUNT


def _newest(catalog: Path, instrument: Any) -> Any:
    if not (catalog / "data").is_dir():
        return None
    found = ParquetDataCatalog(str(catalog)).instruments([str(instrument.id)])
    return max(found, key=lambda one: int(one.ts_init), default=None)


def _changed(known: Any, seen: Any) -> list[tuple[str, Any, Any]]:
    """What differs: name, before, now. In `info` one mode may know more than another: of that only
    what both say."""
    before, now = known.to_dict(), seen.to_dict()
    both = (before.get(_INFO) or {}).keys() & (now.get(_INFO) or {}).keys()
    for fields in (before, now):
        fields[_INFO] = {name: fields[_INFO][name] for name in sorted(both)} if both else {}
    names = sorted((before.keys() | now.keys()) - set(_TIMES))
    return [
        (name, before.get(name), now.get(name))
        for name in names
        if before.get(name) != now.get(name)
    ]


def _is_richer(known: Any, seen: Any) -> bool:
    before, now = known.to_dict(), seen.to_dict()
    return not (now.get(_INFO) or {}).keys() <= (before.get(_INFO) or {}).keys()


def _write(catalog: Path, instrument: Any, ts_ns: int | None) -> None:
    """As a file that is there whole or not at all."""
    if ts_ns is not None:
        fields = instrument.to_dict()
        fields["ts_init"] = ts_ns
        instrument = type(instrument).from_dict(fields)
    stage = Path(tempfile.mkdtemp(prefix=".define-", dir=catalog / JOURNAL))
    try:
        ParquetDataCatalog(str(stage)).write_instruments([instrument])
        for source in stage.rglob("*.parquet"):
            target = catalog / source.relative_to(stage)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
