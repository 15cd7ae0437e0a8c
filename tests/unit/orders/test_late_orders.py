"""An order that was given up and came after all: NautilusTrader's position is the venue's."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.common import Environment, LoggerConfig
from nautilus_trader.config import DataClientConfig, ExecutionClientConfig
from nautilus_trader.live import LiveExecutionEngineConfig, LiveNode
from nautilus_trader.live.clients import DataClientFactory, MarketDataClient
from nautilus_trader.model import AccountType, OrderSide, StrategyId, TraderId
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.adapters.base import translate
from fairlead.adapters.base.apart import Apart
from fairlead.adapters.base.commands import Commands
from fairlead.adapters.base.execution_client import VenueExecutionClient, make_execution_factory
from fairlead.adapters.base.venue import VenueInstrument
from fairlead.engine.orders.desk import DeskSettings, OrderDesk
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import (
    Accepted,
    Capabilities,
    Finding,
    Found,
    Intent,
    Kind,
    OrderState,
    Outcome,
    Tif,
    Unknown,
    Unsure,
    VenueFill,
    VenueOrder,
)
from fairlead.engine.run.takeover import Claiming
from tests.support.approving import ApproveAll, approved
from tests.support.patience import PATIENCE_SECS, over
from tests.unit.nautilus_harness import IID, VENUE, pair, px, qty
from tests.unit.orders.conftest import Bench, ScriptedVenue, intent, venue_order

LATE_ID = "V9"
OWNER = "Buyer-1"
KEPT = Decimal("0.999")  # of what is bought: the fee is in base


class _Instruments(MarketDataClient):
    async def _connect(self) -> None:
        self._handle_instrument(pair())

    async def _disconnect(self) -> None: ...


class _InstrumentsFactory(DataClientFactory):
    @staticmethod
    def create(*, name: str, config: Any, cache: Any, clock: Any) -> _Instruments:
        return _Instruments(name=name, config=config, cache=cache, clock=clock, venue=VENUE)


class _Trading:
    """One account of the scripted venue; whatever else a live run has is left out."""

    venue = "TEST"
    account = "main"
    account_type = AccountType.CASH
    approvals = ApproveAll()

    def __init__(self, journal: Journal, orders: ScriptedVenue) -> None:
        self.journal = journal
        self.orders = orders
        self.instruments: Mapping[str, VenueInstrument] = {
            str(IID): VenueInstrument(
                id=str(IID),
                nautilus=pair(),
                symbol="btcusdt",
                base="BTC",
                quote="USDT",
                price_precision=2,
                size_precision=6,
            )
        }
        self.findings: list[str] = []
        self.failures: list[str] = []
        self.commands = Commands()
        self.apart = Apart(journal)
        self.apart.on_order = self._is_apart
        self.apart.on_filled = self._counted
        self.whose: dict[str, str] = {}  # by the id that NautilusTrader has
        self.counted: dict[str, Decimal] = {}  # by strategy, of those: as the gate is told
        self.client: VenueExecutionClient | None = None
        self.desk: OrderDesk | None = None
        self.is_told = False
        self.recover_secs: float = PATIENCE_SECS

    def now_ns(self) -> int:
        return 1_767_225_600_000_000_000

    def _is_apart(self, name: str, strategy: str) -> None:
        self.whose[name] = strategy

    def _counted(self, strategy: str, fill: VenueFill) -> None:
        self.counted[strategy] = self.counted.get(strategy, Decimal(0)) + fill.quantity

    def position_tolerance(self) -> Decimal:
        return Decimal(0)

    def balances_begin(self) -> None:
        pass

    def make_desk(self, sink: VenueExecutionClient) -> OrderDesk:
        self.client = sink
        self.desk = OrderDesk(
            venue=self.orders,
            journal=self.journal,
            sink=sink,
            capabilities=Capabilities(
                kinds=frozenset(Kind),
                time_in_force=frozenset(Tif),
                batch_submit_max=10,
                batch_cancel_max=10,
                batch_query_max=50,
                max_order_lag_secs=0.0,
            ),
            settings=DeskSettings(
                absent_quarantine_secs=0.0, unknown_query_secs=(0.01,), poll_secs=0.05
            ),
            base_currency=lambda _: "BTC",
            now_ns=self.now_ns,
        )
        return self.desk

    async def connect(self, desk: OrderDesk) -> None:
        desk.adopt_journal()
        await desk.recover(self.recover_secs)

    async def disconnect(self, desk: OrderDesk) -> None:
        await desk.stop(cancel_open=False)

    def told(self) -> None:
        self.apart.start(lambda: None, lambda _: True)
        self.is_told = True

    def externals(self) -> Sequence[VenueOrder]:
        return ()

    def found(self, finding: Finding) -> None:
        self.findings.append(finding.code)

    def order_sent(self, intent: Intent) -> None: ...

    def order_over(self, client_order_id: str) -> None: ...

    def fatal(self, code: str, message: str) -> None:
        self.failures.append(f"{code}: {message}")


class _Buyer(Strategy):
    def on_start(self) -> None:
        order = self.order_factory.limit(IID, OrderSide.BUY, qty(0.5), px(100.0))
        self.submit_order(order)


class _Heir(Strategy):
    """Sends nothing, and writes down what it hears of what an earlier run sent."""

    heard: list[tuple[str, Decimal]]

    def on_order_filled(self, event: Any) -> None:
        self.heard.append((str(event.client_order_id), event.last_qty.as_decimal()))


class _HearingBuyer(_Heir):
    on_start = _Buyer.on_start


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "journal.sqlite")
    yield made
    assert made.journal is not None
    made.journal.close()


@pytest.fixture(params=[AccountType.CASH, AccountType.MARGIN], ids=lambda kind: kind.name)
def trading(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[_Trading]:
    venue = ScriptedVenue()
    venue.answer = lambda _: Unknown("the answer was lost")
    journal = Journal(tmp_path / "journal.sqlite", fsync=False, now_ns=lambda: 1)
    made = _Trading(journal, venue)
    made.account_type = request.param
    yield made
    journal.close()


async def _until(what: Callable[[], bool], which: str) -> None:
    async with asyncio.timeout(PATIENCE_SECS):
        while not what():
            await asyncio.sleep(0.01)
    assert what(), which


def _run(
    trading: _Trading,
    then: Callable[[Any], Any],
    first: str = "REJECTED",
    strategy: type[Strategy] = _Buyer,
    heard: list[tuple[str, Decimal]] | None = None,
    claimant: str | None = OWNER,
) -> tuple[list[Any], Decimal]:
    """A node whose strategy buys; `then` runs once the order is rejected, or `first`.

    Of an heir, once NautilusTrader is told what the journal holds; `heard` gets what it hears.
    `claimant` is the strategy that has the instrument's orders; a second one where it is another.

    Gives every order as (status, client order id, strategy id), and the position.
    """
    builder = (
        LiveNode.builder("TEST", TraderId("TESTER-001"), Environment.LIVE)
        .with_logging(LoggerConfig(bypass_logging=True))
        .with_delay_post_stop_secs(0)
        .with_timeout_connection(60)
        .with_exec_engine_config(LiveExecutionEngineConfig(reconciliation_startup_delay_secs=0.0))
        .add_data_client("TEST", _InstrumentsFactory(), DataClientConfig())
        .add_exec_client("TEST", make_execution_factory(trading), ExecutionClientConfig())
    )
    gc.collect()  # a node of an earlier test
    node = builder.build()
    cache = node.cache
    strategies: list[Any] = []
    for name in dict.fromkeys((OWNER, claimant or OWNER)):
        made: Any = (strategy if name == OWNER else _Heir)(
            StrategyConfig(strategy_id=StrategyId(name))
        )
        made.heard = heard if heard is not None and name == OWNER else []
        node.add_strategy(made)
        strategies.append(made)
    claimed = {str(one.strategy_id): [] for one in strategies} | (
        {claimant: [IID]} if claimant else {}
    )
    trading.apart.claims = Claiming(strategies, claimed)
    handle = node.handle()

    async def main() -> None:
        running = asyncio.ensure_future(node.run_async())
        try:
            if strategy is _Heir:
                await _until(lambda: trading.is_told, "the mass status")
            else:
                await _until(lambda: _statuses(cache) == [first], first)
            await then(cache)
        finally:
            handle.stop()
            await over(running)

    asyncio.run(main())
    trading.client = trading.desk = None  # they hold the node
    orders = [(o.status.name, str(o.client_order_id), str(o.strategy_id)) for o in cache.orders()]
    return sorted(orders), _position(cache)


def _statuses(cache: Any) -> list[str]:
    return sorted(order.status.name for order in cache.orders())


def _position(cache: Any) -> Decimal:
    return sum((p.quantity.as_decimal() for p in cache.positions_open()), Decimal(0))


def _shows(trading: _Trading, name: str = LATE_ID, **changes: Any) -> VenueOrder:
    """From now on the venue has the order."""
    shown = venue_order(name, instrument=str(IID), **changes)
    trading.orders.book[name] = shown
    trading.orders.look = lambda _: Found(shown)
    return shown


def test_a_late_execution_moves_the_position(trading: _Trading) -> None:
    async def then(cache: Any) -> None:
        assert trading.desk is not None
        _shows(trading, state=OrderState.FILLED, filled=Decimal("0.5"), avg_price=Decimal(99))
        await trading.desk.look_for_late()
        await _until(lambda: _position(cache) > 0, "the position")

        assert trading.client is not None
        assert trading.client.account_type == trading.account_type
        account = cache.account(trading.client.account_id)
        assert account.account_type == trading.account_type

    orders, position = _run(trading, then)
    assert trading.findings == ["ORDER-LATE"]
    assert position == Decimal("0.5") * KEPT
    assert trading.journal.positions()[0].quantity == position
    late, given_up = orders
    assert late == ("FILLED", LATE_ID, "Buyer-1")
    assert given_up[0] == "REJECTED"
    assert trading.failures == []


CLAIMANTS = [OWNER, "Other-2", None]


@pytest.mark.parametrize("claimant", CLAIMANTS)
@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_late_order_is_of_the_strategy_that_sent_it(
    trading: _Trading, claimant: str | None, is_restarted: bool
) -> None:
    """Whoever has the instrument's orders in NautilusTrader, and where nobody has them."""
    name = "A" if is_restarted else LATE_ID
    heard: list[tuple[str, Decimal]] = []
    if is_restarted:
        _left_behind(trading)

    async def then(cache: Any) -> None:
        assert trading.desk is not None
        assert trading.client is not None
        _shows(trading, filled=Decimal("0.1"), avg_price=Decimal(100))
        await trading.desk.look_for_late()
        await _until(lambda: bool(heard), "the first part")
        trading.client._look_at_kills()
        _shows(trading, filled=Decimal("0.3"), avg_price=Decimal(100), state=OrderState.CANCELED)
        await _until(lambda: len(heard) == 2, "the second")

    kind = _Heir if is_restarted else _HearingBuyer
    orders, position = _run(trading, then, strategy=kind, heard=heard, claimant=claimant)
    assert heard == [(name, Decimal("0.1")), (name, Decimal("0.2"))]
    assert ("CANCELED", name, OWNER) in orders
    assert position == Decimal("0.3") * KEPT
    assert trading.whose == {name: OWNER}
    assert trading.counted == {OWNER: Decimal("0.3")}
    assert trading.failures == []


