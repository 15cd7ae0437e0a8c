"""Fuzz targets of what is kept of runs, and of values that are set in place of a config's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from fairlead.adapters.simulation.mutation import TOML
from fairlead.engine.config.changes import change, parsed, written
from fairlead.engine.errors import FairleadError
from fairlead.engine.observe.alerts.updates import BotError, require_ok, updates_of
from fairlead.engine.observe.page import told
from fairlead.engine.observe.page.api import body_of
from fairlead.engine.observe.page.control import Refused
from fairlead.engine.research.runs import Manifest, Run, Stamp
from fairlead.engine.run.log_lines import parsed as parsed_line
from tests.property.fuzzing import Target
from tests.property.state_targets import quiet

FILES = ("run.json", "stamp.json", "summary.json", "config.json", "fills.jsonl")


def _manifest() -> Manifest:
    text = {"name": "n", "mode": "backtest", "command": "c", "config_file": "f", "config": "c"}
    span = {"start_ns": 1, "end_ns": 2, "exit_code": 0, "seed": 1}
    more = {"data": None, "inputs": "i", "outcome": "ok", "orders_digest": "d"}
    files = {"fills.jsonl": "0" * 64}
    return Manifest(**text, **span, **more, versions={"python": "3"}, files=files)  # type: ignore[arg-type]


class KeptRun:
    """Each of a run's files in turn; those before it stay as they came."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "kept"
        self._folder.mkdir()
        self.corpus = [
            msgspec.json.encode(_manifest()),
            msgspec.json.encode(Stamp(begun_ns=1)),
            b'{"net":{"USDT":"1"},"fills":1}',
            b'{"ts_event":1,"side":"BUY"}\n{"ts_event":2,"side":"SELL"}\n',
        ]

    def __call__(self, data: bytes) -> None:
        for name in FILES:
            (self._folder / name).write_bytes(data)
            quiet(self._read, FairleadError)
        (self._folder / FILES[0]).write_bytes(self.corpus[0])

    def _read(self) -> None:
        run = Run.at(self._folder)
        run.damage()
        for part in ("stamp", "summary", "config"):
            quiet(partial(getattr, run, part), FairleadError)
        run.rows("fills")


def setting(data: bytes) -> None:
    """What is read of it is read again from how it is told."""

    def read() -> None:
        found = parsed([data.decode(errors="surrogateescape")])
        raw: dict[str, Any] = {"strategies": [{"id": "A-1", "params": {}}], "run": {"seed": 1}}
        change(raw, found)
        assert parsed(f"{key}={written(value)}" for key, value in found.items()) == found

    quiet(read, FairleadError)


def asked(data: bytes) -> None:
    """What is asked of a run's page."""
    for kind in (told.KillAsked, told.ClearAsked):
        quiet(partial(body_of, data, kind), Refused)


def telegram(data: bytes) -> None:
    """What the Bot API answers."""
    quiet(partial(updates_of, data), BotError)
    quiet(partial(require_ok, "getUpdates", 200, data), BotError)


def log_line(data: bytes) -> None:
    """Any bytes are a line."""
    parsed_line(data)


def research_targets(folder: Path) -> Iterator[Target]:
    kept = KeptRun(folder)
    yield Target(name="kept-run", corpus=kept.corpus, feed=kept, inputs=2_000)
    settings = [
        b"run.seed=1.5",
        b'strategies[0].params.x=["a", 2, { b = 1.0 }]',
        b"strategies.A-1.id=text",
        b'risk."A.B"=2026-11-01T00:00:00Z',
    ]
    yield Target(name="set", corpus=settings, feed=setting, mutations=TOML, inputs=4_000)
    words = [
        b'{"scope":"strategy","key":"A-1","action":"flatten","reason":"why"}',
        b'{"scope":"all","reason":"why"}',
    ]
    yield Target(name="page-words", corpus=words, feed=asked, inputs=2_000)
    updates = [
        b'{"ok":true,"result":[{"update_id":7,"message":{"chat":{"id":42},"from":{"id":1},'
        b'"text":"status","date":0}},{"update_id":8,"edited_message":{}}]}',
        b'{"ok":false,"description":"Unauthorized"}',
    ]
    yield Target(name="telegram", corpus=updates, feed=telegram, inputs=2_000)
    lines = [
        b'{"ts_ns":1700000000000000000,"level":"warning","logger":"a.b","message":"m"}',
        b"2026-11-27 01:02:03,456 WARNING fairlead.engine.orders.desk: the stop",
        b"2026-11-27T01:02:03.123456789Z [WARN] TRADER-001.S-001: refused",
    ]
    yield Target(name="log-line", corpus=lines, feed=log_line, inputs=2_000)
