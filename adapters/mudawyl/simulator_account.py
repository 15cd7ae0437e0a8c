"""Public and account endpoints of the simulated gateway (section 3, appendix A)."""

from __future__ import annotations

import re
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import available_timezones

from fairlead.adapters.mudawyl.simulator_checks import (
    MISSING,
    Call,
    Check,
    external,
    is_uuid,
    not_found,
)
from fairlead.adapters.mudawyl.simulator_markets import MS, day, iso, number
from fairlead.adapters.mudawyl.simulator_rows import balance_rows
from fairlead.adapters.mudawyl.simulator_state import DAY_NS, Followed, MudawylState, Plan
from fairlead.adapters.simulation.routes import Endpoint

COUNTRIES = frozenset({"AE", "CA", "CN", "DE", "FR", "GB", "JP", "SA", "US"})
MONTH_NS = 30 * DAY_NS
NAME_CHARS_MAX = 24
HISTORY_DAYS = 400  # how long the account has had a balance
REFUSED_API_KEY = "refused"  # an exchange key that begins so is not authorized
IPS = ("15.137.11.254", "221.110.159.85", "37.61.167.239")
NOTIFICATIONS = (
    *("weeklyReport", "monthlyReport", "emailNewOrder", "emailTakeProfit", "emailStopLoss"),
    *("telegramNewOrder", "telegramTakeProfit", "telegramStopLoss"),
)
_ALPHA = re.compile(r"[A-Za-z]{1,64}")
Handler = Endpoint[MudawylState, Call]


# -- public ----------------------------------------------------------------------------------------


def _ticker(state: MudawylState, call: Call) -> object:
    check = Check(call)
    symbol = check.symbol()
    check.choice("exchangeId", ("BINANCE",), location="query")
    check.choice("type", ("FUTURES", "SPOT"), default="FUTURES", location="query")
    check.end()
    if symbol not in state.markets:
        raise external("1300")
    now_ns = state.exchange.now_ns
    past = state.exchange.markets[symbol].tape.day(now_ns)
    last, first = state.mark(symbol), past.open
    base, quote = past.volume, past.funds
    return {
        "symbol": symbol,
        "timestamp": now_ns // MS,
        "datetime": iso(now_ns),
        "high": number(past.high),
        "low": number(past.low),
        "vwap": number(quote / base if base else last),
        "open": number(first),
        "close": number(last),
        "last": number(last),
        "change": number(last - first),
        "percentage": number((last / first - 1) * 100),
        "average": number((last + first) / 2),
        "baseVolume": number(base),
        "quoteVolume": number(quote),
    }


def _plan_row(plan: Plan) -> dict[str, Any]:
    return {
        "id": plan.id,
        "name": plan.name,
        "maxBalanceUSD": plan.max_balance,
        "maxApiKey": plan.max_keys,
        "strategyAutomated": plan.automated,
    }


def _plans(state: MudawylState, call: Call) -> object:
    sold = [plan for plan in state.plans if plan.is_sold]
    return {"items": [_plan_row(plan) | {"monthlyPriceUSD": plan.price} for plan in sold]}


def _stamps(state: MudawylState) -> dict[str, str]:
    return dict.fromkeys(("createdAt", "updatedAt"), iso(state.started_ns))


def _risks(state: MudawylState, call: Call) -> object:
    rows = [
        {"id": risk.id, "name": risk.name, "percentage": risk.percentage} | _stamps(state)
        for risk in state.risks
    ]
    return {"items": rows}


def _strategies(state: MudawylState, call: Call) -> object:
    rows = [
        {
            "id": strategy.id,
            "active": strategy.active,
            "name": strategy.name,
            "description": None,
            "exchangeId": strategy.exchange_id,
            "symbol": strategy.symbol,
        }
        | _stamps(state)
        for strategy in state.strategies
    ]
    return {"items": rows}