LONG_IDS = [
    "order-6f1b2c3d-0000-4c3e-8d7a-9f00aa00bb01",
    "6f1b2c3d-0000-4c3e-8d7a-9f00aa00bb01",
    "é1",
]


@pytest.mark.parametrize("name", LONG_IDS)
def test_an_execution_s_id_may_be_longer_than_nautilus_trader_takes(
    trading: _Trading, name: str
) -> None:
    """And is the same in the reports of a restart: nothing is booked twice."""
    shown = venue_order(
        name,
        instrument=str(IID),
        state=OrderState.FILLED,
        filled=Decimal("0.5"),
        avg_price=Decimal(99),
    )
    trading.orders.answer = lambda _: Accepted(name, shown)
    told: list[Any] = []

    async def then(cache: Any) -> None:
        (order,) = cache.orders()
        told.extend(order.trade_ids)

    orders, _ = _run(trading, then, first="FILLED")
    assert trading.failures == []
    (fill,) = trading.journal.fills_of(orders[0][1])
    assert fill.trade_id == f"{name}-0.5", "the journal has it whole"
    facts = trading.instruments[str(IID)]
    report = translate.fill_report(fill, Kind.LIMIT, "TEST-main", facts)
    assert told == [report.trade_id]


@pytest.mark.parametrize("name", LONG_IDS)
def test_a_late_order_s_id_may_be_long_too(trading: _Trading, name: str) -> None:
    async def then(cache: Any) -> None:
        assert trading.desk is not None
        _shows(trading, name, state=OrderState.FILLED, filled=Decimal("0.5"), avg_price=Decimal(99))
        await trading.desk.look_for_late()
        await _until(lambda: _position(cache) > 0, "the position")

    _, position = _run(trading, then)
    assert position == Decimal("0.5") * KEPT
    assert trading.failures == []


