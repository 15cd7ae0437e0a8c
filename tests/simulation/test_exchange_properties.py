"""Whatever is asked of the exchange, money is conserved and the book keeps its order."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.simulation.exchange import Exchange, ExchangeListener, ExchangeOptions
from fairlead.adapters.simulation.ledger import FEE_ACCOUNT, MARKET_ACCOUNT
from fairlead.adapters.simulation.orders import (
    BalanceEntry,
    FeeSchedule,
    MarketSpec,
    NewOrder,
    OrderEntry,
    Status,
    Trade,
)
from fairlead.engine.orders.model import Side, Tif, TriggerCondition

D = Decimal
M = "btcusdt"
ACCOUNTS = ("alice", "bob")
DEPOSITS = {"USDT": D(5000), "BTC": D(30)}

prices = st.integers(950, 1050).map(lambda ticks: D(ticks) / 10)
sizes = st.integers(1, 400).map(lambda steps: D(steps) / 100)
sides = st.sampled_from(Side)
orders = st.builds(
    lambda side, quantity, price, trigger, tif, post_only: NewOrder(
        market=M,
        side=side,
        quantity=quantity,
        price=price,
        trigger_price=trigger and trigger[0],
        trigger_condition=trigger and trigger[1],
        time_in_force=tif,
        post_only=post_only,
    ),
    sides,
    sizes,
    st.one_of(st.none(), prices),
    st.one_of(st.none(), st.tuples(prices, st.sampled_from(TriggerCondition))),
    st.sampled_from(Tif),
    st.booleans(),
)
amounts = st.builds(lambda amount: NewOrder(market=M, side=Side.BUY, quote_amount=amount), prices)
actions = st.one_of(
    st.tuples(st.just("submit"), st.sampled_from(ACCOUNTS), st.one_of(orders, amounts)),
    st.tuples(st.just("cancel"), st.sampled_from(ACCOUNTS), st.integers(0, 40)),
    st.tuples(st.just("level"), sides, prices, st.one_of(st.just(D(0)), sizes)),
    st.tuples(st.just("sweep"), sides, sizes),
    st.tuples(st.just("print"), prices, sizes, sides),
)
fee_schedules = st.sampled_from(
    [
        FeeSchedule.per_side(D("0.001"), D("0.0005")),
        FeeSchedule.maker_taker(D("0.001"), D("0.002")),
        FeeSchedule.maker_taker(D("0.001"), D("0.002"), buyer_pays_base=False),
        FeeSchedule.maker_taker(D("0.003"), D("0.002"), buyer_pays_base=False),
    ]
)


class TapeOfMakers(ExchangeListener):
    def __init__(self) -> None:
        self.trades: list[Trade] = []

    def traded(self, trade: Trade) -> None:
        self.trades.append(trade)


def play(fees: FeeSchedule, settle_ns: int, script: list[tuple]) -> tuple[Exchange, list[Trade]]:
    spec = MarketSpec(
        id=M, base="BTC", quote="USDT", price_precision=1, size_precision=2, fees=fees
    )
    exchange = Exchange([spec], ExchangeOptions(settle_ns=settle_ns))
    heard = TapeOfMakers()
    exchange.listeners.append(heard)
    for account in ACCOUNTS:
        exchange.open_account(account)
        for currency, amount in DEPOSITS.items():
            exchange.adjust(account, currency, amount, D(0), "deposit", 0)
    for now_ns, (action, *rest) in enumerate(script, start=1):
        if action == "submit":
            exchange.submit(rest[0], rest[1], now_ns)
        elif action == "cancel":
            mine = exchange.orders(rest[0])
            if mine:
                exchange.cancel(rest[0], mine[rest[1] % len(mine)].id, now_ns)
        elif action == "level":
            set_level_uncrossed(exchange, rest[0], rest[1], rest[2], now_ns)
        elif action == "sweep":
            exchange.sweep(M, rest[0], rest[1], now_ns)
        else:
            exchange.print_trade(M, rest[0], rest[1], rest[2], now_ns)
        check_book(exchange)
    return exchange, heard.trades


def set_level_uncrossed(
    exchange: Exchange, side: Side, price: Decimal, size: Decimal, now_ns: int
) -> None:
    """A recording's own levels do not cross each other."""
    opposite = exchange.markets[M].book.opposite(side)
    for level in list(opposite):
        if size > 0 and level.background > 0 and opposite.is_within(level.price, price):
            exchange.set_level(M, opposite.side, level.price, D(0), now_ns)
    exchange.set_level(M, side, price, size, now_ns)


