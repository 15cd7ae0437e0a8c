"""Orders and the adapter against the simulated venue, in memory, in both dialects."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.venue import AdapterContext, VenueError, VenueErrorKind
from fairlead.adapters.simulation.memory import InMemoryHttp
from fairlead.adapters.zerocap import schemas as s
from fairlead.adapters.zerocap.config import ZerocapMarket, ZerocapOptions
from fairlead.adapters.zerocap.orders import is_echo
from fairlead.adapters.zerocap.simulator import ZerocapSimOptions, ZerocapSimulator
from fairlead.adapters.zerocap.venue import ZerocapAdapter
from fairlead.adapters.zerocap.websocket import PriceStream
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    CancelRefused,
    Found,
    Intent,
    Kind,
    OrderRef,
    OrderState,
    Refused,
    Side,
    Tif,
    TriggerCondition,
    Unknown,
    Unsure,
    VenueUnavailable,
)
from fairlead.engine.secrets import Secret

D = Decimal
USDT = "USDT_AUD.ZEROCAP"
CID = "e7f80d34-0d80-4256-9de3-cd37310a55da"
NONE: frozenset[str] = frozenset()
BOTH = pytest.mark.parametrize("dialect", ["A", "C"])
CREATE = "/v2/orders/create_order"
MARKETS = (
    ZerocapMarket(symbol="USDT/AUD", price_precision=4, quantity_precision=2, min_quantity=D(1)),
)
HELD = {"USDT": D(100_000), "AUD": D(150_000)}


class Desk:
    """An adapter and the venue that it talks to."""

    def __init__(self, dialect: Any, sim: dict[str, Any] | None = None, **options: Any) -> None:
        settings = ZerocapSimOptions(**{"is_market_live": False, **(sim or {})})
        self.sim = ZerocapSimulator(now_ns=time.time_ns(), seed=7, options=settings)
        self.adapter = ZerocapAdapter(context(self.sim, dialect, **options))

    async def connected(self) -> Desk:
        await self.adapter.connect(trading=True)
        return self

    @property
    def orders(self) -> Any:
        return self.adapter.orders

    def shown(self) -> None:
        """The ladder of USDT/AUD comes in, as by the price stream."""
        stream = self.adapter.market_data.public_stream()
        assert isinstance(stream, PriceStream)
        from fairlead.adapters.base.venue import Feed, FeedKind

        stream.subscribe(Feed(FeedKind.BOOK, USDT))
        list(stream.received(self.sim.push.frame("USDT/AUD", "C"), time.time_ns()))


def context(sim: ZerocapSimulator, dialect: Any, secrets: Any = None, **options: Any) -> Any:
    told: Any = sim.describe("http://venue", "ws://venue")
    named = told["credentials"] if secrets is None else secrets
    began = datetime.fromtimestamp(sim.started_ns / 1e9, UTC)
    made: dict[str, Any] = {"markets": MARKETS, "balances": HELD, "balances_at": began}
    if dialect == "C":
        made = {}
    return AdapterContext(
        venue="ZEROCAP",
        options=ZerocapOptions(
            dialect=dialect, http_url=told["rest"], ws_url=told["ws"], **(made | options)
        ),
        secrets={name: Secret(text, f"test:{name}") for name, text in named.items()},
        http=InMemoryHttp(sim, time.time_ns),
        now_ns=time.time_ns,
        instruments=(USDT,),
        reads=ReadLimits(tries_max=1),
    )


def intent(**fields: Any) -> Intent:
    base: dict[str, Any] = {
        "client_order_id": CID,
        "strategy": "S-1",
        "instrument": USDT,
        "side": Side.BUY,
        "kind": Kind.LIMIT,
        "quantity": D(100),
        "price": D("1.9"),
        "time_in_force": Tif.FOK,
    }
    return Intent(**(base | fields))


def ref(order_id: str) -> OrderRef:
    return OrderRef(instrument=USDT, client_order_id=CID, venue_order_id=order_id)


async def sent(desk: Desk, order: Intent) -> Any:
    (outcome,) = await desk.orders.submit([order])
    return outcome


# -- submit ----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("suffix", ["", "be"])
@pytest.mark.parametrize(
    ("side", "price"), [(Side.BUY, D("1.9")), (Side.SELL, D("0.9")), (Side.BUY, None)]
)
async def test_an_order_is_done_with_its_answer(
    dialect: Any, suffix: str, side: Side, price: Decimal | None
) -> None:
    desk = await Desk(dialect, {"id_suffix": suffix}).connected()
    desk.shown()
    kind = Kind.LIMIT if price else Kind.MARKET
    outcome = await sent(desk, intent(side=side, price=price, kind=kind))
    assert isinstance(outcome, Accepted), outcome
    order = outcome.order
    assert order is not None
    assert (order.state, order.filled, order.kind) == (OrderState.FILLED, 100, kind)
    assert (order.client_order_id, order.price) == (CID, price)
    (truth,) = desk.sim.exchange.ledger.fills("main")
    assert order.avg_price == truth.price
    (fill,) = await desk.orders.fills([ref(order.venue_order_id)], 0)
    assert (fill.price, fill.quantity, fill.fee) == (truth.price, truth.quantity, 0)
    assert fill.fee_currency == "AUD"


@BOTH
async def test_a_fetched_fill_is_the_answer_s(dialect: Any) -> None:
    """In dialect C the fetched trade has the order's limit for its price."""
    desk = await Desk(dialect).connected()
    outcome = await sent(desk, intent())
    (told,) = await desk.orders.fills([ref(outcome.venue_order_id)], 0)
    restarted = ZerocapAdapter(context(desk.sim, dialect))
    await restarted.connect(trading=True)
    (fetched,) = await restarted.orders.fills([ref(outcome.venue_order_id)], 0)
    same = msgspec.structs.replace(fetched, client_order_id=told.client_order_id)
    assert same == told


