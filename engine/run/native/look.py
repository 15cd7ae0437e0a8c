"""What a venue tells of an account at one moment, through NautilusTrader's own client."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import (
    AccountId,
    AccountType,
    ClientOrderId,
    InstrumentId,
    OrderSide,
    PositionSide,
    Price,
    TriggerType,
)

from fairlead.adapters.base.translate import dec
from fairlead.engine.orders.journal_reads import JournaledOrder, JournalReads
from fairlead.engine.orders.model import (
    Intent,
    Kind,
    OrderState,
    Side,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueUnavailable,
)
from fairlead.engine.run.native.balances import ask_balances
from fairlead.engine.run.native.desk import fill_of
from fairlead.engine.run.native.session import Looker

logger = logging.getLogger(__name__)

ASK_SECS = 2.0  # for the answers to one round of questions
ASK_TIMES = 3
LOOK_SECS = 0.02
MADE_UP = "S-"  # trade ids of NautilusTrader's own
_SIDES = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}
_STATES = {
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELED,
    "EXPIRED": OrderState.EXPIRED,
    "REJECTED": OrderState.REFUSED,
    "DENIED": OrderState.REFUSED,
    "PENDING_CANCEL": OrderState.CANCELLING,
}


class Seen(msgspec.Struct, frozen=True):
    """Orders by client order id, those that are open and those that were asked for; net positions
    by instrument, base units; what the account holds, None: it was not told while nothing moved;
    executions by client order id, those that the venue's own reports of trades tell; whether the
    account is one that has no positions."""

    orders: dict[str, VenueOrder] = {}
    positions: dict[str, Decimal] = {}
    balances: tuple[VenueBalance, ...] | None = None
    fills: dict[str, tuple[VenueFill, ...]] = {}
    is_cash: bool = False


def may_have_moved(seen: Seen, journal: JournalReads) -> bool:
    """Whether positions are not what the journal and the orders tell, while orders were open: one
    may have been filled between what was told of it and of its position. Raises JournalError.
    """
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    for position in journal.positions():
        held[position.instrument] += position.quantity
    known = journal.open_orders()
    for order in known:
        told = seen.orders.get(order.intent.client_order_id)
        if told is not None:
            more = max(told.filled - order.filled, Decimal(0))
            held[told.instrument] += more if told.side is Side.BUY else -more
    names = {*held, *seen.positions}
    differs = any(held[name] != seen.positions.get(name, Decimal(0)) for name in names)
    return differs and bool(known or any(not o.state.is_terminal for o in seen.orders.values()))


async def look(
    looker: Looker, lost: Iterable[JournaledOrder], account_id: str | None = None
) -> Seen:
    """`lost` are orders that the journal does not know to be over; balances are those of the
    account, where one is named.

    Open orders and positions are read in one moment, and first: NautilusTrader takes what it is
    told of an order that it did not know for an execution of now, and moves its position by it.
    """
    balances = None if account_id is None else await _balances(looker, account_id)
    orders = {str(one.client_order_id): told(one) for one in looker.cache.orders_open()}
    positions = positions_of(looker)
    wanted = {one.intent.client_order_id: one.intent for one in lost}
    for _ in range(ASK_TIMES):
        unknown = [intent for name, intent in wanted.items() if _known(looker, name) is None]
        if not unknown:
            break
        for intent in unknown:
            looker.query_order(order_of(looker, intent))
        latest = asyncio.get_running_loop().time() + ASK_SECS
        while asyncio.get_running_loop().time() < latest:
            if all(_known(looker, one.client_order_id) is not None for one in unknown):
                break
            await asyncio.sleep(LOOK_SECS)
    for name in wanted.keys() - orders.keys():
        if (found := _known(looker, name)) is not None:
            orders[name] = told(found)
    found = ((name, _reported(_known(looker, name))) for name in orders)
    reported = {name: fills for name, fills in found if fills}
    return Seen(orders, positions, balances, reported, _is_cash(looker, account_id))


def _is_cash(looker: Looker, account_id: str | None) -> bool:
    known = None if account_id is None else looker.cache.account(AccountId(account_id))
    return known is not None and bool(known.account_type == AccountType.CASH)


def _reported(order: Any) -> tuple[VenueFill, ...]:
    """What NautilusTrader makes up, where it is told a sum only, has no fee, or its own id."""
    events = () if order is None else order.events()
    told = (one for one in events if type(one).__name__ == "OrderFilled")
    return tuple(
        msgspec.structs.replace(fill_of(one), synthetic=False)
        for one in told
        if one.commission is not None and not str(one.trade_id).startswith(MADE_UP)
    )


async def _balances(looker: Looker, account_id: str) -> tuple[VenueBalance, ...] | None:
    """Read while no order of the account was filled."""
    for _ in range(ASK_TIMES):
        before = _executed(looker)
        try:
            found = await ask_balances(looker, account_id)
        except VenueUnavailable as error:
            logger.warning("what %s holds is not compared: %s", account_id, error)
            return None
        if _executed(looker) == before:
            return tuple(found)
    return None


def _executed(looker: Looker) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    filled = {str(o.client_order_id): o.filled_qty.as_decimal() for o in looker.cache.orders()}
    return filled, positions_of(looker)


def positions_of(looker: Looker) -> dict[str, Decimal]:
    """Net positions by instrument, base units, as the client tells them."""
    positions: dict[str, Decimal] = {}
    for position in looker.cache.positions_open():
        name = str(position.instrument_id)
        size = position.quantity.as_decimal()
        signed = -size if position.side == PositionSide.SHORT else size
        positions[name] = positions.get(name, Decimal(0)) + signed
    return positions


def _known(looker: Looker, name: str) -> Any:
    return looker.cache.order(ClientOrderId(name))


def told(order: Any) -> VenueOrder:
    """NautilusTrader's order as a venue's answer."""
    kind = order.order_type.name
    average = getattr(order, "avg_px", None)
    return VenueOrder(
        venue_order_id=str(order.venue_order_id or ""),
        instrument=str(order.instrument_id),
        side=Side(order.side.name),
        kind=Kind(kind) if kind in Kind.__members__ else Kind.LIMIT,
        state=_STATES.get(order.status.name, OrderState.OPEN),
        quantity=order.quantity.as_decimal(),
        filled=order.filled_qty.as_decimal(),
        client_order_id=str(order.client_order_id),
        avg_price=None if average is None else Decimal(str(average)),
        price=dec(getattr(order, "price", None)),
        trigger_price=dec(getattr(order, "trigger_price", None)),
        ts_updated=order.ts_last,
    )


def order_of(looker: Looker, intent: Intent) -> Any:
    """An order to ask for: NautilusTrader's question takes one, and reads its ids and kind."""
    make: Any = looker.order_factory
    name = InstrumentId.from_str(intent.instrument)
    instrument = looker.cache.instrument(name)
    assert instrument is not None, "it was loaded before orders are asked for"
    quantity = instrument.make_qty(intent.quantity)
    known: dict[str, Any] = {"client_order_id": ClientOrderId(intent.client_order_id)}
    side = _SIDES[intent.side]
    price = None if intent.price is None else Price.from_decimal(intent.price)
    trigger = None if intent.trigger_price is None else Price.from_decimal(intent.trigger_price)
    last: dict[str, Any] = {"trigger_type": TriggerType.LAST_PRICE}
    if intent.kind is Kind.LIMIT:
        return make.limit(name, side, quantity, price, **known)
    if intent.kind is Kind.STOP_LIMIT:
        return make.stop_limit(name, side, quantity, price, trigger, **last, **known)
    if intent.kind is Kind.LIMIT_IF_TOUCHED:
        return make.limit_if_touched(name, side, quantity, price, trigger, **last, **known)
    if intent.kind is Kind.STOP_MARKET:
        return make.stop_market(name, side, quantity, trigger, **last, **known)
    if intent.kind is Kind.MARKET_IF_TOUCHED:
        return make.market_if_touched(name, side, quantity, trigger, **last, **known)
    return make.market(name, side, quantity, **known)