def check_book(exchange: Exchange) -> None:
    book = exchange.markets[M].book
    bids, asks = book.bids.levels(1000), book.asks.levels(1000)
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert all(size > 0 for _, size in bids + asks)
    if bids and asks:
        assert bids[0][0] < asks[0][0]
    for side in (book.bids, book.asks):
        for level in side:
            queue = [r.ahead for r in level.resting]
            assert queue == sorted(queue)
            assert all(0 <= ahead <= level.background for ahead in queue)
            ids = [r.order.id for r in level.resting if r.order.trigger_price is None]
            assert ids == sorted(ids), "earlier orders stand before later ones"


@settings(max_examples=150, deadline=None)
@given(fee_schedules, st.sampled_from([0, 3]), st.lists(actions, max_size=60))
def test_money_is_conserved_and_orders_add_up(
    fees: FeeSchedule, settle_ns: int, script: list[tuple]
) -> None:
    exchange, _ = play(fees, settle_ns, script)
    ledger = exchange.ledger
    for currency, deposit in DEPOSITS.items():
        assert ledger.total(currency) == deposit * len(ACCOUNTS)
    assert all(b.total >= 0 for b in ledger.balances(FEE_ACCOUNT).values())
    assert set(ledger.accounts) == {*ACCOUNTS, MARKET_ACCOUNT, FEE_ACCOUNT}

    for account in ACCOUNTS:
        held: dict[str, Decimal] = {}
        for order in exchange.orders(account):
            fills = [f for f in ledger.fills(account) if f.order_id == order.id]
            assert order.executed == sum((f.quantity for f in fills), D(0)) <= order.quantity
            assert order.funds == sum((f.quantity * f.price for f in fills), D(0))
            assert order.trades_count == len(fills)
            if order.price is not None:
                sign = 1 if order.side is Side.BUY else -1
                assert all((f.price - order.price) * sign <= 0 for f in fills)
            if order.status.is_terminal:
                assert order.hold == 0
            if order.status is Status.FILLED:
                assert order.remaining == 0
            assert order.hold >= 0
            held[order.hold_currency] = held.get(order.hold_currency, D(0)) + order.hold
        for currency, balance in ledger.balances(account).items():
            assert balance.locked == held.get(currency, D(0))


@settings(max_examples=60, deadline=None)
@given(st.lists(actions, max_size=60))
def test_the_ledger_replays_to_the_balances_and_orders(script: list[tuple]) -> None:
    exchange, _ = play(FeeSchedule.per_side(D("0.001"), D("0.001")), 0, script)
    sums: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    last: dict[int, OrderEntry] = {}
    for number, entry in enumerate(exchange.ledger.entries):
        assert entry.seq == number
        if isinstance(entry, BalanceEntry):
            key = entry.account, entry.currency
            free, locked = sums.get(key, (D(0), D(0)))
            sums[key] = free + entry.free_delta, locked + entry.locked_delta
            assert sums[key] == (entry.free, entry.locked)
            assert min(sums[key]) >= 0
        elif isinstance(entry, OrderEntry):
            last[entry.order.id] = entry
    for account in ACCOUNTS:
        for currency, balance in exchange.ledger.balances(account).items():
            assert sums[account, currency] == (balance.free, balance.locked)
        for order in exchange.orders(account):
            told = last[order.id].order
            assert (told.status, told.executed, told.funds) == (
                order.status,
                order.executed,
                order.funds,
            )


@settings(max_examples=60, deadline=None)
@given(st.lists(actions, max_size=60))
def test_a_taker_gets_the_best_price_first(script: list[tuple]) -> None:
    _, trades = play(FeeSchedule(), 0, script)
    by_taker: dict[int, list[Trade]] = {}
    for trade in trades:
        if trade.taker_order_id is not None:
            by_taker.setdefault(trade.taker_order_id, []).append(trade)
    for taken in by_taker.values():
        walked = [t.price for t in taken]
        assert walked == sorted(walked, reverse=taken[0].aggressor is Side.SELL)