@BOTH
async def test_a_limit_that_is_rejected_was_killed(dialect: Any) -> None:
    """As a simulated exchange has it: accepted, and cancelled."""
    desk = await Desk(dialect).connected()
    outcome = await sent(desk, intent(price=D("0.9")))
    assert isinstance(outcome, Accepted)
    assert outcome.order is not None
    assert (outcome.order.state, outcome.order.filled) == (OrderState.CANCELED, 0)
    malformed = await sent(desk, intent(client_order_id="a b"))
    assert isinstance(malformed, Refused)
    assert malformed.code == "ZEROCAP-422"


async def test_a_market_order_that_is_rejected_is_refused() -> None:
    desk = await Desk("A").connected()
    outcome = await sent(desk, intent(kind=Kind.MARKET, price=None, quantity=D(60_000)))
    assert isinstance(outcome, Refused)
    assert outcome.code == "ZEROCAP-REJECTED"


@BOTH
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"time_in_force": Tif.GTC}, "time in force GTC"),
        ({"time_in_force": Tif.IOC}, "time in force IOC"),
        ({"post_only": True}, "post-only"),
        ({"kind": Kind.STOP_LIMIT, "trigger_price": D(1), "trigger_condition":
          TriggerCondition.GTE}, "STOP_LIMIT"),
        ({"kind": Kind.LIMIT_IF_TOUCHED, "trigger_price": D(1), "trigger_condition":
          TriggerCondition.LTE}, "LIMIT_IF_TOUCHED"),
        ({"instrument": "NO_NE.ZEROCAP"}, "no market"),
        ({"price": None}, "no price"),
    ],
)  # fmt: skip
async def test_what_the_venue_can_not_do_is_refused_by_name_and_not_sent(
    dialect: Any, fields: dict[str, Any], words: str
) -> None:
    desk = await Desk(dialect).connected()
    outcome = await sent(desk, intent(**fields))
    assert isinstance(outcome, Refused)
    assert words in outcome.message
    assert desk.sim.deals == {}