def _periods(state: MudawylState, call: Call) -> list[dict[str, Any]]:
    """Made up from the seed: the same strategy had the same past. Newest first."""
    check = Check(call)
    strategy_id, limit = check.id(), check.limit(30)
    interval = check.choice("interval", ("1d", "1M"), default="1d", location="query")
    check.end()
    if strategy_id not in {strategy.id for strategy in state.strategies}:
        raise not_found()
    span_ns = DAY_NS if interval == "1d" else MONTH_NS
    newest = state.started_ns // span_ns
    return [_period(strategy_id, number_, span_ns) for number_ in range(newest, newest - limit, -1)]


def _period(strategy_id: str, number_: int, span_ns: int) -> dict[str, Any]:
    rng = Random(f"{strategy_id}/{number_}/{span_ns}")  # noqa: S311 - simulation
    long, short = rng.randrange(3), rng.randrange(3)
    trades = long + short
    told: dict[str, Any] = {"start": day(number_ * span_ns), "endAt": day((number_ + 1) * span_ns)}
    won = rng.randrange(trades + 1)
    results = {
        "netProfitPercent": Decimal(rng.randrange(-500, 700)) / 100,
        "winRate": number(Decimal(won) / max(trades, 1)),
        "maxDrawDown": Decimal(rng.randrange(600)) / 10_000,
    }
    told |= results if trades else dict.fromkeys(results)
    return told | {"trades": trades, "long": long, "short": short}


def _history(state: MudawylState, call: Call) -> object:
    return {"items": _periods(state, call)}


def _performance(state: MudawylState, call: Call) -> object:
    traded = [row for row in _periods(state, call) if row["trades"]]
    counts = {name: sum(row[name] for row in traded) for name in ("trades", "long", "short")}
    if not traded:
        names = ("netProfitPercent", "winRate", "maxDrawDown")
        return {**dict.fromkeys(names), **counts}
    wins = sum((row["winRate"] * row["trades"] for row in traded), Decimal(0))
    return {
        "netProfitPercent": sum((row["netProfitPercent"] for row in traded), Decimal(0)),
        "winRate": number(wins / counts["trades"]),
        "maxDrawDown": max(row["maxDrawDown"] for row in traded),
        **counts,
    }


# -- the user --------------------------------------------------------------------------------------


def _profile(state: MudawylState, call: Call) -> object:
    stamps = {"createdAt": iso(state.started_ns), "updatedAt": iso(state.ts_profile)}
    return {**state.profile, **stamps}


def _set_profile(state: MudawylState, call: Call) -> object:
    check = Check(call)
    alpha = lambda text: _ALPHA.fullmatch(text) is not None  # noqa: E731 - twice the same
    change = {
        "lastName": check.text("lastName", alpha, "must be alpha character"),
        "firstName": check.text("firstName", alpha, "must be alpha character"),
        "country": check.text("country", COUNTRIES.__contains__, "must be valid country"),
        "language": check.text("language", ("EN", "AR").__contains__, "must be a valid language"),
        "timezone": check.text(
            "timezone", available_timezones().__contains__, "must be a valid timezone"
        ),
    }
    check.end()
    state.profile |= {name: value for name, value in change.items() if value is not None}
    state.ts_profile = state.exchange.now_ns
    return _profile(state, call)


def _method(state: MudawylState, call: Call) -> object:
    return {
        "telegramBotUrl": "https://t.me/example",
        "telegramAuthCode": "8pvv88pj",
        "telegramActive": state.is_telegram_linked,
    } | _stamps(state)


def _notifications(state: MudawylState, call: Call) -> object:
    stamps = {"createdAt": iso(state.started_ns), "updatedAt": iso(state.ts_notifications)}
    return {**state.notifications, **stamps}


def _set_notifications(state: MudawylState, call: Call) -> object:
    check = Check(call)
    change = {name: check.flag(name) for name in NOTIFICATIONS}
    for name, value in change.items():
        if value and name.startswith("telegram") and not state.is_telegram_linked:
            check.fail(name, "account must be linked to Telegram", value, "body")
    check.end()
    state.notifications |= {name: value for name, value in change.items() if value is not None}
    state.ts_notifications = state.exchange.now_ns
    return _notifications(state, call)


