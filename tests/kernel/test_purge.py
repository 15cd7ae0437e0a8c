"""What NautilusTrader forgets with an order that leaves its cache, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nautilus_trader.model import OrderSide

from tests.kernel.bench import IID, book, run

DATA = [book(ms, {99: 50}, {101: 50}) for ms in range(0, 2000, 100)]


def told(*steps: tuple[float, Callable[[Any], None]]) -> list[tuple[str, str]]:
    """Each order's events, by its name."""
    scripts: list[Any] = []

    def forget(script: Any) -> None:  # the bench looks up in the end what it knows by name
        scripts.append(script)
        for name, order_id in list(script.orders.items()):
            if not script.cache.order_exists(order_id):
                del script.orders[name]

    run(DATA, [*steps, (1850, forget)])
    (script,) = scripts
    return [(one.order, one.kind) for one in script.events]


def position(script: Any) -> tuple[Any, ...]:
    (one,) = script.cache.positions(instrument_id=IID)
    net = script.portfolio.net_position(IID)
    return one.quantity, one.avg_px_open, one.realized_pnl, one.signed_qty, net, one.event_count


def test_a_position_stays_as_it_is_when_its_orders_leave() -> None:
    seen: list[Any] = []

    def purge(script: Any) -> None:
        seen.append(position(script))
        for name in ("in", "more"):
            script.cache.purge_order(script.orders[name])
        seen.append(position(script))

    told(
        (150, lambda s: s.market("in", OrderSide.BUY, 2)),
        (250, lambda s: s.market("more", OrderSide.BUY, 1)),
        (350, purge),
        (450, lambda s: s.market("out", OrderSide.SELL, 3)),
        (550, lambda s: seen.append(position(s))),
    )
    before, after, closed = seen
    assert before == after
    assert before[3] == 3
    assert closed[3] == 0
    assert closed[2].as_decimal() == 3 * (99 - 101)  # what it was opened at is still known


def test_what_is_over_is_gone_and_what_is_open_stays() -> None:
    seen: dict[str, Any] = {}

    def purge(script: Any) -> None:
        cache = script.cache
        seen["number"] = cache.venue_order_id(script.orders["over"])
        for name in ("over", "open"):
            cache.purge_order(script.orders[name])
        seen["over"] = cache.order(script.orders["over"])
        seen["is closed"] = cache.is_order_closed(script.orders["over"])
        seen["whose"] = cache.client_order_id(seen["number"])
        seen["open"] = [one.client_order_id for one in cache.orders_open()]
        seen["all"] = cache.client_order_ids()
        try:
            script.cancel_order(script.orders["over"])  # a strategy may have it in mind still
        except RuntimeError as error:
            seen["cancel"] = str(error)

    found = told(
        (150, lambda s: s.limit("over", OrderSide.BUY, 1, 90)),
        (160, lambda s: s.limit("open", OrderSide.BUY, 1, 91)),
        (250, lambda s: s.cancel_order(s.orders["over"])),
        (350, purge),
        (450, lambda s: s.cancel_order(s.orders["open"])),
    )
    assert seen["number"] is not None
    assert (seen["over"], seen["is closed"], seen["whose"]) == (None, False, None)
    assert seen["open"] == seen["all"]
    assert len(seen["open"]) == 1
    assert "order not found in cache" in seen["cancel"]
    assert found[-1] == ("open", "Canceled")
