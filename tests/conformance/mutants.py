"""Adapters with one planted fault each, made of a sound one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import BookAction, OrderBookDeltas, TradeTick

from fairlead.adapters import registry
from fairlead.adapters.base.venue import AdapterContext, AdapterSpec, Gap, OrderPush
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    CancelAccepted,
    CancelOutcome,
    FindResult,
    Intent,
    Kind,
    Lost,
    OrderRef,
    OrderState,
    Outcome,
    Refused,
    Side,
    Tif,
    Unknown,
    VenueOrder,
    VenueUnavailable,
)

Plant = Callable[[Any], None]  # a fault into an adapter
SOUND = "poloniex"  # the adapter that states most
# Its pushes tell before an answer or a poll can mislead; these faults are of one that is polled.
POLLED = "oceanex"
OF_POLLED = {
    "a slow answer is a rejection",
    "a part is taken for the whole",
    "a filled order is cancelled",
    "what a dead process sent is absent",
}
TICKER = "mudawyl"  # one without a stream, which takes an entry with its exits
OF_TICKER = {
    "a trailing stop is turned",
    "a stop of a bracket has another trigger",
    "a polled price is a tick off",
}


@contextmanager
def planted(fault: str) -> Iterator[str]:
    """The name of an adapter with the fault, for the length of a with block."""
    sound = POLLED if fault in OF_POLLED else TICKER if fault in OF_TICKER else SOUND
    _, plant = MUTANTS[fault]
    spec = mutant(plant, sound)
    with registry.registered(spec, registry.simulator(sound)):
        yield spec.name


def mutant(plant: Plant | Kind, sound: str) -> AdapterSpec:
    """The sound adapter's, under another name. A kind is one that it claims and has not."""
    spec = registry.spec(sound)
    can = spec.capabilities
    if isinstance(plant, Kind):
        can = msgspec.structs.replace(can, kinds=can.kinds | {plant}, held=can.held - {plant})

    def create(context: AdapterContext) -> Any:
        adapter = spec.create(context)
        adapter.card_context = context
        adapter.capabilities = can
        if not isinstance(plant, Kind):
            plant(adapter)
        return adapter

    return msgspec.structs.replace(spec, name=f"{sound}mutant", create=create, capabilities=can)


class Wrapped:
    """A part of a sound adapter, of which a mutant changes a method."""

    def __init__(self, sound: Any) -> None:
        self.sound = sound

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sound, name)


# -- orders ---------------------------------------------------------------------------------------


class LostIsRejected(Wrapped):
    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        found: list[Outcome] = await self.sound.submit(intents)
        return [Refused("LOST", "no answer") if isinstance(o, Unknown) else o for o in found]


class LostIsSentAgain(Wrapped):
    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        found: list[Outcome] = await self.sound.submit(intents)
        if any(isinstance(one, Unknown) for one in found):
            found = await self.sound.submit(intents)
        return found


class RefusedIsUnknown(Wrapped):
    """A definite no, but for one that comes of the rate."""

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        found: list[Outcome] = await self.sound.submit(intents)
        return [Unknown(o.message) if _is_no_money(o) else o for o in found]