# -- exchange keys ---------------------------------------------------------------------------------


def _whitelist(state: MudawylState, call: Call) -> object:
    return list(IPS)


def _total(state: MudawylState, call: Call) -> object:
    is_on = state.main.id in state.keys and state.main.active
    return {"USD": number(state.wallet() if is_on else Decimal(0))}


def _keys(state: MudawylState, call: Call) -> object:
    return {"items": [key.told() for key in state.keys.values()]}


def _new_key(state: MudawylState, call: Call) -> object:
    check = Check(call)
    check.choice("exchangeId", ("BINANCE",))
    trade = check.choice("tradeType", ("SPOT", "FUTURES"))
    strategy = check.choice("strategyType", ("AUTOMATED", "MANUAL"))
    if (trade, strategy) == ("SPOT", "AUTOMATED"):
        check.fail("tradeType", "cannot be assigned to AUTOMATED strategy", trade, "body")
    active = check.flag("active")
    texts: dict[str, str] = {}
    for name, is_good, msg in (
        ("name", _is_name, f"length must be less than {NAME_CHARS_MAX + 1}"),
        ("apiKey", bool, "must not be empty"),
        ("apiSecretKey", bool, "must not be empty"),
    ):
        text = check.text(name, is_good, msg)
        if name not in call.body:
            check.fail(name, msg, MISSING, "body")
        texts[name] = text or ""
    check.end()
    if texts["apiKey"].startswith(REFUSED_API_KEY):
        raise external("1103")
    if texts["apiKey"] in {key.api_key for key in state.keys.values()}:
        raise external("1109")
    if len(state.keys) >= state.plan.max_keys:
        raise external("2129a")
    if state.wallet() > state.plan.max_balance:
        raise external("2129b")
    key = state.store_key(texts["name"], trade, strategy, texts["apiKey"])  # type: ignore[arg-type]
    key.active = active is not False
    return key.told()


def _is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_CHARS_MAX


def _rename_key(state: MudawylState, call: Call) -> object:
    check = Check(call)
    key_id = check.id()
    name = check.text("name", _is_name, f"length must be less than {NAME_CHARS_MAX + 1}")
    check.end()
    key = state.key(key_id)
    key.name, key.ts_updated = name or key.name, state.exchange.now_ns
    return key.told()


def _delete_key(state: MudawylState, call: Call) -> None:
    check = Check(call)
    key_id = check.id()
    check.end()
    state.key(key_id)
    del state.keys[key_id]
    state.follows = {f.id: f for f in state.follows.values() if f.key_id != key_id}


def _balance(state: MudawylState, call: Call) -> object:
    check = Check(call)
    key_id = check.id()
    check.end()
    if not state.is_traded(key_id, futures=False):
        return balance_rows(Decimal(0), Decimal(0), "USDT")
    return balance_rows(state.wallet(), state.used(), "USDT")


def _balance_history(state: MudawylState, call: Call) -> object:
    check = Check(call)
    key_id, limit, first, start = check.id(), check.limit(100), check.page(), check.date("start")
    check.end()
    state.key(key_id)
    today = state.exchange.now_ns // DAY_NS
    days = [day((today - ago) * DAY_NS) for ago in range(HISTORY_DAYS)]
    rows = [{"date": d, "totalUSD": number(state.wallet())} for d in days if d >= start]
    return _page(rows, first, limit)


def _page(rows: list[dict[str, Any]], first: int, limit: int) -> dict[str, Any]:
    more = first + limit < len(rows)
    return {
        "items": rows[first : first + limit],
        "nextToken": str(first + limit) if more else None,
    }


# -- subscription ----------------------------------------------------------------------------------


def _subscription(state: MudawylState, call: Call) -> object:
    return {"paymentType": "STRIPE", "SubscriptionType": _plan_row(state.plan)}