async def test_a_market_order_of_dialect_c_is_a_limit_at_its_tier_and_no_more() -> None:
    market = intent(kind=Kind.MARKET, price=None, time_in_force=Tif.GTC)
    desk = await Desk("C", market_slippage=D("0.01")).connected()
    outcome = await sent(desk, market)
    assert isinstance(outcome, Refused)
    assert outcome.code == "ZEROCAP-NO-LADDER"
    assert desk.sim.deals == {}
    desk.shown()
    await sent(desk, market)
    (deal,) = desk.sim.deals.values()
    tier = desk.sim.ladders(desk.sim.markets["USDT/AUD"])[1][0].price
    assert tier < deal.price <= tier * D("1.01") + D("0.0001")
    assert deal.average == tier
    too_large = await sent(desk, intent(kind=Kind.MARKET, price=None, quantity=D(60_000)))
    assert isinstance(too_large, Refused)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"clientOrderId": "another"}, Unknown),
        ({"side": "sell"}, Unknown),
        ({"amount": "99", "filled": "99", "trades": []}, Unknown),
        ({"id": ""}, Unknown),
        ({"status": "gone"}, Accepted),  # it has an id: a query tells the rest
        ({"trades": [{"id": "t", "amount": "7", "price": "NaN"}]}, Unknown),
    ],
)
async def test_an_answer_that_does_not_fit_proves_nothing(
    change: dict[str, Any], kind: type
) -> None:
    desk = await Desk("A").connected()
    row = {
        "id": "o1", "clientOrderId": CID, "status": "closed", "symbol": "USDT/AUD",
        "type": "Limit", "side": "buy", "price": "1.9", "amount": "100", "filled": "100",
        "average": "1.5", "trades": [],
    }  # fmt: skip

    async def answer(order: Any) -> s.OrderRow:
        from fairlead.adapters.base.venue import ParseError
        from fairlead.adapters.zerocap import parse

        try:
            return parse.Reader(s.OrderRow)(json.dumps(row | change).encode())
        except ParseError as e:
            raise VenueError(VenueErrorKind.UNKNOWN, "ZEROCAP-BAD-ANSWER", str(e)) from e

    desk.adapter.http.create_order = answer  # type: ignore[method-assign]
    assert isinstance(await sent(desk, intent()), kind)


# -- lost answers ----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("suffix", ["", "be"])
@pytest.mark.parametrize("price", [D("1.9"), D("0.9")])
async def test_a_lost_answer_is_found_by_client_order_id_and_never_sent_again(
    dialect: Any, suffix: str, price: Decimal
) -> None:
    desk = await Desk(dialect, {"id_suffix": suffix}).connected()
    desk.sim.faults.next("POST", CREATE, "lose_answer")
    ts_sent = time.time_ns()
    assert isinstance(await sent(desk, intent(price=price)), Unknown)
    assert len(desk.sim.deals) == 1
    found = await desk.orders.find(intent(price=price), NONE, ts_sent)
    assert isinstance(found, Found)
    expected = OrderState.FILLED if price > 1 else OrderState.CANCELED
    assert (found.order.state, found.order.client_order_id) == (expected, CID)
    known = frozenset({found.order.venue_order_id})
    assert isinstance(await desk.orders.find(intent(price=price), known, ts_sent), Absent)
    assert len(desk.sim.deals) == 1


@BOTH
async def test_a_request_that_never_arrived_is_absent(dialect: Any) -> None:
    desk = await Desk(dialect).connected()
    desk.sim.faults.next("POST", CREATE, "lose_request")
    ts_sent = time.time_ns()
    assert isinstance(await sent(desk, intent()), Unknown)
    assert isinstance(await desk.orders.find(intent(), NONE, ts_sent), Absent)


@BOTH
async def test_a_look_that_fails_is_unsure(dialect: Any) -> None:
    desk = await Desk(dialect).connected()
    desk.sim.faults.next("POST", "/v2/orders/fetch_orders", "unavailable")
    assert isinstance(await desk.orders.find(intent(), NONE, time.time_ns()), Unsure)


@BOTH
async def test_orders_of_one_id_are_told_apart_or_ambiguous(dialect: Any) -> None:
    desk = await Desk(dialect).connected()
    ts_sent = time.time_ns()
    for quantity in (D(100), D(200)):
        await sent(desk, intent(quantity=quantity))
    found = await desk.orders.find(intent(quantity=D(200)), NONE, ts_sent)
    assert isinstance(found, Found)
    assert found.order.quantity == 200
    await sent(desk, intent())
    unsure = await desk.orders.find(intent(), NONE, ts_sent)
    assert isinstance(unsure, Unsure)
    assert unsure.ambiguous
    assert len(unsure.candidates) == 2


def test_an_echo_can_be_longer_but_not_another() -> None:
    assert is_echo(CID, CID)
    assert is_echo(f"{CID}be", CID)
    assert not is_echo(CID[:-1], CID)
    assert not is_echo("", CID)
    assert not is_echo(f"{CID}-0000000000", CID)


@BOTH
async def test_the_list_is_read_page_by_page(dialect: Any) -> None:
    desk = await Desk(dialect).connected()
    ts_sent = time.time_ns()
    await sent(desk, intent())
    fetch = desk.adapter.http.fetch_orders
    pages: list[int] = []

    async def two(**params: Any) -> Any:
        pages.append(params["page"])
        return await fetch(**(params | {"limit": 2}))

    for number in range(4):
        await sent(desk, intent(client_order_id=f"c-{number}", quantity=D(1)))
    desk.adapter.http.fetch_orders = two  # type: ignore[method-assign]
    assert isinstance(await desk.orders.find(intent(), NONE, ts_sent), Found)
    assert pages == ([0, 1, 2] if dialect == "A" else [1, 2, 3])


