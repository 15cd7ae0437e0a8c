"""`fairlead download`: windows that are kept whole, and go on where they were."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model import (
    AggressorSide,
    Bar,
    CurrencyPair,
    InstrumentId,
    Price,
    Quantity,
    Symbol,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.engine.currencies import currency
from fairlead.engine.errors import FairleadError
from fairlead.engine.identifiers import trade_id
from fairlead.engine.recording.gaps import read_gaps
from fairlead.engine.run import download as module
from fairlead.engine.run.download import Downloaded, Wanted, download

NAME = "BTC_USDT.X"
IID = InstrumentId.from_str(NAME)
MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
T0 = 1_700_000_000_000_000_000 // HOUR * HOUR
NOW = T0 + 100 * HOUR


def instrument() -> CurrencyPair:
    return CurrencyPair(
        IID,
        Symbol("btcusdt"),
        currency("BTC"),
        currency("USDT"),
        price_precision=1,
        size_precision=2,
        price_increment=Price.from_str("0.1"),
        size_increment=Quantity.from_str("0.01"),
        ts_event=T0,
        ts_init=T0,
    )


def a_bar(bar_type: Any, at: int) -> Bar:
    price = Price.from_str(f"{100 + at // MINUTE % 50}.5")
    return Bar(bar_type, price, price, price, price, Quantity.from_str("1.25"), at, NOW)


def a_trade(at: int) -> TradeTick:
    size = Quantity.from_str("0.10")
    return TradeTick(
        IID, Price.from_str("99.5"), size, AggressorSide.SELL, trade_id(str(at)), at, NOW
    )


class Market:
    """A bar each minute, a trade each ten; `fails` is asked before each answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.fails: Callable[[int], VenueError | None] = lambda _: None
        self.lacks: set[int] = set()  # minutes from T0

    def _look(self, start: int, end: int) -> None:
        self.asked.append((start, end))
        if (error := self.fails(len(self.asked))) is not None:
            raise error

    async def history_bars(self, bar_type: Any, start: int, end: int, limit: int) -> list[Bar]:
        self._look(start, end)
        times = range(-(-start // MINUTE) * MINUTE, min(end, NOW) + 1, MINUTE)
        return [a_bar(bar_type, at) for at in times if (at - T0) // MINUTE not in self.lacks]

    async def history_trades(self, name: str, start: int, end: int, limit: int) -> list[TradeTick]:
        self._look(start, end)
        step = 10 * MINUTE
        return [a_trade(at) for at in range(-(-start // step) * step, min(end, NOW) + 1, step)]


class Adapter:
    venue = "X"

    def __init__(self) -> None:
        self.market_data = Market()
        self.instruments = {NAME: SimpleNamespace(nautilus=instrument())}
        self.closed = 0

    async def connect(self, *, trading: bool) -> None:
        assert not trading

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def adapter() -> Adapter:
    return Adapter()


@pytest.fixture
def got(adapter: Adapter, tmp_path: Path) -> Callable[..., Any]:
    """A download of hours from T0, with a clock that stands and waits that take no time."""

    async def run(hours: int, bar: str = "1-MINUTE", name: str = NAME) -> Downloaded:
        async def sleep(secs: float) -> None:
            run.waits.append(secs)  # type: ignore[attr-defined]

        wanted = Wanted(instrument=name, bar=bar, start_ns=T0, end_ns=T0 + hours * HOUR)
        found: Any = adapter
        return await download(found, wanted, tmp_path, now_ns=lambda: NOW, sleep=sleep)

    run.waits = []  # type: ignore[attr-defined]
    return run


def bars(root: Path) -> list[int]:
    return [one.ts_event for one in ParquetDataCatalog(str(root)).query_bars()]


async def test_bars_come_once_each_in_order_with_the_venues_numbers(got, adapter, tmp_path):
    told = await got(50)
    assert (told.rows, told.windows, adapter.closed) == (3001, 4, 1)
    assert bars(tmp_path) == list(range(T0, T0 + 50 * HOUR + 1, MINUTE))
    found = ParquetDataCatalog(str(tmp_path)).query_bars()
    assert all(one.ts_init == one.ts_event for one in found)
    assert {str(one.volume) for one in found} == {"1.25"}


async def test_what_is_held_is_not_asked_for_again(got, adapter, tmp_path):
    await got(20)
    adapter.market_data.asked.clear()
    told = await got(20)
    assert (told.rows, adapter.market_data.asked) == (0, [])
    longer = await got(30)
    assert adapter.market_data.asked == [(T0 + 20 * HOUR + 1, T0 + 30 * HOUR)]
    assert longer.held_ns == 20 * HOUR + 1
    assert bars(tmp_path) == list(range(T0, T0 + 30 * HOUR + 1, MINUTE))


async def test_a_download_that_was_cut_short_goes_on(got, adapter, tmp_path):
    gone = VenueError(VenueErrorKind.REFUSED, "X-GONE", "closed for today")
    adapter.market_data.fails = lambda number: gone if number == 3 else None
    with pytest.raises(FairleadError, match="run it again to go on") as failed:
        await got(50)
    assert (failed.value.code, failed.value.exit_code) == ("X-GONE", 5)
    assert len(bars(tmp_path)) == 2000
    assert not list(tmp_path.parent.glob(".importing-*"))
    told = await got(50)
    assert (told.windows, told.rows) == (2, 1001)
    assert bars(tmp_path) == list(range(T0, T0 + 50 * HOUR + 1, MINUTE))


async def test_a_refusal_for_rate_is_waited_out_as_long_as_the_venue_says(got, adapter, tmp_path):
    busy = VenueError(VenueErrorKind.RATE_LIMITED, "X-RATE", "slow down", 17.0)
    adapter.market_data.fails = lambda number: busy if number in (1, 2) else None
    told = await got(5)
    assert (told.waits, got.waits) == (2, [17.0, 17.0])
    assert len(bars(tmp_path)) == 301
    adapter.market_data.fails = lambda _: busy
    with pytest.raises(FairleadError, match="slow down"):
        await got(9)
    assert len(got.waits) == 2 + module.TRIES_MAX - 1


async def test_a_full_disk_is_told_as_one_and_what_came_before_stays(got, tmp_path, monkeypatch):
    await got(5)
    before = bars(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.StagedCatalog, "commit", full)
    with pytest.raises(FairleadError, match="No space left") as failed:
        await got(9)
    assert failed.value.code == "DOWNLOAD-DISK"
    assert bars(tmp_path) == before


async def test_missing_bars_are_gap_rows(got, adapter, tmp_path):
    adapter.market_data.lacks = {7, 8, 9}
    told = await got(1)
    (row,) = read_gaps(tmp_path)[0]
    assert (told.missing, row.count) == (3, 3)
    assert (row.from_ns, row.to_ns) == (T0 + 6 * MINUTE, T0 + 9 * MINUTE)


async def test_the_newest_bar_is_not_taken_for_all_of_the_time(got, adapter, tmp_path):
    """What closes after a download is asked for by the next."""
    await got(200)
    held = ParquetDataCatalog(str(tmp_path)).get_intervals(module.NautilusDataType.Bar, BAR_TYPE)
    assert max(end for _, end in held) == NOW


async def test_trades_are_kept_up_to_what_is_settled(got, adapter, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TRADES_WINDOW_NS", 10 * HOUR)
    told = await got(200, bar="")
    times = [one.ts_event for one in ParquetDataCatalog(str(tmp_path)).query_trade_ticks()]
    assert times == list(range(T0, NOW - 1, 10 * MINUTE))
    assert told.rows == len(times)
    again = await got(200, bar="")
    assert again.rows == 0


async def test_what_cannot_be_asked_is_said(got):
    for hours, bar, name, code in (
        (1, "1-MINUTE", "ETH_USDT.X", "DOWNLOAD-INSTRUMENT"),
        (1, "1-PARSEC", NAME, "DOWNLOAD-BAR"),
        (1, "30-SECOND", NAME, "DOWNLOAD-BAR"),
    ):
        with pytest.raises(FairleadError) as failed:
            await got(hours, bar, name)
        assert failed.value.code == code


BAR_TYPE = f"{NAME}-1-MINUTE-LAST-EXTERNAL"