def test_a_late_order_that_is_filled_bit_by_bit_and_cancelled(trading: _Trading) -> None:
    async def then(cache: Any) -> None:
        assert trading.desk is not None
        _shows(trading, filled=Decimal("0.1"), avg_price=Decimal(100))
        await trading.desk.look_for_late()
        await _until(lambda: _position(cache) == Decimal("0.1") * KEPT, "the first part")
        _shows(trading, filled=Decimal("0.3"), avg_price=Decimal(100), state=OrderState.CANCELED)
        await _until(lambda: "CANCELED" in _statuses(cache), "the end")

    orders, position = _run(trading, then)
    assert position == Decimal("0.3") * KEPT
    assert [status for status, _, _ in orders] == ["CANCELED", "REJECTED"]
    assert trading.orders.cancels, "what rests of a late order is cancelled"


def test_a_late_order_without_executions_is_only_cancelled(trading: _Trading) -> None:
    async def then(cache: Any) -> None:
        assert trading.desk is not None
        _shows(trading)
        await trading.desk.look_for_late()
        await _until(lambda: bool(trading.orders.cancels), "its cancel")
        _shows(trading, state=OrderState.CANCELED)
        await _until(lambda: not trading.desk.live_orders(), "the end")

    orders, position = _run(trading, then)
    assert [status for status, _, _ in orders] == ["REJECTED"]
    assert position == 0