def _is_no_money(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and "21709" in outcome.code


def asked(change: Callable[[Intent], Intent]) -> type[Wrapped]:
    """What is asked for is changed before it is sent."""

    class Changed(Wrapped):
        async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
            found: list[Outcome] = await self.sound.submit([change(one) for one in intents])
            return found

    return Changed


def of_kind(kind: Kind, **other: Any) -> type[Wrapped]:
    def change(intent: Intent) -> Intent:
        fields = {name: give(intent) for name, give in other.items()}
        return msgspec.structs.replace(intent, **fields) if intent.kind is kind else intent

    return asked(change)


def _never_rests(intent: Intent) -> Intent:
    is_fok = intent.time_in_force is Tif.FOK
    return msgspec.structs.replace(intent, time_in_force=Tif.IOC) if is_fok else intent


def _rests(intent: Intent) -> Intent:
    is_ioc = intent.time_in_force is Tif.IOC
    return msgspec.structs.replace(intent, time_in_force=Tif.FOK) if is_ioc else intent


def _sell_a_tick_off(intent: Intent) -> Decimal | None:
    is_off = intent.side is Side.SELL and intent.price is not None
    return intent.price + Decimal(1) if is_off and intent.price is not None else intent.price


def _other(intent: Intent) -> Side:
    return Side.SELL if intent.side is Side.BUY else Side.BUY


OFF = {"trigger_price": lambda intent: (intent.trigger_price or Decimal(0)) + Decimal(5)}


def _takes(intent: Intent) -> Intent:
    return msgspec.structs.replace(intent, post_only=False)


class ReplacesAtTheOldPrice(Wrapped):
    async def replace(self, ref: OrderRef, intent: Intent) -> Outcome:
        assert intent.price is not None
        price = intent.price - Decimal(1)
        found: Outcome = await self.sound.replace(ref, msgspec.structs.replace(intent, price=price))
        return found


class SlowIsRejected(Wrapped):
    """An answer later than two seconds."""

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        found: list[Outcome] = await self.sound.submit(intents)
        is_slow = loop.time() - began > 2.0
        return [Refused("SLOW", "") if is_slow and isinstance(o, Accepted) else o for o in found]


class LimitedIsSentAgain(Wrapped):
    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        found: list[Outcome] = await self.sound.submit(intents)
        if any(isinstance(o, Refused) and "429" in o.code + o.message for o in found):
            await asyncio.sleep(3.0)
            found = await self.sound.submit(intents)
        return found


class CancelLostIsCancelled(Wrapped):
    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        found: list[CancelOutcome] = await self.sound.cancel(refs)
        return [
            await _cancelled(self.sound, ref)
            if isinstance(o, Unknown) and "429" not in o.reason
            else o
            for ref, o in zip(refs, found, strict=True)
        ]


class FilledIsCancelled(Wrapped):
    """What has ended, and whose cancel was asked for, is taken to be cancelled whole."""

    def __init__(self, sound: Any) -> None:
        super().__init__(sound)
        self.asked: set[str | None] = set()

    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        self.asked |= {ref.venue_order_id for ref in refs}
        found: list[CancelOutcome] = await self.sound.cancel(refs)
        return [
            CancelAccepted(self.of(one.order)) if isinstance(one, CancelAccepted) else one
            for one in found
        ]

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        return [self.of(one) or one for one in await self.sound.orders(refs)]

    def of(self, order: VenueOrder | None) -> VenueOrder | None:
        if order is None or order.venue_order_id not in self.asked:
            return order
        if order.state is not OrderState.FILLED:
            return order
        none = {"filled": Decimal(0), "avg_price": None}
        return msgspec.structs.replace(order, state=OrderState.CANCELED, **none)


async def _cancelled(orders: Any, ref: OrderRef) -> CancelOutcome:
    try:
        (order,) = await orders.orders([ref])
    except (VenueUnavailable, ValueError):
        return Unknown("no answer")
    return CancelAccepted(msgspec.structs.replace(order, state=OrderState.CANCELED))


class PartIsWhole(Wrapped):
    """The first execution of an order, if it is half of it, is taken for all of it."""

    def __init__(self, sound: Any) -> None:
        super().__init__(sound)
        self.seen: dict[str, Decimal] = {}

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        return [self.changed(one) for one in await self.sound.orders(refs)]

    def changed(self, order: VenueOrder) -> VenueOrder:
        before = self.seen.get(order.venue_order_id, Decimal(-1))
        is_half = order.filled * 2 == order.quantity and before <= 0 and before != -1
        if not is_half:
            self.seen[order.venue_order_id] = order.filled
        return msgspec.structs.replace(order, state=OrderState.FILLED) if is_half else order

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        found: list[Outcome] = await self.sound.submit(intents)
        self.seen |= {o.venue_order_id: Decimal(0) for o in found if isinstance(o, Accepted)}
        return found


class ForgetsTheDead(Wrapped):
    """What another process has sent is absent."""

    def __init__(self, sound: Any) -> None:
        super().__init__(sound)
        self.sent: set[str] = set()

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        self.sent |= {one.client_order_id for one in intents}
        found: list[Outcome] = await self.sound.submit(intents)
        return found

    async def find(self, intent: Intent, *asked: Any, **more: Any) -> FindResult:
        found: FindResult = await self.sound.find(intent, *asked, **more)
        return found if intent.client_order_id in self.sent else Absent("not mine")

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        found: list[FindResult] = await self.sound.find_all(lost)
        return [
            one if asked.intent.client_order_id in self.sent else Absent("not mine")
            for one, asked in zip(found, lost, strict=True)
        ]


class BadAnswerEscapes(Wrapped):
    async def balances(self) -> Any:
        try:
            return await self.sound.balances()
        except VenueUnavailable as error:
            if "BAD-ANSWER" in error.code:
                raise KeyError("balance") from error
            raise


def orders(kind: type[Wrapped]) -> Plant:
    def plant(adapter: Any) -> None:
        adapter.orders = kind(adapter.orders)

    return plant


class ATickOff(Wrapped):
    async def last_price(self, instrument: str) -> tuple[Decimal, int]:
        price, ts_event = await self.sound.last_price(instrument)
        return price + Decimal("0.1"), ts_event


def polled(adapter: Any) -> None:
    adapter.market_data = ATickOff(adapter.market_data)


# -- streams --------------------------------------------------------------------------------------


class Stream(Wrapped):
    """Of which a mutant changes what comes of a frame."""

    def received(self, frame: bytes | str, ts_init: int) -> Iterator[Any]:
        for item in self.sound.received(frame, ts_init):
            yield from self.of(item)

    def of(self, item: Any) -> Iterable[Any]:
        return (item,)

    def closed(self, ts_init: int) -> Iterable[Any]:
        items: Iterable[Any] = self.sound.closed(ts_init)
        return items


class LosesDeletes(Stream):
    def of(self, item: Any) -> Iterable[Any]:
        if isinstance(item, OrderBookDeltas):
            gone = any(delta.action == BookAction.DELETE for delta in item.deltas)
            return () if gone else (item,)
        return (item,)


class IgnoresGaps(Stream):
    def of(self, item: Any) -> Iterable[Any]:
        is_clear = isinstance(item, OrderBookDeltas) and len(item.deltas) == 1
        if isinstance(item, Gap) or (is_clear and item.deltas[0].action == BookAction.CLEAR):
            return ()
        return (item,)


class KeepsOnClose(Stream):
    def closed(self, ts_init: int) -> Iterable[Any]:
        list(self.sound.closed(ts_init))
        return ()


class TellsTradesTwice(Stream):
    def of(self, item: Any) -> Iterable[Any]:
        return (item, item) if isinstance(item, TradeTick) else (item,)


class TellsMicroseconds(Stream):
    def of(self, item: Any) -> Iterable[Any]:
        if not isinstance(item, TradeTick):
            return (item,)
        told = (item.instrument_id, item.price, item.size, item.aggressor_side, item.trade_id)
        return (TradeTick(*told, item.ts_event // 1000, item.ts_init),)


class ExecutionsAtAnotherPrice(Stream):
    """The desk takes no execution twice, nor more of an order than it has: but it trusts this."""

    def of(self, item: Any) -> Iterable[Any]:
        if not isinstance(item, OrderPush) or item.fill is None:
            return (item,)
        fill = msgspec.structs.replace(item.fill, price=item.fill.price + Decimal(1))
        return (OrderPush(item.order, fill),)


class RaisesKeyError(Stream):
    """On JSON without the key that frames have."""

    def received(self, frame: bytes | str, ts_init: int) -> Iterator[Any]:
        try:
            told = msgspec.json.decode(frame)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            told = None
        if isinstance(told, dict) and "event" not in told:
            told["channel"]
        yield from self.sound.received(frame, ts_init)


def public(kind: type[Stream]) -> Plant:
    def plant(adapter: Any) -> None:
        class Data(Wrapped):
            def public_stream(self) -> Any:
                return kind(self.sound.public_stream())

        adapter.market_data = Data(adapter.market_data)

    return plant


def private(kind: type[Stream]) -> Plant:
    def plant(adapter: Any) -> None:
        sound = adapter.private_stream
        adapter.private_stream = lambda: kind(sound())

    return plant


# -- the rest -------------------------------------------------------------------------------------


def history_backwards(adapter: Any) -> None:
    class Data(Wrapped):
        async def history_trades(self, *asked: Any) -> list[Any]:
            return list(reversed(await self.sound.history_trades(*asked)))

    adapter.market_data = Data(adapter.market_data)


def wrong_minimum(adapter: Any) -> None:
    sound = adapter.refresh_instruments

    async def refresh() -> None:
        await sound()
        for name, one in list(adapter.instruments.items()):
            more = max(one.min_quantity, Decimal("0.000001")) * 3
            adapter.instruments[name] = msgspec.structs.replace(one, min_quantity=more)

    adapter.refresh_instruments = refresh
    connect = adapter.connect

    async def connected(*, trading: bool) -> None:
        await connect(trading=trading)
        await refresh()

    adapter.connect = connected


def no_limits(adapter: Any) -> None:
    """From twenty orders in a second on."""
    times: list[float] = []

    async def unlimited(*asked: Any, **more: Any) -> None: ...

    class Burst(Wrapped):
        async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
            now = asyncio.get_running_loop().time()
            times.append(now)
            if sum(1 for one in times if one > now - 1.0) == 20:
                adapter.http.limiter.acquire = unlimited
                reads = [adapter.http.timestamp() for _ in range(400)]
                await asyncio.gather(*reads, return_exceptions=True)
            found: list[Outcome] = await self.sound.submit(intents)
            return found

    adapter.orders = Burst(adapter.orders)


def tells_its_key(adapter: Any) -> None:
    secrets = adapter.card_context.secrets
    if secrets:
        logging.getLogger("mutant").debug("key %s", next(iter(secrets.values())).reveal())


def odd_header(adapter: Any) -> None:
    """One that only a real client refuses."""

    class Transport(Wrapped):
        async def request(self, request: Any) -> Any:
            headers = {**request.headers, "x-note": "two\nlines"}
            return await self.sound.request(msgspec.structs.replace(request, headers=headers))

    adapter.http._transport = Transport(adapter.http._transport)


MUTANTS: dict[str, tuple[str, Plant | Kind]] = {  # the fault -> the card that must fail, it alone
    "a lost answer is a rejection": ("orders.lost-answer", orders(LostIsRejected)),
    "a lost create is sent again": ("orders.lost-answer", orders(LostIsSentAgain)),
    "a slow answer is a rejection": ("orders.slow-answer", orders(SlowIsRejected)),
    "a refusal is unknown": ("orders.rejected", orders(RefusedIsUnknown)),
    "a limit sell is a tick off": (
        "orders.limit",
        orders(of_kind(Kind.LIMIT, price=_sell_a_tick_off)),
    ),
    "market orders are turned": (
        "orders.market",
        orders(of_kind(Kind.MARKET, side=_other)),
    ),
    "a stop has another trigger": ("orders.stop-limit", orders(of_kind(Kind.STOP_LIMIT, **OFF))),
    "an if-touched has another trigger": (
        "orders.limit-if-touched",
        orders(of_kind(Kind.LIMIT_IF_TOUCHED, **OFF)),
    ),
    "a trailing stop is turned": (
        "orders.trailing-stop",
        orders(of_kind(Kind.TRAILING_STOP_MARKET, side=_other)),
    ),
    "a stop of a bracket has another trigger": (
        "orders.bracket",
        orders(of_kind(Kind.STOP_LIMIT, **OFF)),
    ),
    "a polled price is a tick off": ("data.ticker", polled),
    "claims stop-market": ("orders.stop-market", Kind.STOP_MARKET),
    "claims market-if-touched": ("orders.market-if-touched", Kind.MARKET_IF_TOUCHED),
    "IOC is FOK": ("orders.ioc", orders(asked(_rests))),
    "FOK is IOC": ("orders.fok", orders(asked(_never_rests))),
    "post-only is forgotten": ("orders.post-only", orders(asked(_takes))),
    "a replacement has another price": ("orders.replace", orders(ReplacesAtTheOldPrice)),
    "executions have another price": ("orders.fills", private(ExecutionsAtAnotherPrice)),
    "a part is taken for the whole": ("orders.partial", orders(PartIsWhole)),
    "a filled order is cancelled": ("orders.cancel-race", orders(FilledIsCancelled)),
    "a lost cancel is taken for one": ("orders.cancel-lost", orders(CancelLostIsCancelled)),
    "another least quantity": ("data.instruments", wrong_minimum),
    "levels that go are kept": ("data.book", public(LosesDeletes)),
    "gaps are ignored": ("data.gap", public(IgnoresGaps)),
    "a book outlives its connection": ("data.reconnect", public(KeepsOnClose)),
    "trades are told twice": ("data.trades", public(TellsTradesTwice)),
    "times are microseconds": ("data.times", public(TellsMicroseconds)),
    "a history is newest first": ("data.histories", history_backwards),
    "what a dead process sent is absent": ("restart.death", orders(ForgetsTheDead)),
    "no limits in a burst": ("limits.budget", no_limits),
    "429 is sent again": ("limits.429", orders(LimitedIsSentAgain)),
    "the key is logged": ("secrets.nowhere", tells_its_key),
    "a frame without its key": ("parsers.public", public(RaisesKeyError)),
    "a private frame without its key": ("parsers.private", private(RaisesKeyError)),
    "a bad answer escapes": ("parsers.answers", orders(BadAnswerEscapes)),
    "a header of two lines": ("loopback.sockets", odd_header),
}