def _stripe(state: MudawylState, call: Call) -> object:
    if not state.has_stripe:
        raise external("3104")
    end = iso(state.started_ns + MONTH_NS)
    return {
        "cancelAtPeriodEnd": state.cancels_at_end,
        "cancelAt": end if state.cancels_at_end else None,
        "currentPeriodStart": iso(state.started_ns),
        "currentPeriodEnd": end,
        "trialStart": None,
        "trialEnd": None,
        "plan": {
            "amount": state.plan.price * 100,
            "currency": "usd",
            "interval": "month",
            "trialPeriodDays": None,
        },
    }


def _plan_of(state: MudawylState, check: Check, *, is_needed: bool) -> Plan | None:
    value = check.call.body.get("subscriptionId", MISSING)
    if value is MISSING and not is_needed:
        return None
    found = next((plan for plan in state.plans if plan.id == value), None)
    if found is None:
        check.fail("subscriptionId", "must be valid subscription id", value, "body")
    return found


def _checkout(state: MudawylState, call: Call) -> object:
    check = Check(call)
    plan = _plan_of(state, check, is_needed=True)
    check.end()
    assert plan is not None, "checked"
    if not plan.is_sold:
        raise external("2100")
    if state.has_stripe:
        raise external("3109")
    page = "https://example.com/account/subscription"
    return {
        "url": f"https://checkout.stripe.com/c/pay/{plan.id}",
        "successUrl": page,
        "cancelUrl": page,
    }


def _set_stripe(state: MudawylState, call: Call) -> object:
    check = Check(call)
    cancels, plan = check.flag("cancelAtPeriodEnd"), _plan_of(state, check, is_needed=False)
    check.end()
    if not state.has_stripe:
        raise external("3104")
    state.cancels_at_end = state.cancels_at_end if cancels is None else cancels
    state.plan = plan or state.plan
    return _stripe(state, call)


def _bills(state: MudawylState, call: Call) -> object:
    at = iso(state.started_ns)
    row = {
        "number": "AF046ED1-0001",
        "currency": "usd",
        "amountPaid": state.plan.price * 100,
        "periodStart": at,
        "periodEnd": iso(state.started_ns + MONTH_NS),
        "hostedUrl": "https://invoice.stripe.com/i/1",
        "pdf": "https://pay.stripe.com/invoice/1",
        "createdAt": at,
    }
    return [row] if state.has_stripe else []


# -- the gateway's records of trades, and strategies that are followed -----------------------------


def _recorded(rows: list[dict[str, Any]], call: Call) -> object:
    check = Check(call)
    check.limit(30)
    start = check.date("start")
    first = check.page()
    check.end()
    newest = [row for row in rows[::-1] if row["createdAt"] >= start]
    return _page(newest, first, 1000)


def _manual_trades(state: MudawylState, call: Call) -> object:
    return _recorded(state.manual_trades, call)


def _strategy_trades(state: MudawylState, call: Call) -> object:
    return _recorded(state.strategy_trades, call)


def _follow_row(follow: Followed) -> dict[str, Any]:
    strategy = follow.strategy
    return {
        "id": follow.id,
        "active": follow.active,
        "createdAt": iso(follow.ts_created),
        "updatedAt": iso(follow.ts_updated),
        "StrategyAutomated": {
            "id": strategy.id,
            "active": strategy.active,
            "exchangeId": strategy.exchange_id,
            "symbol": strategy.symbol,
        },
        "StrategyRiskProfile": {"id": follow.risk.id, "percentage": follow.risk.percentage},
    }


def _follows(state: MudawylState, call: Call) -> object:
    check = Check(call)
    key_id = check.id()
    check.end()
    state.key(key_id)
    return {"items": [_follow_row(f) for f in state.follows.values() if f.key_id == key_id]}


def _chosen(state: MudawylState, check: Check, *, is_needed: bool) -> tuple[Any, Any]:
    """The strategy and the risk profile that a body names."""
    found: list[Any] = []
    for name, rows, msg in (
        (
            "strategyAutomatedId",
            {s.id: s for s in state.strategies if s.active},
            "must be active strategy automated id",
        ),
        (
            "strategyRiskProfileId",
            {r.id: r for r in state.risks},
            "must be valid strategy risk profile id",
        ),
    ):
        value = check.call.body.get(name, MISSING)
        row = rows.get(value) if isinstance(value, str) and is_uuid(value) else None
        if row is None and (is_needed or value is not MISSING):
            check.fail(name, msg, value, "body")
        found.append(row)
    return found[0], found[1]