# -- of an earlier run, and given up before this one's node knew of it ----------------------------


def _left_behind(trading: _Trading) -> None:
    """The process died while the order's answer was out, and the venue does not show it."""
    trading.journal.intend([intent("A", strategy="Buyer-1", instrument=str(IID))])


async def _comes(trading: _Trading, **changes: Any) -> None:
    """It was given up in the recovery; the venue shows it now."""
    desk = trading.desk
    assert desk is not None
    assert [one.intent.client_order_id for one in desk.given_up()] == ["A"]
    _shows(trading, avg_price=Decimal(99), **changes)
    await desk.look_for_late()


@pytest.mark.parametrize(
    ("state", "filled"), [(OrderState.FILLED, "0.5"), (OrderState.CANCELED, "0.2")]
)
def test_one_of_an_earlier_run_that_comes_late_and_is_over_moves_the_position(
    trading: _Trading, state: OrderState, filled: str
) -> None:
    """A fill-or-kill order is never seen open: the strategy hears of what it has executed."""
    _left_behind(trading)
    heard: list[tuple[str, Decimal]] = []

    async def then(cache: Any) -> None:
        assert _statuses(cache) == []
        await _comes(trading, state=state, filled=Decimal(filled))
        await _until(lambda: _position(cache) > 0, "the position")
        await _until(lambda: bool(heard), "the strategy")

    orders, position = _run(trading, then, strategy=_Heir, heard=heard)
    assert orders == [(state.value, "A", "Buyer-1")]
    assert heard == [("A", Decimal(filled))]
    assert position == Decimal(filled) * KEPT
    assert trading.journal.positions()[0].quantity == position
    assert (trading.findings, trading.failures) == (["ORDER-LATE"], [])


def test_one_of_an_earlier_run_that_is_still_open_goes_on_under_its_own_id(
    trading: _Trading,
) -> None:
    """A report tells of it, so that nothing of it is told again when it ends."""
    _left_behind(trading)
    heard: list[tuple[str, Decimal]] = []

    async def then(cache: Any) -> None:
        await _comes(trading, filled=Decimal("0.1"))
        await _until(lambda: _position(cache) == Decimal("0.1") * KEPT, "the first part")
        _shows(trading, filled=Decimal("0.3"), avg_price=Decimal(99), state=OrderState.CANCELED)
        await _until(lambda: _statuses(cache) == ["CANCELED"], "the end")

    orders, position = _run(trading, then, strategy=_Heir, heard=heard)
    assert orders == [("CANCELED", "A", "Buyer-1")]
    assert heard == [("A", Decimal("0.1")), ("A", Decimal("0.2"))]
    assert position == Decimal("0.3") * KEPT
    assert trading.journal.positions()[0].quantity == position
    assert trading.failures == []


