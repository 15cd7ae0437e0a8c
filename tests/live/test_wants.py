"""A live or paper strategy that asks for what its venue does not have is told, or ended."""

from __future__ import annotations

import pytest

from tests.live.desk import INSTRUMENT, QUICK, Desk, summary
from tests.support import configs

ENDS = {
    "other trades": "expected an instrument of this run (BTC_USDT.OCEANEX), NO_SUCH.OCEANEX came",
    "other venue": "the config has no venue NOWHERE; add [venues.nowhere]",
    "mark prices": "venue oceanex has no mark prices of BTC_USDT.OCEANEX; it has book deltas",
    "ready-made bars": "-12-MINUTE-LAST-EXTERNAL: venue oceanex has ",
}


def asking(desk: Desk, asks: str):
    params = {"instrument_id": INSTRUMENT, "asks": asks, "seen": str(desk.seen)}
    strategy = {"id": "Asking-1", "path": "tests.data.asking:Asking", "params": params}
    return configs.write(desk.folder, desk.served, strategies=[strategy], more=QUICK)


@pytest.mark.parametrize("asks", ENDS)
@pytest.mark.parametrize("verb", ["live", "paper"])
def test_what_can_never_come_ends_the_run(desk: Desk, asks: str, verb: str) -> None:
    ended = desk.run(verb, asking(desk, asks), 60)
    assert ended.returncode == 10, ended.stdout + ended.stderr[-3000:]
    (fault,) = summary(ended)["faults"]
    assert ENDS[asks] in fault["message"]
    assert fault["callback"] == "on_start"


@pytest.mark.parametrize("verb", ["live", "paper"])
def test_what_is_missing_beside_other_data_is_told(desk: Desk, verb: str) -> None:
    config = asking(desk, "trades, mark prices")
    ended = desk.run_until(verb, config, lambda: "DATA-MISSING" in desk.told(), "the warning")
    assert ended.returncode == 0, ended.stderr[-3000:]
    (note,) = summary(ended)["notes"]
    assert note.startswith("DATA-MISSING: Asking-1 asked for mark prices of BTC_USDT.OCEANEX")
    assert note in ended.stderr


def test_what_the_venue_has_is_no_finding(desk: Desk) -> None:
    asks = "book, trades, quotes, second bars, mid bars, second bars, composite, history"
    ended = desk.run_until("live", asking(desk, asks), desk.did("bar"), "a bar")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert summary(ended)["notes"] == []