def _follow(state: MudawylState, call: Call) -> object:
    check = Check(call)
    key_id, active = check.id(), check.flag("active")
    strategy, risk = _chosen(state, check, is_needed=True)
    check.end()
    key = state.key(key_id)
    if not (key.active and key.is_authorized):
        raise external("1110")
    if strategy.exchange_id != key.exchange_id:
        raise external("1206")
    if any(
        f.strategy.symbol == strategy.symbol for f in state.follows.values() if f.key_id == key_id
    ):
        raise external("1309")
    if not state.plan.automated:
        raise external("2103")
    now_ns = state.exchange.now_ns
    follow = Followed(
        id=state.new_id(),
        key_id=key_id,
        strategy=strategy,
        risk=risk,
        active=active is not False,
        ts_created=now_ns,
        ts_updated=now_ns,
    )
    state.follows[follow.id] = follow
    return _follow_row(follow)


def _set_follow(state: MudawylState, call: Call) -> object:
    check = Check(call)
    follow_id, active = check.id(), check.flag("active")
    strategy, risk = _chosen(state, check, is_needed=False)
    check.end()
    follow = state.follows.get(follow_id)
    if follow is None:
        raise not_found()
    key = state.key(follow.key_id)
    if not (key.active and key.is_authorized):
        raise external("1110")
    if strategy is not None and strategy.exchange_id != key.exchange_id:
        raise external("1206")
    if strategy is not None and strategy.symbol != follow.strategy.symbol:
        raise external("1306")
    follow.strategy, follow.risk = strategy or follow.strategy, risk or follow.risk
    follow.active = follow.active if active is None else active
    follow.ts_updated = state.exchange.now_ns
    return _follow_row(follow)


def _public(path: str, handler: Any) -> Handler:
    return Endpoint("GET", f"/v1/pub{path}", handler)


def _private(method: str, path: str, handler: Any) -> Handler:
    return Endpoint(method, f"/v1/priv{path}", handler, "", True)


ACCOUNT: tuple[Handler, ...] = (
    _public("/exchange/ticker", _ticker),
    _public("/subscription/list", _plans),
    _public("/strategy/profile/list", _risks),
    _public("/strategy/list", _strategies),
    _public("/strategy/{id}/history", _history),
    _public("/strategy/{id}/performance", _performance),
    _private("GET", "/account/profile", _profile),
    _private("PUT", "/account/profile", _set_profile),
    _private("GET", "/account/exchange/whitelist/ip", _whitelist),
    _private("GET", "/account/exchange/balance", _total),
    _private("GET", "/account/exchange/key/list", _keys),
    _private("POST", "/account/exchange/key", _new_key),
    _private("PUT", "/account/exchange/key/{id}", _rename_key),
    _private("DELETE", "/account/exchange/key/{id}", _delete_key),
    _private("GET", "/account/exchange/key/{id}/balance", _balance),
    _private("GET", "/account/exchange/key/{id}/balance/history", _balance_history),
    _private("GET", "/account/notification/method", _method),
    _private("GET", "/account/notification", _notifications),
    _private("PUT", "/account/notification", _set_notifications),
    _private("GET", "/account/subscription", _subscription),
    _private("GET", "/account/subscription/stripe", _stripe),
    _private("PUT", "/account/subscription/stripe", _set_stripe),
    _private("POST", "/account/subscription/stripe/checkout", _checkout),
    _private("GET", "/account/subscription/stripe/billing/history", _bills),
    _private("GET", "/account/trade/manual/history", _manual_trades),
    _private("GET", "/account/trade/strategy/history", _strategy_trades),
    _private("GET", "/strategy/follow/exchange/key/{id}", _follows),
    _private("POST", "/strategy/follow/exchange/key/{id}", _follow),
    _private("PUT", "/strategy/follow/{id}", _set_follow),
)
