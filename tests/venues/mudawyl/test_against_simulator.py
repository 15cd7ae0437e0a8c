"""The typed client against the simulated gateway: every endpoint, its success and its refusals."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.adapters.mudawyl import schemas as s
from fairlead.adapters.mudawyl.config import MudawylOptions
from fairlead.adapters.mudawyl.errors import External, ExternalRefused, ValidationRefused
from fairlead.adapters.mudawyl.http import MudawylHttp
from fairlead.adapters.mudawyl.simulator_checks import EXTERNAL
from fairlead.adapters.simulation.memory import InMemoryHttp
from fairlead.engine.secrets import Secret
from tests.venues.mudawyl.simulator_kit import BTC, Desk

UNKNOWN_ID = "b9f67eb2-1d6e-4a47-a735-d0d9039c9b08"
NO_UUID = "invaliduuid"
D = Decimal


class World:
    """A client of a simulated gateway, its user at the website, and a clock that stands still."""

    def __init__(self, **options: Any) -> None:
        self.desk = Desk(**{"requests_per_sec": 10_000, **options})
        self.sim = self.desk.sim
        self.key = self.desk.key
        self.http = MudawylHttp(
            MudawylOptions(
                http_url="http://x", allow_account_changes=True, requests_per_second=10_000
            ),
            InMemoryHttp(self.sim, lambda: self.desk.now_ns),
            self._token,
            self,
            lambda: self.desk.now_ns,
            ReadLimits(tries_max=1),
        )

    async def _token(self) -> Secret:
        return Secret(self.sim.token, "test")

    async def token(self, purpose: str) -> Secret:
        return Secret(self.sim.new_captcha(), "test")

    def key_of(self, name: str) -> str:
        return next(key.id for key in self.sim.keys.values() if key.name == name)

    def bracket(self, **fields: Any) -> Awaitable[list[s.Order]]:
        order = s.NewOrder(
            symbol=BTC,
            type="MARKET",
            side="BUY",
            amount=D("0.05"),
            take_profit_prices=[D(60500), D("61000.5")],
            stop_trigger_price=D(59000),
            stop_trigger_type="MARKET",
        )
        for name, value in fields.items():
            order = s.NewOrder(**{**_fields(order), name: value})
        return self.http.create_order(self.key, order)

    def new_follow(self, **fields: Any) -> s.NewFollow:
        chosen = {
            "strategy_automated_id": self.sim.strategies[0].id,
            "strategy_risk_profile_id": self.sim.risks[0].id,
        }
        return s.NewFollow(**{**chosen, **fields})


def _fields(order: s.NewOrder) -> dict[str, Any]:
    return {name: getattr(order, name) for name in order.__struct_fields__}


@pytest.fixture
def world() -> World:
    return World()


async def refused(ask: Awaitable[object]) -> VenueError:
    with pytest.raises(VenueError) as caught:
        await ask
    return caught.value


async def code(ask: Awaitable[object]) -> External | None:
    error = await refused(ask)
    assert isinstance(error, ExternalRefused)
    return error.external


async def params(ask: Awaitable[object]) -> list[str]:
    error = await refused(ask)
    assert isinstance(error, ValidationRefused)
    return [row.param for row in error.errors]


async def is_not_found(ask: Awaitable[object]) -> bool:
    return (await refused(ask)).code == "MUDAWYL-404"


# -- one function an endpoint ----------------------------------------------------------------------


async def ticker(w: World) -> None:
    found = await w.http.ticker(BTC)
    assert (found.symbol, found.last, found.timestamp) == (BTC, D(60000), w.desk.now_ns // 10**6)
    assert (await w.http.ticker(BTC, "SPOT")).last == D(60000)
    assert await params(w.http.ticker("BTCUSDT")) == ["symbol"]
    assert await params(w.http.ticker(BTC, exchange_id="KUCOIN")) == ["exchangeId"]
    assert await code(w.http.ticker("DOGE/USDT")) is External.SYMBOL_INVALID


async def plans(w: World) -> None:
    assert [p.name for p in await w.http.plans()] == ["BASIC", "ADVANCED", "PROFESSIONAL"]


async def risk_profiles(w: World) -> None:
    assert [r.percentage for r in await w.http.risk_profiles()] == [D("1.5"), D(2), D(3)]


async def strategies(w: World) -> None:
    found = await w.http.strategies()
    assert {row.symbol for row in found} == set(w.sim.markets)
    assert {row.active for row in found} == {True, False}


async def strategy_history(w: World) -> None:
    strategy = w.sim.strategies[0].id
    rows = await w.http.strategy_history(strategy, limit=40)
    assert len(rows) == 40
    assert all(later.start == row.end_at for later, row in pairwise(rows))
    idle = [row for row in rows if not row.trades]
    assert idle
    assert all(row.win_rate is None for row in idle)
    assert rows == await w.http.strategy_history(strategy, limit=40)
    assert len(await w.http.strategy_history(strategy, "1M", 3)) == 3
    assert await is_not_found(w.http.strategy_history(UNKNOWN_ID))
    assert await params(w.http.strategy_history(NO_UUID)) == ["id"]


async def strategy_performance(w: World) -> None:
    strategy = w.sim.strategies[0].id
    rows = await w.http.strategy_history(strategy)
    total = await w.http.strategy_performance(strategy)
    assert total.trades == sum(row.trades for row in rows) == total.long + total.short
    assert total.net_profit_percent == sum(row.net_profit_percent or 0 for row in rows)
    assert await is_not_found(w.http.strategy_performance(UNKNOWN_ID))


async def profile(w: World) -> None:
    assert (await w.http.profile()).country == "CA"


async def update_profile(w: World) -> None:
    change = s.ProfileChange(language="AR", timezone="Asia/Riyadh", last_name="Roe")
    assert (await w.http.update_profile(change)).language == "AR"
    found = await w.http.profile()
    assert (found.last_name, found.first_name, found.timezone) == ("Roe", "John", "Asia/Riyadh")
    wrong = s.ProfileChange(last_name="Doe123", country="CAX", timezone="America/Torontox")
    assert await params(w.http.update_profile(wrong)) == ["lastName", "country", "timezone"]


async def whitelist(w: World) -> None:
    assert len(await w.http.whitelist()) == 3


async def total_balance(w: World) -> None:
    assert (await w.http.total_balance()).usd == 10_000


async def keys(w: World) -> None:
    found = {key.name: key for key in await w.http.keys()}
    assert found["Trading"].id == w.key
    assert (found["Spot"].trade_type, found["Automated"].strategy_type) == ("SPOT", "AUTOMATED")
    w.sim.control({"exchange": "refuses"})
    (first, *_) = await w.http.keys()
    assert (first.active, first.api_key_status) == (False, "UNAUTHORIZED")


async def create_key(w: World) -> None:
    def new(api_key: str, name: str = "New", **more: Any) -> Awaitable[s.ExchangeKey]:
        kinds = {"trade_type": "FUTURES", "strategy_type": "MANUAL", **more}
        secrets = Secret(api_key, "test"), Secret("hush-hush-hush", "test")
        return w.http.create_key(
            name, kinds["trade_type"], kinds["strategy_type"], *secrets, active=more.get("active")
        )

    made = await new("a-key-of-the-exchange", active=False)
    assert (made.name, made.active) == ("New", False)
    assert await code(new("refused-by-the-exchange")) is External.EXCHANGE_AUTH
    assert await code(new("a-key-of-the-exchange")) is External.KEY_EXISTS
    assert await params(new("k" * 20, trade_type="SPOT", strategy_type="AUTOMATED")) == [
        "tradeType"
    ]
    assert await params(new("k" * 20, "n" * 25)) == ["name"]
    error = await refused(new("", "n"))
    assert "hush" not in str(error)
    w.sim.plan = w.sim.plans[2]
    await new("another-key-of-the-exchange")
    w.sim.plan = w.sim.plans[0]
    assert await code(new("one-key-too-many")) is External.KEY_LIMIT
    w.sim.keys = {w.key: w.sim.main}
    assert await code(new("too-much-balance")) is External.BALANCE_LIMIT


async def rename_key(w: World) -> None:
    assert (await w.http.rename_key(w.key, "Change to different name")).name.startswith("Change")
    assert await is_not_found(w.http.rename_key(UNKNOWN_ID, "x"))
    long = "this is example of very long text input"
    assert await params(w.http.rename_key(NO_UUID, long)) == ["id", "name"]


async def delete_key(w: World) -> None:
    spot = w.key_of("Spot")
    await w.http.delete_key(spot)
    assert spot not in {key.id for key in await w.http.keys()}
    assert await is_not_found(w.http.delete_key(spot))
    assert await params(w.http.delete_key("invalid")) == ["id"]


async def key_balance(w: World) -> None:
    found = await w.http.key_balance(w.key)
    assert found.free["USDT"] == found.total["USDT"] == 10_000
    assert (await w.http.key_balance(w.key_of("Spot"))).total["USDT"] == 0
    assert await is_not_found(w.http.key_balance(UNKNOWN_ID))
    assert await params(w.http.key_balance("invalid")) == ["id"]
    w.sim.control({"exchange": "refuses"})
    assert await code(w.http.key_balance(w.key)) is External.EXCHANGE_AUTH


async def key_balance_history(w: World) -> None:
    first = await w.http.key_balance_history(w.key, limit=300)
    assert len(first.items) == 300
    token = s.told(first.next_token)
    assert token
    rest = await w.http.key_balance_history(w.key, limit=300, next_token=token)
    assert s.told(rest.next_token) is None
    days = [row.date for row in first.items + rest.items]
    assert days == sorted(set(days), reverse=True)
    since = await w.http.key_balance_history(w.key, start=days[2])
    assert [row.date for row in since.items] == days[:3]
    assert await params(w.http.key_balance_history(w.key, start="soon")) == ["start"]


async def notification_method(w: World) -> None:
    assert (await w.http.notification_method()).telegram_active is False


async def notifications(w: World) -> None:
    assert (await w.http.notifications()).weekly_report is True


async def update_notifications(w: World) -> None:
    change = s.NotificationChange(monthly_report=False)
    assert (await w.http.update_notifications(change)).monthly_report is False
    linked = s.NotificationChange(telegram_new_order=True)
    assert await params(w.http.update_notifications(linked)) == ["telegramNewOrder"]
    w.sim.is_telegram_linked = True
    assert (await w.http.update_notifications(linked)).telegram_new_order is True


async def subscription(w: World) -> None:
    assert (await w.http.subscription()).subscription_type.name == "ADVANCED"


async def stripe_subscription(w: World) -> None:
    assert (await w.http.stripe_subscription()).plan.amount == 4000
    w.sim.has_stripe = False
    assert await code(w.http.stripe_subscription()) is External.NO_STRIPE


async def stripe_checkout(w: World) -> None:
    plan, unsold = w.sim.plans[0].id, w.sim.plans[-1].id
    assert await code(w.http.stripe_checkout(plan)) is External.STRIPE_EXISTS
    assert await code(w.http.stripe_checkout(unsold)) is External.SUBSCRIPTION_TYPE
    assert await params(w.http.stripe_checkout(UNKNOWN_ID)) == ["subscriptionId"]
    w.sim.has_stripe = False
    assert plan in (await w.http.stripe_checkout(plan)).url


async def update_stripe(w: World) -> None:
    found = await w.http.update_stripe(s.StripeChange(cancel_at_period_end=True))
    assert found.cancel_at == found.current_period_end
    wrong = s.StripeChange(subscription_id=UNKNOWN_ID)
    assert await params(w.http.update_stripe(wrong)) == ["subscriptionId"]
    w.sim.has_stripe = False
    change = s.StripeChange(cancel_at_period_end=False)
    assert await code(w.http.update_stripe(change)) is External.NO_STRIPE


async def billing_history(w: World) -> None:
    assert [bill.amount_paid for bill in await w.http.billing_history()] == [4000]


async def strategy_trades(w: World) -> None:
    assert (await w.http.strategy_trades()).items == []
    assert await params(w.http.strategy_trades(start="2022-13-01")) == ["start"]


async def manual_trades(w: World) -> None:
    entry = (await w.bracket())[0]
    (row,) = (await w.http.manual_trades()).items
    assert (row.order_id, row.amount, row.stop, row.stop_type) == (
        entry.id,
        D("0.05"),
        59000,
        "MARKET",
    )
    assert row.take_profit == [D(60500), D("61000.5")]
    assert (await w.http.manual_trades(start="2199-01-01")).items == []


async def open_orders(w: World) -> None:
    assert await w.http.open_orders(w.key, BTC) == []
    legs = (await w.bracket())[1:]
    assert [row.id for row in await w.http.open_orders(w.key, BTC)] == [leg.id for leg in legs]
    assert await w.http.open_orders(w.key, "ETH/USDT") == []
    await _refuses(w, lambda key, symbol: w.http.open_orders(key, symbol), futures=False)


async def order_history(w: World) -> None:
    entry = (await w.bracket())[0]
    assert [row.id for row in await w.http.order_history(w.key, BTC)] == [entry.id]
    await _refuses(w, lambda key, symbol: w.http.order_history(key, symbol), futures=False)


async def trade_history(w: World) -> None:
    entry = (await w.bracket())[0]
    rows = await w.http.trade_history(w.key, BTC)
    assert {row.order for row in rows} == {entry.id}
    assert sum(row.amount for row in rows) == s.told(entry.filled)
    await _refuses(w, lambda key, symbol: w.http.trade_history(key, symbol), futures=False)


async def position(w: World) -> None:
    flat = await w.http.position(w.key, BTC)
    assert flat is not None
    assert flat.contracts == 0
    entry = (await w.bracket())[0]
    held = await w.http.position(w.key, BTC)
    assert held is not None
    assert (held.side, held.contracts, held.entry_price) == ("long", D("0.05"), entry.average)
    await _refuses(w, lambda key, symbol: w.http.position(key, symbol))


async def create_order(w: World) -> None:
    rows = await w.bracket()
    types = [row.type for row in rows]
    assert types == ["market", "take_profit", "take_profit", "stop_market"]
    (resting,) = await w.http.create_order(
        w.key,
        s.NewOrder(symbol=BTC, type="LIMIT", side="SELL", amount=D("0.1"), price=D("70000.5")),
    )
    assert (resting.price, resting.status) == (D("70000.5"), "open")
    (trailing,) = await w.http.create_order(
        w.key,
        s.NewOrder(
            symbol=BTC,
            type="TRAILING_STOP",
            side="SELL",
            amount=D("0.1"),
            price=D(70000),
            callback_rate=D("0.5"),
        ),
    )
    assert trailing.type == "trailing_stop_market"
    assert await params(w.bracket(symbol="BTCUSDT")) == ["symbol"]
    error = await refused(w.bracket(amount=D(9)))
    assert (error.code, error.kind) == ("MUDAWYL-1500", VenueErrorKind.UNKNOWN)
    spot = w.key_of("Spot")
    order = s.NewOrder(symbol=BTC, type="MARKET", side="BUY", amount=D("0.1"))
    assert await code(w.http.create_order(spot, order)) is External.KEY_TYPE_INVALID
    automated = w.http.create_order(w.key_of("Automated"), order)
    assert await code(automated) is External.KEY_TYPE_UNSUPPORTED

    def ask(key: str, symbol: str) -> Awaitable[object]:
        order = s.NewOrder(symbol=symbol, type="MARKET", side="BUY", amount=D("0.1"))
        return w.http.create_order(key, order)

    await _refuses(w, ask)


async def close_position(w: World) -> None:
    await w.bracket()
    await w.http.close_position(w.key, BTC)
    held = await w.http.position(w.key, BTC)
    assert held is not None
    assert held.contracts == 0
    assert await w.http.open_orders(w.key, BTC) == []
    await _refuses(w, lambda key, symbol: w.http.close_position(key, symbol))


async def set_leverage(w: World) -> None:
    await w.http.set_leverage(w.key, BTC, 10)
    assert w.sim.holdings[BTC].leverage == 10
    error = await refused(w.http.set_leverage(w.key, BTC, 100))
    assert (error.code, error.kind) == ("MUDAWYL-1500", VenueErrorKind.REFUSED)
    assert await params(w.http.set_leverage(w.key, BTC, 126)) == ["leverage"]
    await _refuses(w, lambda key, symbol: w.http.set_leverage(key, symbol, 3))


async def set_margin_type(w: World) -> None:
    await w.http.set_margin_type(w.key, BTC, "ISOLATED")
    assert w.sim.holdings[BTC].is_isolated
    await _refuses(w, lambda key, symbol: w.http.set_margin_type(key, symbol, "CROSSED"))


async def follows(w: World) -> None:
    assert await w.http.follows(w.key) == []
    made = await w.http.follow(w.key, w.new_follow())
    assert await w.http.follows(w.key) == [made]
    assert await is_not_found(w.http.follows(UNKNOWN_ID))


async def follow(w: World) -> None:
    made = await w.http.follow(w.key, w.new_follow(active=False))
    assert (made.active, made.strategy.symbol, made.risk_profile.percentage) == (
        False,
        BTC,
        D("1.5"),
    )
    assert await code(w.http.follow(w.key, w.new_follow())) is External.SYMBOL_EXISTS
    other = w.new_follow(strategy_automated_id=w.sim.strategies[-1].id)
    assert await code(w.http.follow(w.key, other)) is External.EXCHANGE_MISMATCH
    idle = w.new_follow(
        strategy_automated_id=w.sim.strategies[-2].id, strategy_risk_profile_id=UNKNOWN_ID
    )
    wanted = ["strategyAutomatedId", "strategyRiskProfileId"]
    assert await params(w.http.follow(w.key, idle)) == wanted
    w.sim.plan = w.sim.plans[-1]
    automated = w.key_of("Automated")
    assert await code(w.http.follow(automated, w.new_follow())) is External.NOT_SUBSCRIBED
    w.sim.keys[automated].active = False
    assert await code(w.http.follow(automated, w.new_follow())) is External.KEY_INACTIVE


async def update_follow(w: World) -> None:
    made = await w.http.follow(w.key, w.new_follow())
    change = s.FollowChange(active=False, strategy_risk_profile_id=w.sim.risks[1].id)
    changed = await w.http.update_follow(made.id, change)
    assert (changed.active, changed.risk_profile.percentage) == (False, 2)
    eth = s.FollowChange(strategy_automated_id=w.sim.strategies[1].id)
    assert await code(w.http.update_follow(made.id, eth)) is External.SYMBOL_MISMATCH
    other = s.FollowChange(strategy_automated_id=w.sim.strategies[-1].id)
    assert await code(w.http.update_follow(made.id, other)) is External.EXCHANGE_MISMATCH
    unknown = s.FollowChange(strategy_automated_id=UNKNOWN_ID)
    assert await params(w.http.update_follow(made.id, unknown)) == ["strategyAutomatedId"]
    assert await is_not_found(w.http.update_follow(UNKNOWN_ID, change))
    w.sim.main.active = False
    assert await code(w.http.update_follow(made.id, change)) is External.KEY_INACTIVE


async def _refuses(
    w: World, ask: Callable[[str, str], Awaitable[object]], *, futures: bool = True
) -> None:
    """What each endpoint that asks the exchange refuses."""
    assert await params(ask(NO_UUID, BTC)) == ["id"]
    assert await is_not_found(ask(UNKNOWN_ID, BTC))
    assert await code(ask(w.key, "DOGE/USDT")) is External.SYMBOL_INVALID
    if futures:
        assert await code(ask(w.key_of("Spot"), BTC)) is External.KEY_TYPE_INVALID
    w.sim.control({"exchange": "refuses"})
    error = await refused(ask(w.key, BTC))
    assert (error.code, error.kind) == ("MUDAWYL-1103", VenueErrorKind.AUTH)


ENDPOINTS: tuple[Callable[[World], Awaitable[None]], ...] = (
    *(ticker, plans, risk_profiles, strategies, strategy_history, strategy_performance),
    *(profile, update_profile, whitelist, total_balance, keys, create_key, rename_key),
    *(delete_key, key_balance, key_balance_history, notification_method, notifications),
    *(update_notifications, subscription, stripe_subscription, stripe_checkout, update_stripe),
    *(billing_history, strategy_trades, manual_trades, open_orders, order_history),
    *(trade_history, position, create_order, close_position, set_leverage, set_margin_type),
    *(follows, follow, update_follow),
)


def test_every_endpoint_of_the_client_is_asked() -> None:
    methods = inspect.getmembers(MudawylHttp, inspect.iscoroutinefunction)
    public = {name for name, _ in methods if not name.startswith("_")} - {"admit", "permit"}
    assert public == {endpoint.__name__ for endpoint in ENDPOINTS}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.__name__)
async def test_endpoint(endpoint: Callable[[World], Awaitable[None]], world: World) -> None:
    await endpoint(world)


def test_the_simulator_knows_every_433_code() -> None:
    assert set(EXTERNAL) == set(External)
