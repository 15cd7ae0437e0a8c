"""Partial depth (`depth5`, `depth20`...) is no depth: whole books in the form of changes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from fairlead.engine.cli.import_ import render
from fairlead.engine.recording.importers.binance_wire import stream_of
from tests.unit.recording.test_import_faults import BEGIN_MS, Side, imported, shown, stamped, trade

SYMBOL, SPOT, USDM = "AAAUSDT", "AAAUSDT.BINANCE", "AAAUSDT-PERP.BINANCE"
MID = 10_000  # in ticks of 0.01
PARTIALS = ("depth20@100ms", "depth20@500ms", "depth20", "depth10@100ms", "depth5", "depth5@250ms")
MARKETS = pytest.mark.parametrize("name", [SPOT, USDM])

Sides = dict[str, dict[int, int]]


def texts(levels: dict[int, int]) -> Side:
    return {f"{tick // 100}.{tick % 100:02}": f"{size}.5" for tick, size in levels.items()}


class Market:
    """Books of one seed, told as REST snapshot, as changes and as partial depth."""

    def __init__(self, name: str, seed: int) -> None:
        self.is_usdm = name == USDM
        self._random = random.Random(seed)
        self.last = self._told = self._told_partial = 500
        self.trades = 0
        self._changed: Sides = {"b": {}, "a": {}}
        self.sides: Sides = {
            "b": {MID - i: self._size() for i in range(1, 41)},
            "a": {MID + i: self._size() for i in range(1, 41)},
        }

    def _size(self) -> int:
        return self._random.randint(1, 9_000)

    def move(self) -> None:
        """One level of each side goes, another comes or changes."""
        for name, sign in (("b", -1), ("a", 1)):
            side = self.sides[name]
            gone = self._random.choice(sorted(side, key=lambda tick: abs(tick - MID))[:12])
            side.pop(gone)
            tick = MID + sign * self._random.randint(1, 45)
            side[tick] = self._size()
            self._changed[name] |= {gone: side.get(gone, 0), tick: side[tick]}
            self.last += 2

    def _best(self, count: int) -> dict[str, Side]:
        bids = sorted(self.sides["b"].items(), reverse=True)[:count]
        return {
            "b": texts(dict(bids)),
            "a": texts(dict(sorted(self.sides["a"].items())[:count])),
        }

    def book(self) -> dict[str, Side]:
        whole = self._best(1_000)
        return {"BUY": whole["b"], "SELL": whole["a"]}

    def snapshot(self, ms: int) -> bytes:
        whole = self._best(1_000)
        sides = {"bids": [*whole["b"].items()], "asks": [*whole["a"].items()]}
        times = {"E": BEGIN_MS + ms, "T": BEGIN_MS + ms} if self.is_usdm else {}
        return stamped(ms, {"lastUpdateId": self.last, **times, **sides})

    def _update(self, ms: int, first: int, previous: int, sides: dict[str, Side]) -> dict:
        data = {"e": "depthUpdate", "E": BEGIN_MS + ms, "s": SYMBOL, "U": first, "u": self.last}
        if self.is_usdm:
            data |= {"T": BEGIN_MS + ms, "pu": previous}
        return data | {side: [*levels.items()] for side, levels in sides.items()}

    def changes(self, ms: int, channel: str = "depth@100ms") -> bytes:
        sides = {
            name: {text: size if size != "0.5" else "0" for text, size in texts(levels).items()}
            for name, levels in self._changed.items()
        }
        data = self._update(ms, self._told + 1, self._told, sides)
        self._told, self._changed = self.last, {"b": {}, "a": {}}
        return stamped(ms, {"stream": f"{SYMBOL.lower()}@{channel}", "data": data})

    def partial(self, ms: int, channel: str, *, bare: bool = False) -> bytes:
        count = int("".join(filter(str.isdigit, channel.partition("@")[0])))
        best = self._best(count)
        if self.is_usdm:
            data = self._update(ms, self.last, self._told_partial, best)
            self._told_partial = self.last
        else:
            sides = {"bids": [*best["b"].items()], "asks": [*best["a"].items()]}
            data = {"lastUpdateId": self.last, **sides}
        return stamped(ms, data if bare else {"stream": f"aaausdt@{channel}", "data": data})

    def trade(self, ms: int) -> bytes:
        self.trades += 1
        return trade(ms, self.trades, "100.00", "1", **({"X": "MARKET"} if self.is_usdm else {}))


@MARKETS
@pytest.mark.parametrize("channel", PARTIALS)
def test_partial_depth_is_left_out_and_counted_by_its_name(name, channel, tmp_path):
    market = Market(name, 414)
    lines = [market.snapshot(0), market.trade(10)]
    for i in range(1, 31):
        market.move()
        lines.append(market.partial(100 * i, channel))
    report, catalog = imported(tmp_path, lines)
    assert report.skipped == {channel: 30}
    assert report.malformed == 0
    assert report.instruments[0].depth_messages == 0
    assert len(shown(catalog, name)) == 1  # the snapshot's
    assert f"WARNING        {channel}" in render(report)


@MARKETS
@pytest.mark.parametrize("diffs", ["depth", "depth@100ms", "depth@500ms"])
@pytest.mark.parametrize("channel", PARTIALS)
def test_partial_depth_beside_the_changes_costs_no_book(name, diffs, channel, tmp_path):
    market = Market(name, 9_021)
    lines, want = [market.snapshot(0), market.trade(1)], []
    for i in range(1, 41):
        for part in range(5):  # partial books are ahead of the changes
            market.move()
            if part in (1, 3):
                lines.append(market.partial(500 * i + 100 * part, channel))
        at = 500 * i + 450
        lines.append(market.changes(at, diffs))
        want.append((at, market.book()))
    report, catalog = imported(tmp_path, lines)
    assert report.skipped == {channel: 80}
    assert report.gaps == 0
    seen = [(at, book) for at, book in shown(catalog, name) if at >= 500]
    assert seen == want


@MARKETS
def test_a_snapshot_that_nothing_follows_is_a_book_for_ten_seconds(name, tmp_path):
    market = Market(name, 414)
    book = market.book()
    lines = [market.snapshot(0)]
    lines += [market.trade(100 * i) for i in range(1, 301)]
    report, catalog = imported(tmp_path, lines)
    assert shown(catalog, name) == [(0, book), (10_000, {"BUY": {}, "SELL": {}})]
    assert report.gaps == report.instruments[0].depth_stops == 1
    assert report.instruments[0].gap_seconds == pytest.approx(30)


def test_bare_changes_are_left_out_whatever_they_are(tmp_path):
    market = Market(USDM, 3)
    lines = [market.trade(1)]
    for i in range(1, 11):
        market.move()
        lines.append(market.partial(100 * i, "depth20", bare=True))
    report, _ = imported(tmp_path, lines)
    assert report.skipped == {"depthUpdate": 10}


def test_bare_partial_depth_of_spot_is_a_snapshot_each(tmp_path):
    market = Market(SPOT, 5)
    lines, want = [market.trade(1)], []
    for i in range(1, 21):
        market.move()
        lines.append(market.partial(100 * i, "depth20", bare=True))
        best = market._best(20)
        want.append((100 * i, {"BUY": best["b"], "SELL": best["a"]}))
    report, catalog = imported(tmp_path, lines)
    assert (report.skipped, report.gaps) == ({}, 1)  # nothing tells of the time between them
    assert [each for each in shown(catalog, SPOT) if each[1]["BUY"]] == want


@pytest.mark.parametrize("channel", ["depth20@100ms", "depthX", "tradePro", "bookTicker2"])
def test_only_the_streams_that_are_imported_are_of_a_kind(channel):
    line = b'1800000000000500000 {"stream":"aaausdt@%s","data":' % channel.encode()
    assert stream_of(line) == ("", "")
    known = line.replace(channel.encode(), b"depth@500ms")
    assert stream_of(known) == ("AAAUSDT", "depth")


def test_the_kinds_that_are_none_are_counted_by_name(tmp_path: Path):
    data = json.loads(trade(1, 1, "1.00", "1").partition(b" ")[2])["data"]
    lines = [trade(0, 7, "1.00", "1"), stamped(2, {"stream": "aaausdt@tradePro", "data": data})]
    report, _ = imported(tmp_path, lines)
    assert report.skipped == {"tradePro": 1}