# -- reads -----------------------------------------------------------------------------------------


@BOTH
async def test_states_are_read_by_id(dialect: Any) -> None:
    desk = await Desk(dialect).connected()
    outcome = await sent(desk, intent())
    (order,) = await desk.orders.orders([ref(outcome.venue_order_id), ref("none")])
    assert (order.state, order.client_order_id) == (OrderState.FILLED, CID)
    assert await desk.orders.open_orders([USDT]) == []
    desk.sim.faults.next("POST", "/v2/orders/fetch_orders", "unavailable")
    with pytest.raises(VenueUnavailable):
        await desk.orders.orders([ref(outcome.venue_order_id)])


@BOTH
async def test_nothing_can_be_cancelled_or_replaced(dialect: Any) -> None:
    desk = await Desk(dialect).connected()
    outcomes = await desk.orders.cancel([ref("a"), ref("b")])
    assert [type(outcome) for outcome in outcomes] == [CancelRefused] * 2
    assert isinstance(await desk.orders.replace(ref("a"), intent()), Refused)


@BOTH
async def test_balances_are_the_venue_s(dialect: Any) -> None:
    """Of the config and each execution once in dialect A; asked for in C."""
    desk = await Desk(dialect).connected()
    for number, side in enumerate((Side.BUY, Side.SELL, Side.BUY)):
        price = D("1.9") if side is Side.BUY else D("0.9")
        order = intent(side=side, price=price, client_order_id=f"c-{number}")
        outcome = await sent(desk, order)
        for _ in range(2):
            await desk.orders.fills([ref(outcome.venue_order_id)], 0)
    held = {balance.currency: balance.free for balance in await desk.orders.balances()}
    for currency in ("USDT", "AUD"):
        assert held[currency] == desk.sim.exchange.ledger.balance("main", currency).free


async def test_balances_of_a_moment_go_on_with_what_the_venue_has_executed_since() -> None:
    """Dialect A tells none: a second start, and a deal by hand, count as the first one's do."""
    desk = await Desk("A").connected()
    await sent(desk, intent(quantity=D(300)))
    desk.sim.deal_by_hand("USDT/AUD", Side.SELL, D(40))
    again = ZerocapAdapter(context(desk.sim, "A"))
    await again.connect(trading=True)
    for _ in range(2):
        held = {balance.currency: balance.free for balance in await again.orders.balances()}
        for currency in ("USDT", "AUD"):
            assert held[currency] == desk.sim.exchange.ledger.balance("main", currency).free
    later = datetime.fromtimestamp(desk.sim.started_ns / 1e9, UTC) + timedelta(hours=1)
    then = msgspec.structs.replace(
        context(desk.sim, "A", balances_at=later), now_ns=lambda: int(later.timestamp() * 1e9)
    )
    dated = ZerocapAdapter(then)
    await dated.connect(trading=True)
    assert {b.currency: b.free for b in await dated.orders.balances()} == HELD
    desk.sim.faults.next("POST", "/v2/orders/fetch_orders", "unavailable")
    with pytest.raises(VenueUnavailable):
        await again.orders.balances()


@pytest.mark.parametrize("missing", [{"balances": {}}, {"balances_at": None}])
async def test_without_dated_balances_dialect_a_is_not_traded(missing: dict[str, Any]) -> None:
    desk = Desk("A", **missing)
    await desk.adapter.connect(trading=False)
    with pytest.raises(VenueError, match="ZEROCAP-NO-BALANCES"):
        await desk.adapter.connect(trading=True)


async def test_balances_of_a_moment_to_come_are_refused() -> None:
    """What is executed until then was counted in no start, and named the venue's at the next."""
    desk = Desk("A", balances_at=datetime.now(UTC) + timedelta(hours=1))
    await desk.adapter.connect(trading=False)
    with pytest.raises(VenueError, match=r"ZEROCAP-BALANCES-AHEAD.*a time that has passed"):
        await desk.adapter.connect(trading=True)


async def test_an_account_type_that_is_not_there_is_told() -> None:
    desk = await Desk("C", balance_account="trading").connected()
    with pytest.raises(VenueUnavailable, match="custody, prime"):
        await desk.orders.balances()


# -- connecting ------------------------------------------------------------------------------------


