"""A recorded market without the run that is in it: rows as a replay is given them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import (
    AggressorSide,
    BookAction,
    BookOrder,
    OrderBookDelta,
    OrderSide,
    Price,
    Quantity,
    TradeId,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.run.own import as_shown, at_prints, others_of
from fairlead.engine.run.replayed import commands
from tests.unit.backtest_kit import cleared, spot
from tests.unit.research.test_own import SECOND_NS, at, fill, order, told_as_sum

NAME = "BTCUSDT.TEST"


def delta(secs: float, what: str, side: str, price: str, size: str, flags: int) -> OrderBookDelta:
    level = BookOrder(getattr(OrderSide, side), Price.from_str(price), Quantity.from_str(size), 0)
    ts = at(secs)
    action = getattr(BookAction, what)
    return OrderBookDelta(spot(NAME).id, action, level, flags, int(secs * 1000), ts, ts)


def trade(secs: float, number: str, price: str, size: str, side: AggressorSide) -> TradeTick:
    numbers = Price.from_str(price), Quantity.from_str(size)
    return TradeTick(spot(NAME).id, *numbers, side, TradeId(number), at(secs), at(secs))


def written(folder: Path) -> Path:
    """Two bids of others, the run's own between them, which it sells into itself and ends."""
    catalog = ParquetDataCatalog(str(folder))
    catalog.write_instruments([spot(NAME)])
    catalog.write_order_book_deltas(
        [
            cleared(spot(NAME), 1, at(0)),
            delta(0.5, "ADD", "BUY", "100.0", "1.000", 0),
            delta(0.5, "ADD", "SELL", "102.0", "1.000", 128),
            delta(1.005, "UPDATE", "SELL", "102.0", "1.100", 0),
            delta(1.005, "ADD", "BUY", "101.0", "0.500", 128),  # its own
            delta(1.5, "UPDATE", "BUY", "101.0", "0.700", 128),  # and another's
            delta(2.006, "UPDATE", "BUY", "100.0", "0.600", 128),  # it took
            delta(2.95, "UPDATE", "BUY", "101.0", "0.200", 128),
            delta(3.5, "DELETE", "BUY", "101.0", "0.000", 128),
        ]
    )
    catalog.write_trade_ticks(
        [
            trade(1.2, "1", "102.0", "0.400", AggressorSide.BUY),
            trade(2.02, "2", "100.0", "0.400", AggressorSide.SELL),
        ]
    )
    return folder


def run_orders() -> list[dict[str, Any]]:
    common = {"instrument": NAME, "time_in_force": "GTC", "status": "FILLED", "strategy": "S-1"}
    ends = {"status": "CANCELED", "ts_last": at(3), "ts_cancelled": at(3)}
    asked = [{"what": "cancel", "ts": at(2.9)}]
    bid = order("BID", "BUY", **common | ends, kind="LIMIT", price="101.0", asked=asked)
    sale = order("SALE", "SELL", told_as_sum("0.4", "100", 2.9), **common, quantity="0.4", secs=2)
    return [
        bid | {"quantity": "0.5"},
        sale | {"ts_accepted": at(2.8), "ts_last": at(2.9)},
    ]


def test_rows_without_the_run(tmp_path: Path) -> None:
    root = written(tmp_path)
    others = others_of(root, run_orders(), (at(0), at(9)), SECOND_NS, 0)
    known = ParquetDataCatalog(str(root))
    trades = others.rows(known.query_trade_ticks([NAME]))
    assert [str(one.trade_id) for one in trades] == ["1"]
    rows = others.rows(known.query_order_book_deltas([NAME]))
    told = [
        (one.action.name, one.order.side.name, one.order.size.as_decimal(), one.flags & 128)
        for one in rows[3:]
    ]
    assert told == [
        ("UPDATE", "SELL", Decimal("1.1"), 128),  # the end of its message, now
        ("ADD", "BUY", Decimal("0.2"), 128),
        ("UPDATE", "BUY", Decimal("0.6"), 128),
        ("UPDATE", "BUY", Decimal("0.2"), 128),
        ("DELETE", "BUY", Decimal(0), 128),
    ]
    assert (others.told.trades, others.told.book_rows, list(others.told.unfound)) == (1, 2, [])


def test_it_had_arrived_when_the_market_tells_of_what_it_took(tmp_path: Path) -> None:
    """Not when the venue answered, by when its own execution has left the book."""
    rows = run_orders()
    others = others_of(written(tmp_path), rows, (at(0), at(9)), SECOND_NS, 0)
    shown = {row["client_order_id"]: as_shown(row, others) for row in rows}
    assert shown["BID"] == rows[0]
    assert shown["SALE"]["ts_accepted"] == at(2.006) - 1
    assert shown["SALE"]["fills"][0]["ts_event"] == at(2.02)
    assert at_prints(commands(shown.values()), others) is not None
    (given,) = (
        one.due
        for one in at_prints(commands(shown.values()), others) or ()
        if one.order["client_order_id"] == "SALE"
    )
    assert given == at(2.02) - 1


def test_what_no_book_had_told_is_known(tmp_path: Path) -> None:
    root, (bid, sale) = written(tmp_path), run_orders()
    assert others_of(root, [bid, sale], (at(0), at(9)), SECOND_NS, 0).untold == set()
    more = fill("0.4", "102", 1.3, trade_id="1")
    buy = order("BUY", "BUY", more, instrument=NAME, quantity="0.4", secs=1.1, kind="MARKET")
    assert others_of(root, [buy], (at(0), at(9)), SECOND_NS, 0).untold == set()
    catalog = ParquetDataCatalog(str(root))
    catalog.write_trade_ticks([trade(4, "3", "99.0", "0.300", AggressorSide.SELL)])
    low = order("LOW", "SELL", fill("0.3", "99", 4.1), instrument=NAME, secs=3.9, quantity="0.3")
    assert others_of(root, [low], (at(0), at(9)), SECOND_NS, 0).untold == {"LOW"}
