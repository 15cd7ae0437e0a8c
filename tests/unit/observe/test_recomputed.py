"""A summary's figures against plain sums over the fills, which know nothing of its arithmetic."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard.strategy import GuardedStrategy
from fairlead.engine.matching.exchange import PASSED
from fairlead.engine.observe.account import Books, InstrumentSummary
from fairlead.engine.observe.reasons import KINDS_MAX, OTHER, counted, normal, plain
from fairlead.engine.observe.table import rows
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.kernel import bench
from tests.unit import backtest_kit as kit
from tests.unit.observe.test_same_bytes import all_strategies

PERP = "BTCUSDT.TEST"
IID = InstrumentId.from_str(PERP)
ZERO = Decimal(0)
NAMES = ("A-1", "B-2", "C-3")

amounts = st.integers(1, 5_000).map(lambda n: Decimal(n) / 1000)
prices = st.integers(1, 99_999).map(lambda n: Decimal(n) / 10)
rates = st.sampled_from([ZERO, Decimal("0.001"), Decimal("-0.0002")])
fills = st.lists(
    st.tuples(st.sampled_from(NAMES), st.booleans(), amounts, prices, rates, st.booleans()),
    max_size=25,
)


def plainly(
    told: Iterable[tuple[bool, Decimal, Decimal, Decimal, str]], mark: Decimal
) -> dict[str, Decimal]:
    """Money in and out, what is held and its worth; the average price is a running one.

    Each fill is whether it bought, quantity, price, fee, and the fee's currency.
    """
    cash = held = average = fees = bought = sold = ZERO
    for buys, quantity, price, fee, currency in told:
        signed = quantity if buys else -quantity
        cash -= signed * price
        bought, sold = bought + max(signed, ZERO), sold + max(-signed, ZERO)
        fees += fee if currency == "USDT" else fee * price
        moved = signed if currency == "USDT" else signed - fee  # a fee in base is never held
        if held * moved >= 0:
            average = (abs(held) * average + abs(moved) * price) / abs(held + moved)
        elif abs(moved) > abs(held):
            average = price
        if currency != "USDT":
            cash += fee * price  # what it was worth, which `fees` has
        held += moved
    return {
        "bought": bought,
        "sold": sold,
        "position": held,
        "fees_value": fees,
        "net": cash + held * mark - fees,
        "unrealized": held * (mark - average),
    }


def agrees(one: InstrumentSummary, expected: dict[str, Decimal]) -> None:
    for name in ("bought", "sold", "position", "fees_value", "net"):
        assert getattr(one, name) == expected[name], name
    assert abs(one.unrealized - expected["unrealized"]) < Decimal("1e-9")
    assert one.net == one.realized + one.unrealized - one.fees_value


@settings(max_examples=200, deadline=None)
@given(fills, prices)
def test_strategies_add_up_to_the_instrument(told: list[Any], mark: Decimal) -> None:
    books = Books({PERP: kit.spot(PERP)})
    by_strategy = defaultdict(list)
    for name, buys, quantity, price, rate, in_base in told:
        fee = quantity * rate * (1 if in_base else price)
        row = (buys, quantity, price, fee, "BTC" if in_base else "USDT")
        by_strategy[name].append(row)
        for account in books.accounts(name, PERP):
            account.book(*row)
    (whole,) = books.instruments({PERP: mark})
    parts = books.strategies({PERP: mark})
    expected = plainly((row for name in by_strategy for row in by_strategy[name]), mark)
    agrees(whole, {**expected, "unrealized": whole.unrealized})  # of the order in which they came
    assert [one.strategy for one in parts] == sorted(by_strategy)
    for one in parts:
        agrees(one, plainly(by_strategy[one.strategy], mark))
    for name in ("fills", "bought", "sold", "turnover", "position", "fees_value", "net"):
        assert sum(getattr(one, name) for one in parts) == getattr(whole, name), name


@settings(max_examples=50, deadline=None)
@given(fills)
def test_they_add_up_without_a_mark_too(told: list[Any]) -> None:
    books = Books({PERP: kit.spot(PERP)})
    for name, buys, quantity, price, rate, _ in told:
        for account in books.accounts(name, PERP):
            account.book(buys, quantity, price, quantity * price * rate, "USDT")
    (whole,) = books.instruments({})
    parts = books.strategies({})
    assert whole.mark is None
    assert sum(one.net for one in parts) == whole.net
    assert sum(one.realized + one.unrealized for one in parts) == whole.realized + whole.unrealized


@pytest.mark.parametrize(
    ("told", "held", "realized", "unrealized", "fees", "net"),
    [
        ([(True, "1", "100")], "0.999", "0", "9.99", "0.1", "9.89"),
        # A whole way out: nothing is held that could gain or lose
        ([(True, "1", "100"), (False, "0.999", "104")], "0", "3.996", "0", "0.1", "3.896"),
        ([(True, "1", "100"), (True, "1", "108")], "1.998", "0", "11.988", "0.208", "11.78"),
        ([(False, "1", "100"), (True, "1", "90")], "-0.001", "9.99", "-0.01", "0.09", "9.89"),
    ],
)
def test_a_fee_in_base_is_never_held(
    told: list[tuple[bool, str, str]],
    held: str,
    realized: str,
    unrealized: str,
    fees: str,
    net: str,
) -> None:
    """A spot venue takes it out of what a buyer gets: 0.001 of it, at a mark of 110."""
    books = Books({PERP: kit.spot(PERP)})
    for buys, quantity, price in told:
        for account in books.accounts("A-1", PERP):
            fee = Decimal(quantity) / 1000 if buys else ZERO
            account.book(buys, Decimal(quantity), Decimal(price), fee, "BTC")
    (whole,) = books.instruments({PERP: Decimal(110)})
    got = whole.position, whole.realized, whole.unrealized, whole.fees_value, whole.net
    assert got == tuple(map(Decimal, (held, realized, unrealized, fees, net)))


def test_what_one_bought_and_another_sold_is_a_position_of_each() -> None:
    books = Books({PERP: kit.spot(PERP)})
    for name, buys, price in (("A-1", True, 100), ("B-2", False, 110)):
        for account in books.accounts(name, PERP):
            account.book(buys, Decimal(1), Decimal(price), ZERO, "USDT")
    (whole,) = books.instruments({PERP: Decimal(120)})
    first, second = books.strategies({PERP: Decimal(120)})
    assert (whole.position, whole.realized, whole.net) == (0, 10, 10)
    assert (first.position, first.unrealized, first.net) == (1, 20, 20)
    assert (second.position, second.unrealized, second.net) == (-1, -10, -10)


def test_what_they_held_against_each_other_at_the_start_was_nothing_together() -> None:
    books = Books({PERP: kit.spot(PERP)})
    held = {("A-1", PERP): (Decimal(2), Decimal(200)), ("B-2", PERP): (Decimal(-2), Decimal(-220))}
    books.open(held.items())
    (whole,) = books.instruments({PERP: Decimal(100)})
    first, second = books.strategies({PERP: Decimal(100)})
    assert (whole.position, whole.position_max, whole.net) == (0, 0, 20)
    assert (first.opening_position, first.net, second.net) == (2, 0, 20)


# A whole run, from the file that it wrote


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[Any]]:
    """`summary.json` and the rows of `orders.jsonl` of a run of four strategies."""
    folder: Path = tmp_path_factory.mktemp("recomputed")
    catalog = kit.write_catalog(folder / "c", kit.perpetual(PERP), seconds=60, seed=5)
    result = run_backtest(load(all_strategies(folder, catalog)))
    result.record().write(folder / "out")
    result.dispose()
    lines = (folder / "out" / "orders.jsonl").read_text().splitlines()
    return json.loads((folder / "out" / "summary.json").read_text()), [json.loads(x) for x in lines]


def fills_of(orders: Iterable[dict[str, Any]]) -> list[tuple[bool, Decimal, Decimal, Decimal, str]]:
    found = []
    for order in orders:
        for one in order["fills"]:
            fee, currency = one["fee"].split()
            sizes = (Decimal(one["quantity"]), Decimal(one["price"]), Decimal(fee))
            found.append((one["ts_event"], (order["side"] == "BUY", *sizes, currency)))
    return [row for _, row in sorted(found, key=lambda each: each[0])]


def test_counts_are_those_of_the_file(written: tuple[dict[str, Any], list[Any]]) -> None:
    summary, orders = written
    assert summary["orders"] == len(orders)
    assert summary["orders_by_kind"] == Counter(one["kind"] for one in orders)
    assert summary["orders_by_status"] == Counter(one["status"] for one in orders)
    assert summary["fills"] == sum(len(one["fills"]) for one in orders) > 20
    makers = [fill["liquidity"] == "MAKER" for one in orders for fill in one["fills"]]
    assert summary["maker_fills"] == sum(makers)
    rejected = [one for one in orders if one["status"] == "REJECTED"]
    assert summary["rejections"] == len(rejected)
    assert sum(summary["rejection_reasons"].values()) == len(rejected)
    sent = [one for one in orders if one["status"] not in ("DENIED", "INITIALIZED", "SUBMITTED")]
    assert summary["sent"] == len(sent)
    assert summary["fill_ratio"] == sum(bool(one["fills"]) for one in orders) / len(sent)


def test_money_is_that_of_the_file(written: tuple[dict[str, Any], list[Any]]) -> None:
    summary, orders = written
    fees: defaultdict[str, Decimal] = defaultdict(Decimal)
    for _, _, _, fee, currency in fills_of(orders):
        fees[currency] += fee
    assert {name: Decimal(value) for name, value in summary["fees"].items()} == fees
    (one,) = summary["instruments"]
    mark = Decimal(one["mark"])
    expected = plainly(fills_of(orders), mark)
    for name in ("bought", "sold", "position", "fees_value", "net"):
        assert Decimal(one[name]) == expected[name], name
    assert {name: Decimal(value) for name, value in summary["net"].items()} == {
        "USDT": expected["net"]
    }
    parts = summary["strategies"]
    assert len(parts) > 2
    for part in parts:
        own = plainly(fills_of(o for o in orders if o["strategy"] == part["strategy"]), mark)
        for name in ("bought", "sold", "position", "fees_value", "net"):
            assert Decimal(part[name]) == own[name], (part["strategy"], name)
        assert abs(Decimal(part["unrealized"]) - own["unrealized"]) < Decimal("1e-9")
    assert sum(Decimal(part["net"]) for part in parts) == expected["net"]


# Rejections


class Crossing(GuardedStrategy):
    """Sends post-only orders, most of which would take, and one market order."""

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.books = 0

    def on_start(self) -> None:
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        top = self.cache.top_of_book(IID)
        quantity = self.cache.instrument(IID).make_qty(Decimal("0.1"))
        if self.books == 1:
            self.submit_order(self.order_factory.market(IID, OrderSide.BUY, quantity))
        elif top is not None:
            buy = self.order_factory.limit(IID, OrderSide.BUY, quantity, top[2], post_only=True)
            self.submit_order(buy)


def test_rejections_are_counted_by_reason_and_seen_at_first_sight(tmp_path: Path) -> None:
    mids = [Decimal(1000) + Decimal(at) / 10 for at in range(8)]
    root = kit.scripted(tmp_path / "c", kit.perpetual(PERP), mids)
    path = "tests.unit.observe.test_recomputed:Crossing"
    result = kit.run(tmp_path, root, path, {}, latency_ms="0")
    summary = result.summary
    assert summary.rejections == 7
    ((reason, count),) = summary.rejection_reasons.items()
    assert count == 7
    assert "POST_ONLY" in reason
    assert not any(letter.isdigit() for letter in reason.replace("BTCUSDT.TEST", ""))
    assert (summary.accepted, summary.sent, summary.fill_ratio) == (1, 8, 1 / 8)
    shown = dict(rows(summary))
    assert shown["outcome"].endswith("7 OF 8 ORDERS REJECTED by the venue")
    assert shown["orders filled"] == "12.5% of 8 that were sent, whole or in part"
    assert shown["venue rejections"] == f"7:\n7 {reason}"


class Flipping(GuardedStrategy):
    """Buys one, and sells eight over two levels: 100.0, and 99.9, which as a text comes last."""

    books = 0

    def on_start(self) -> None:
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        make = self.cache.instrument(IID).make_qty
        if self.books == 2:
            self.submit_order(self.order_factory.market(IID, OrderSide.BUY, make(Decimal(1))))
        elif self.books == 4:
            self.submit_order(self.order_factory.market(IID, OrderSide.SELL, make(Decimal(8))))


def test_fills_of_one_instant_are_booked_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    root = kit.scripted(tmp_path / "c", kit.perpetual(PERP), ["100.1"] * 8)
    path = "tests.unit.observe.test_recomputed:Flipping"
    summary = kit.run(tmp_path, root, path, {}, fees='"none"').summary
    (one,) = summary.instruments
    assert one.fills == 3
    # Bought at 100.2, sold at 100.0; then short 4 at 100.0 and 3 at 99.9, marked at 100.1
    assert one.realized == Decimal("-0.2")
    assert one.unrealized == Decimal("-1.0")
    assert one.position_max == 7


def test_the_rows_of_strategies_name_their_instruments(tmp_path: Path) -> None:
    root = kit.scripted(tmp_path / "c", kit.perpetual(PERP), ["100.1"] * 8)
    path = "tests.unit.observe.test_recomputed:Flipping"
    summary = kit.run(tmp_path, root, path, {}, fees='"none"').summary
    (part,) = summary.strategies
    other = part.instrument.rpartition(".")[0] + ".ELSEWHERE"
    parts = [
        part,
        msgspec.structs.replace(part, instrument=other, fills=2),
        msgspec.structs.replace(part, strategy="KILL", fills=0, position=Decimal(0)),
    ]
    wholes = [
        *summary.instruments,
        msgspec.structs.replace(summary.instruments[0], instrument=other),
    ]
    two = msgspec.structs.replace(summary, instruments=wholes, strategies=parts)
    told = [text for name, text in rows(two) if name == "net by strategy"]
    assert f"(3 fills of {part.instrument}, holds" in told[0]
    assert f"(2 fills of {other}, holds" in told[1]
    assert f"(positions of {part.instrument} that a kill set off against one another," in told[2]


def test_a_few_rejections_do_not_shout(tmp_path: Path) -> None:
    root = kit.scripted(tmp_path / "c", kit.perpetual(PERP), [Decimal(1000)] * 3)
    summary = kit.run(tmp_path, root, "tests.unit.observe.test_recomputed:Crossing", {}).summary
    few = msgspec.structs.replace(summary, sent=100, rejections=9)
    assert "REJECTED" not in dict(rows(few))["outcome"]
    assert "REJECTED" in dict(rows(msgspec.structs.replace(few, rejections=10)))["outcome"]


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("No market for BTCUSDT.TEST", "No market for BTCUSDT.TEST"),
        ("bid=100.1, ask=1,000.25, -3", "bid=#, ask=#, #"),
        ("limit px of 99.9 at 1000PEPE_USDT.X", "limit px of # at 1000PEPE_USDT.X"),
        ("order 23d94144-6059-411c-91c9-fef3e5da8ccb\n is gone", "order # is gone"),
        ("O-20231114-221320-001-001-12 is late", "# is late"),
        ("", "(no reason told)"),
    ],
)
def test_a_reason_without_its_numbers(reason: str, text: str) -> None:
    assert normal(reason) == text


@pytest.mark.parametrize(
    ("order", "side", "trigger", "limit", "market"),
    [
        ("stop_limit", OrderSide.SELL, 101.0, 97.0, "99.50"),
        ("stop_limit", OrderSide.BUY, 99.0, 101.0, "100.50"),
        ("stop_market", OrderSide.SELL, 101.0, None, "99.50"),
        ("limit_if_touched", OrderSide.BUY, 101.0, 102.0, "100.50"),
        ("market_if_touched", OrderSide.SELL, 99.0, None, "99.50"),
    ],
)
def test_a_passed_trigger_is_told_as_on_paper(
    order: str, side: OrderSide, trigger: float, limit: float | None, market: str
) -> None:
    """Of NautilusTrader's own text, as its simulated exchange gives it."""

    def send(script: bench.Script) -> None:
        prices = [bench.px(one) for one in (limit, trigger) if one is not None]
        build = getattr(script.order_factory, order)
        script.send("order", build(bench.IID, side, bench.qty(1), *prices))

    data = [bench.book(0, {99.5: 5}, {100.5: 5}), bench.trade(50, 100.0), bench.trade(400, 100.0)]
    (event,) = bench.run(data, [(60, send)]).events
    text = f"TRIGGER-PASSED: the trigger price {trigger:.2f} was passed, the market is {market}"
    assert plain(event.reason) == text
    # As fairlead.engine.matching.exchange words it
    assert normal(event.reason) == normal(f"{PASSED}: {text.partition(': ')[2]}")


def test_many_kinds_of_reasons_end_as_one() -> None:
    words = [f"{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(KINDS_MAX + 5)]
    found = counted([*words, words[7]])
    assert next(iter(found)) == words[7]
    assert found[OTHER] == 5
    assert sum(found.values()) == len(words) + 1