@BOTH
async def test_instruments(dialect: Any) -> None:
    desk = await Desk(dialect).connected()
    facts = desk.adapter.instruments[USDT]
    assert (facts.symbol, facts.base, facts.quote, facts.tradable) == (
        *("USDT/AUD", "USDT", "AUD", True),
    )
    assert (facts.price_precision, facts.size_precision, facts.min_quantity) == (4, 2, 1)
    assert (facts.maker_fee, facts.taker_fee) == (0, 0)
    assert desk.orders.fee(USDT, Side.BUY, D(1), D(1)).amount == 0
    largest = facts.nautilus.max_quantity
    assert (largest is None) == (dialect == "A")
    assert desk.adapter.skipped == {}


async def test_the_config_s_word_on_a_market_counts() -> None:
    desk = await Desk("C", markets=MARKETS).connected()
    assert desk.adapter.instruments[USDT].nautilus.max_quantity is None
    assert "BTC_AUD.ZEROCAP" in desk.adapter.instruments


@pytest.mark.parametrize(
    ("dialect", "options", "code"),
    [
        ("A", {"markets": ()}, "ZEROCAP-NO-MARKETS"),
        ("A", {"markets": (ZerocapMarket(symbol="BTC/AUD", price_precision=2,
                                         quantity_precision=6),)}, "ZEROCAP-UNKNOWN-MARKET"),
    ],
)  # fmt: skip
async def test_a_config_that_can_not_work_is_told(
    dialect: Any, options: dict[str, Any], code: str
) -> None:
    with pytest.raises(VenueError) as caught:
        await Desk(dialect, **options).connected()
    assert caught.value.code == code


@BOTH
async def test_a_wrong_key_is_told_at_the_start(dialect: Any) -> None:
    desk = Desk(dialect)
    wrong = {"api_key": "coinroutes", "api_secret": "wrong"}
    adapter = ZerocapAdapter(context(desk.sim, dialect, wrong))
    with pytest.raises(VenueError) as caught:
        await adapter.connect(trading=True)
    assert caught.value.kind is VenueErrorKind.AUTH
    with pytest.raises(VenueError, match="api_secret"):
        ZerocapAdapter(context(desk.sim, dialect, {"api_key": "k"}))


async def test_a_clock_that_is_off_is_told_at_the_start() -> None:
    sim = ZerocapSimulator(
        now_ns=time.time_ns() + 20 * 10**9, options=ZerocapSimOptions(is_market_live=False)
    )
    ahead = context(sim, "C")
    late = InMemoryHttp(sim, lambda: time.time_ns() + 20 * 10**9)
    adapter = ZerocapAdapter(msgspec.structs.replace(ahead, http=late))
    with pytest.raises(VenueError) as caught:
        await adapter.connect(trading=True)
    assert caught.value.kind is VenueErrorKind.CLOCK


async def test_without_a_key_dialect_a_has_instruments_and_no_streams() -> None:
    desk = Desk("A")
    adapter = ZerocapAdapter(context(desk.sim, "A", {}))
    await adapter.connect(trading=False)
    assert adapter.private_stream() is None
    with pytest.raises(VenueError, match="credentials"):
        adapter.market_data.public_stream().handshake()  # type: ignore[attr-defined]


async def test_what_there_is_no_history_of_is_refused_by_name() -> None:
    data = Desk("A").adapter.market_data
    for call in (
        data.history_trades(USDT, None, None, 1),
        data.history_bars(f"{USDT}-1-MINUTE-LAST-EXTERNAL", None, None, 1),
        data.book_snapshot(USDT, 0),
    ):
        with pytest.raises(VenueError, match="the venue has no"):
            await call


# -- quotes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", list(Side))
async def test_a_quote_is_the_dealer_s_price_where_the_dialect_has_one(side: Side) -> None:
    sim = ZerocapSimulator(
        now_ns=time.time_ns(), seed=7, options=ZerocapSimOptions(is_market_live=False)
    )
    today = ZerocapAdapter(context(sim, "C"))
    await today.connect(trading=True)
    quoted = await today.request_quote(USDT, side, D(100))
    assert quoted is not None
    assert quoted.price == sim.price_of(sim.markets["USDT/AUD"], side, D(100))
    assert quoted.quote_id
    assert sim.deals == {}  # it binds nobody
    assert await today.request_quote("X_Y.ZEROCAP", side, D(100)) is None
    assert await today.request_quote(USDT, side, D(10) ** 12) is None  # refused
    old = ZerocapAdapter(context(sim, "A"))
    await old.connect(trading=True)
    assert await old.request_quote(USDT, side, D(100)) is None