def test_one_of_an_earlier_run_that_ends_while_its_report_is_under_way_counts_once(
    trading: _Trading,
) -> None:
    _left_behind(trading)

    async def then(cache: Any) -> None:
        await _comes(trading, filled=Decimal("0.1"))
        assert _statuses(cache) == [], "NautilusTrader has not handled the report yet"
        assert trading.desk is not None
        shown = _shows(
            trading, filled=Decimal("0.3"), avg_price=Decimal(99), state=OrderState.CANCELED
        )
        trading.desk.pushed_order(shown, None)
        await _until(lambda: _statuses(cache) == ["CANCELED"], "the end")

    orders, position = _run(trading, then, strategy=_Heir)
    assert [name for _, name, _ in orders] == ["A"]
    assert position == Decimal("0.3") * KEPT
    assert trading.journal.positions()[0].quantity == position
    assert trading.failures == []


@pytest.mark.parametrize(
    ("state", "filled"),
    [(OrderState.FILLED, "0.5"), (OrderState.CANCELED, "0.2"), (OrderState.CANCELED, "0")],
)
def test_one_of_an_earlier_run_that_is_found_over_is_told_whole(
    trading: _Trading, state: OrderState, filled: str
) -> None:
    """Looked for while the node runs: it is accepted and over in one turn of the loop."""
    trading.recover_secs = 0.0
    trading.orders.look = lambda _: Unsure("the list can't be read")
    _left_behind(trading)
    heard: list[tuple[str, Decimal]] = []

    async def then(cache: Any) -> None:
        _shows(trading, state=state, filled=Decimal(filled), avg_price=Decimal(99))
        await _until(lambda: _statuses(cache) == [state.value], "the end")

    orders, position = _run(trading, then, strategy=_Heir, heard=heard)
    assert orders == [(state.value, "A", "Buyer-1")]
    assert (
        sum((size for _, size in heard), Decimal(0))
        == Decimal(filled)
        == sum((one.quantity for one in trading.journal.fills_of("A")), Decimal(0))
    )
    assert position == Decimal(filled) * KEPT
    assert (trading.findings, trading.failures) == ([], [])


def test_one_of_an_earlier_run_that_came_to_nothing_is_not_told(trading: _Trading) -> None:
    _left_behind(trading)
    heard: list[tuple[str, Decimal]] = []

    async def then(cache: Any) -> None:
        await _comes(trading, state=OrderState.CANCELED)
        assert trading.desk is not None
        assert not trading.desk.live_orders()

    assert _run(trading, then, strategy=_Heir, heard=heard) == ([], Decimal(0))
    assert heard == []
    assert (trading.findings, trading.failures) == (["ORDER-LATE"], [])


def test_an_order_sent_since_with_the_same_fields_is_not_taken_for_the_late_one(
    bench: Bench,
) -> None:
    """The venue has it already, and its answer has not come: nothing tells the two apart."""
    assert bench.journal is not None
    shown = venue_order(LATE_ID)

    async def until_given_up() -> None:
        await bench.desk.submit(approved(intent("A")))
        while bench.desk.unresolved():
            await asyncio.sleep(1)

    async def while_the_second_is_in_flight(asked: list[Intent]) -> list[Outcome]:
        bench.venue.look = lambda _: Found(shown)
        late = await bench.desk.look_for_late()
        assert late.found == 0
        return [Accepted(LATE_ID, shown)]

    bench.venue.answer = lambda _: Unknown("the answer was lost")
    bench.run(until_given_up())
    bench.venue.submit = while_the_second_is_in_flight  # type: ignore[assignment]
    bench.run(bench.desk.submit(approved(intent("B"))))
    assert bench.run(bench.desk.look_for_late()).found == 0, "it is known as another's now"
    assert bench.sink.names().count("finding") == 0
    assert [o.intent.client_order_id for o in bench.desk.live_orders()] == ["B"]
    other = venue_order("V10")
    bench.venue.look = lambda _: Found(other)
    assert bench.run(bench.desk.look_for_late()).found == 1
