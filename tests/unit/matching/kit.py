"""A simulated exchange of one account, and what it tells. Sizes and prices are texts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from fairlead.engine.matching.accounts import Account, CashAccount, MarginAccount
from fairlead.engine.matching.exchange import Exchange
from fairlead.engine.matching.market import Level
from fairlead.engine.matching.orders import (
    Fee,
    Fill,
    Listing,
    NewOrder,
    Order,
    Trigger,
    Watched,
)
from fairlead.engine.matching.taking import Print
from fairlead.engine.orders.model import Side, TierPrice

BUY, SELL = Side.BUY, Side.SELL
BTC, ETH = "BTC_USDT.TEST", "ETH_USDT.TEST"
MS = 1_000_000
RATE = Decimal("0.001")


def dec(value: object) -> Decimal:
    return Decimal(str(value))


def listing(name: str = BTC, **more: Any) -> Listing:
    base = name.partition("_")[0]
    plain = {"base": base, "quote": "USDT", "settlement": "USDT", "size_increment": dec("0.001")}
    return Listing(id=name, **{**plain, **more})


def no_fee(*_: Any, **__: Any) -> Fee:
    return Fee(Decimal(0), "USDT")


def quote_fee(
    instrument: str, side: Side, *, is_maker: bool, quantity: Decimal, price: Decimal
) -> Fee:
    rate = RATE / 2 if is_maker else RATE
    return Fee(round(quantity * price * rate, 8), "USDT")


def base_fee(
    instrument: str, side: Side, *, is_maker: bool, quantity: Decimal, price: Decimal
) -> Fee:
    """A buyer pays in base currency."""
    if side is BUY:
        return Fee(round(quantity * RATE, 8), instrument.partition("_")[0])
    return Fee(round(quantity * price * RATE, 8), "USDT")


class Told(msgspec.Struct, frozen=True):
    """An event: milliseconds, kind, order, detail."""

    ms: float
    kind: str
    order: str = ""
    detail: str = ""


class Bench:
    """An exchange, driven by milliseconds; hears its events."""

    def __init__(
        self,
        *,
        margin: bool = False,
        balances: Mapping[str, object] | None = None,
        fees: Any = no_fee,
        queue: bool = True,
        consume: bool = True,
        listings: tuple[Listing, ...] = (),
        tier_price: TierPrice | None = None,
    ) -> None:
        has = balances if balances is not None else {"USDT": 1_000_000, "BTC": 1_000, "ETH": 1_000}
        known = listings or (listing(BTC), listing(ETH))
        kind: type[Account] = MarginAccount if margin else CashAccount
        self.account = kind(known, {code: dec(amount) for code, amount in has.items()}, fees)
        self.exchange = Exchange(
            self.account,
            fees,
            self,
            queue_position=queue,
            liquidity_consumption=consume,
            tier_price=tier_price,
        )
        self.told: list[Told] = []
        self.fills: list[Fill] = []

    # -- doing ---------------------------------------------------------------------------------

    def book(
        self,
        ms: float,
        bids: Mapping[Any, Any] | None = None,
        asks: Mapping[Any, Any] | None = None,
        *,
        whole: bool = True,
        instrument: str = BTC,
    ) -> None:
        levels: list[Level] = [(BUY, dec(p), dec(s)) for p, s in (bids or {}).items()]
        levels += [(SELL, dec(p), dec(s)) for p, s in (asks or {}).items()]
        self.exchange.book(instrument, levels, int(ms * MS), is_whole=whole)

    def level(self, ms: float, side: Side, price: object, size: object) -> None:
        self.exchange.book(BTC, [(side, dec(price), dec(size))], int(ms * MS))

    def trade(
        self, ms: float, price: object, size: object = 1, side: Side | None = SELL, name: str = BTC
    ) -> None:
        self.exchange.trade(name, Print(dec(price), dec(size), side), int(ms * MS))

    def order(
        self,
        ms: float,
        name: str,
        side: Side,
        quantity: object,
        price: object | None = None,
        **more: Any,
    ) -> None:
        self.exchange.submit([new(name, side, quantity, price, **more)], int(ms * MS))

    def cancel(self, ms: float, name: str) -> None:
        self.exchange.cancel(name, int(ms * MS))

    def modify(self, ms: float, name: str, **changes: object) -> None:
        asked = {key: dec(value) for key, value in changes.items()}
        self.exchange.modify(name, int(ms * MS), **asked)

    # -- seeing --------------------------------------------------------------------------------

    def of(self, order: str) -> list[str]:
        """`"filled 1@99.5 T"`, in order; of a maker `M`."""
        return [f"{one.kind} {one.detail}".strip() for one in self.told if one.order == order]

    def at(self, order: str, kind: str = "filled") -> list[float]:
        return [one.ms for one in self.told if (one.order, one.kind) == (order, kind)]

    def filled_of(self, order: str) -> list[str]:
        return [one.detail for one in self.told if (one.order, one.kind) == (order, "filled")]

    def balance(self, code: str) -> tuple[str, str]:
        """Total and locked."""
        (found,) = [one for one in self.account.balances() if one.currency == code]
        return plain(found.total), plain(found.locked)

    # -- hearing -------------------------------------------------------------------------------

    def _tell(self, ts_ns: int, kind: str, order: str = "", detail: str = "") -> None:
        self.told.append(Told(ts_ns / MS, kind, order, detail))

    def accepted(self, order: Order, ts_ns: int) -> None:
        self._tell(ts_ns, "accepted", order.id)

    def rejected(self, order: Order, reason: str, ts_ns: int, *, due_post_only: bool) -> None:
        self._tell(ts_ns, "rejected", order.id, reason.partition(":")[0])

    def triggered(self, order: Order, ts_ns: int) -> None:
        self._tell(ts_ns, "triggered", order.id)

    def filled(self, order: Order, fill: Fill, ts_ns: int) -> None:
        self.fills.append(fill)
        made = "M" if fill.is_maker else "T"
        self._tell(ts_ns, "filled", order.id, f"{plain(fill.quantity)}@{plain(fill.price)} {made}")

    def canceled(self, order: Order, reason: str, ts_ns: int) -> None:
        self._tell(ts_ns, "canceled", order.id, reason)

    def expired(self, order: Order, ts_ns: int) -> None:
        self._tell(ts_ns, "expired", order.id)

    def updated(self, order: Order, ts_ns: int) -> None:
        shown = plain(order.quantity) if order.price is None else f"{plain(order.quantity)}@"
        price = "" if order.price is None else plain(order.price)
        self._tell(ts_ns, "updated", order.id, shown + price)

    def modify_rejected(self, order_id: str, reason: str, ts_ns: int) -> None:
        self._tell(ts_ns, "modify rejected", order_id, reason.partition(":")[0])

    def cancel_rejected(self, order_id: str, reason: str, ts_ns: int) -> None:
        self._tell(ts_ns, "cancel rejected", order_id, reason.partition(":")[0])

    def balances_changed(self, ts_ns: int) -> None:
        self._tell(ts_ns, "balances")


def plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def new(
    name: str,
    side: Side,
    quantity: object,
    price: object | None = None,
    *,
    stop: object | None = None,
    touched: object | None = None,
    watched: Watched = Watched.LAST,
    instrument: str = BTC,
    tif: Any = "GTC",
    **more: Any,
) -> NewOrder:
    """`stop` is the trigger of a stop, `touched` of an if-touched order."""
    trigger = None
    if stop is not None:
        trigger = Trigger(dec(stop), side is BUY, watched)
    elif touched is not None:
        trigger = Trigger(dec(touched), side is SELL, watched)
    return NewOrder(
        id=name,
        strategy=more.pop("strategy", "S-001"),
        instrument=instrument,
        side=side,
        quantity=dec(quantity),
        price=None if price is None else dec(price),
        trigger=trigger,
        time_in_force=tif,
        **more,
    )
