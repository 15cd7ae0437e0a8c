"""Requests as the document writes them, and what must be true before one leaves."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest

from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.transport import TransportError
from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.adapters.mudawyl import schemas as s
from fairlead.adapters.mudawyl.http import AccountChangesDisabled, MudawylHttp
from fairlead.engine.secrets import Secret
from tests.venues.mudawyl.scripted import KEY_ID, Captchas, Tokens, answer, client, headers
from tests.venues.mudawyl.test_payloads import exact, sample

ID = "b9f67eb2-1d6e-4a47-a735-d0d9039c9b08"
ORDER = s.NewOrder(
    symbol="BTC/USDT",
    type="MARKET",
    side="BUY",
    amount=Decimal("0.05"),
    take_profit_prices=[Decimal(19250), Decimal(19300)],
    stop_trigger_price=Decimal(19000),
    stop_trigger_type="LIMIT",
    stop_price=Decimal(19000),
)
UPLOAD = Secret("exchange-key", "test"), Secret("exchange-secret", "test")
EXCHANGE_KEY = "update_exchange_key__resp_200.json"
SYMBOL = {"symbol": "BTC/USDT"}

Ask = Callable[[MudawylHttp], Awaitable[object]]
# name -> (call, method, path, query, sample of the answer; "" for an empty one)
READS: dict[str, tuple[Ask, str, dict[str, str], str]] = {
    "ticker": (
        lambda h: h.ticker("BTC/USDT"),
        "/v1/pub/exchange/ticker",
        {"exchangeId": "BINANCE", "symbol": "BTC/USDT", "type": "FUTURES"},
        "get_exchange_ticker__resp_200.json",
    ),
    "plans": (
        lambda h: h.plans(),
        "/v1/pub/subscription/list",
        {},
        "list_subscriptions_plans__resp_200.json",
    ),
    "risk_profiles": (
        lambda h: h.risk_profiles(),
        "/v1/pub/strategy/profile/list",
        {},
        "list_strategy_risk_profile__resp_200.json",
    ),
    "strategies": (
        lambda h: h.strategies(),
        "/v1/pub/strategy/list",
        {},
        "list_strategy_automated__resp_200.json",
    ),
    "strategy_history": (
        lambda h: h.strategy_history(ID, "1M", 12),
        f"/v1/pub/strategy/{ID}/history",
        {"interval": "1M", "limit": "12"},
        "list_strategy_history__resp_200.json",
    ),
    "strategy_performance": (
        lambda h: h.strategy_performance(ID),
        f"/v1/pub/strategy/{ID}/performance",
        {"interval": "1d", "limit": "30"},
        "get_strategy_performance__resp_200.json",
    ),
    "profile": (
        lambda h: h.profile(),
        "/v1/priv/account/profile",
        {},
        "get_user_profile__resp_200.json",
    ),
    "whitelist": (
        lambda h: h.whitelist(),
        "/v1/priv/account/exchange/whitelist/ip",
        {},
        "list_whitelist_ip_address__resp_200.json",
    ),
    "total_balance": (
        lambda h: h.total_balance(),
        "/v1/priv/account/exchange/balance",
        {},
        "get_exchange_total_balance__resp_200.json",
    ),
    "keys": (
        lambda h: h.keys(),
        "/v1/priv/account/exchange/key/list",
        {},
        "list_exchange_keys__resp_200.json",
    ),
    "key_balance": (
        lambda h: h.key_balance(KEY_ID),
        f"/v1/priv/account/exchange/key/{KEY_ID}/balance",
        {},
        "get_exchange_key_balance__resp_200.json",
    ),
    "key_balance_history": (
        lambda h: h.key_balance_history(KEY_ID, start="2022-09-11", limit=3, next_token="a/b="),
        f"/v1/priv/account/exchange/key/{KEY_ID}/balance/history",
        {"start": "2022-09-11", "limit": "3", "nextToken": "a/b="},
        "list_exchange_key_balance_history__resp_200.repaired.json",
    ),
    "notification_method": (
        lambda h: h.notification_method(),
        "/v1/priv/account/notification/method",
        {},
        "get_alert_method__resp_200.json",
    ),
    "notifications": (
        lambda h: h.notifications(),
        "/v1/priv/account/notification",
        {},
        "get_notification_settings__resp_200.json",
    ),
    "subscription": (
        lambda h: h.subscription(),
        "/v1/priv/account/subscription",
        {},
        "get_user_subscription__resp_200.json",
    ),
    "stripe_subscription": (
        lambda h: h.stripe_subscription(),
        "/v1/priv/account/subscription/stripe",
        {},
        "get_stripe_subscription__resp_200.json",
    ),
    "billing_history": (
        lambda h: h.billing_history(),
        "/v1/priv/account/subscription/stripe/billing/history",
        {},
        "list_stripe_billing_history__resp_200.repaired.json",
    ),
    "strategy_trades": (
        lambda h: h.strategy_trades(start="2022-10-14"),
        "/v1/priv/account/trade/strategy/history",
        {"start": "2022-10-14", "limit": "30"},
        "list_strategy_automated_history__resp_200.json",
    ),
    "manual_trades": (
        lambda h: h.manual_trades(),
        "/v1/priv/account/trade/manual/history",
        {"limit": "30"},
        "list_manual_trading_history__resp_200.json",
    ),
    "open_orders": (
        lambda h: h.open_orders(KEY_ID, "BTC/USDT"),
        f"/v1/priv/exchange/order/{KEY_ID}/list",
        SYMBOL,
        "list_open_orders__resp_200.json",
    ),
    "order_history": (
        lambda h: h.order_history(KEY_ID, "BTC/USDT"),
        f"/v1/priv/exchange/order/{KEY_ID}/history",
        SYMBOL,
        "list_order_history__resp_200.repaired.json",
    ),
    "trade_history": (
        lambda h: h.trade_history(KEY_ID, "BTC/USDT"),
        f"/v1/priv/exchange/trade/{KEY_ID}/history",
        SYMBOL,
        "list_trade_history__resp_200.repaired.json",
    ),
    "position": (
        lambda h: h.position(KEY_ID, "BTC/USDT"),
        f"/v1/priv/exchange/position/{KEY_ID}",
        SYMBOL,
        "get_futures_open_position__resp_200.json",
    ),
    "follows": (
        lambda h: h.follows(KEY_ID),
        f"/v1/priv/strategy/follow/exchange/key/{KEY_ID}",
        {},
        "list_exchange_key_follows__resp_200.json",
    ),
}
# name -> (call, method, path, sample of the body or the body, sample of the answer)
CHANGES: dict[str, tuple[Ask, str, str, str | None, str]] = {
    "update_profile": (
        lambda h: h.update_profile(s.ProfileChange(language="AR")),
        "PUT",
        "/v1/priv/account/profile",
        "put_user_profile__req.json",
        "put_user_profile__resp_200.json",
    ),
    "create_key": (
        lambda h: h.create_key("Default", "FUTURES", "AUTOMATED", *UPLOAD),
        "POST",
        "/v1/priv/account/exchange/key",
        '{"exchangeId":"BINANCE","tradeType":"FUTURES","strategyType":"AUTOMATED",'
        '"name":"Default","apiKey":"exchange-key","apiSecretKey":"exchange-secret"}',
        "create_exchange_key__resp_200.json",
    ),
    "rename_key": (
        lambda h: h.rename_key(KEY_ID, "Change to different name"),
        "PUT",
        f"/v1/priv/account/exchange/key/{KEY_ID}",
        "update_exchange_key__req.json",
        EXCHANGE_KEY,
    ),
    "delete_key": (
        lambda h: h.delete_key(KEY_ID),
        "DELETE",
        f"/v1/priv/account/exchange/key/{KEY_ID}",
        None,
        "",
    ),
    "update_notifications": (
        lambda h: h.update_notifications(
            s.NotificationChange(
                weekly_report=True,
                monthly_report=False,
                email_new_order=True,
                email_take_profit=True,
                email_stop_loss=True,
            )
        ),
        "PUT",
        "/v1/priv/account/notification",
        "put_notification_settings__req.json",
        "put_notification_settings__resp_200.json",
    ),
    "stripe_checkout": (
        lambda h: h.stripe_checkout(ID),
        "POST",
        "/v1/priv/account/subscription/stripe/checkout",
        json.dumps({"subscriptionId": ID}),
        "create_stripe_subscription_checkout__resp_200.json",
    ),
    "update_stripe": (
        lambda h: h.update_stripe(s.StripeChange(cancel_at_period_end=True)),
        "PUT",
        "/v1/priv/account/subscription/stripe",
        "update_stripe_subscription__req.json",
        "update_stripe_subscription__resp_200.json",
    ),
    "create_order": (
        lambda h: h.create_order(KEY_ID, ORDER),
        "POST",
        f"/v1/priv/exchange/order/{KEY_ID}",
        '{"symbol":"BTC/USDT","type":"MARKET","side":"BUY","amount":0.05,"takeProfitPrices":'
        '[19250,19300],"stopTriggerPrice":19000,"stopTriggerType":"LIMIT","stopPrice":19000}',
        "create_manual_order__resp_200.json",
    ),
    "close_position": (
        lambda h: h.close_position(KEY_ID, "BTC/USDT"),
        "DELETE",
        f"/v1/priv/exchange/position/{KEY_ID}",
        "cancel_futures_position__req.json",
        "",
    ),
    "set_leverage": (
        lambda h: h.set_leverage(KEY_ID, "BTC/USDT", 10),
        "PUT",
        f"/v1/priv/exchange/order/{KEY_ID}/leverage",
        "change_futures_leverage__req.json",
        "",
    ),
    "set_margin_type": (
        lambda h: h.set_margin_type(KEY_ID, "BTC/USDT", "CROSSED"),
        "PUT",
        f"/v1/priv/exchange/order/{KEY_ID}/margin",
        "change_futures_margin_type__req.json",
        "",
    ),
    "follow": (
        lambda h: h.follow(
            KEY_ID,
            s.NewFollow(
                strategy_automated_id="b9f67eb2-1d6e-4a47-a735-d0d9039c9b08",
                strategy_risk_profile_id="ab00673a-cd19-44d4-a7c4-05c63e309663",
            ),
        ),
        "POST",
        f"/v1/priv/strategy/follow/exchange/key/{KEY_ID}",
        "create_exchange_key_follow__req.json",
        "create_exchange_key_follow__resp_200.json",
    ),
    "update_follow": (
        lambda h: h.update_follow(
            ID,
            s.FollowChange(
                active=True,
                strategy_automated_id="b762dad3-b720-4ddd-a515-32ae48e39f94",
                strategy_risk_profile_id="3dc38f3d-4b4e-43b3-a102-e250b7cd3551",
            ),
        ),
        "PUT",
        f"/v1/priv/strategy/follow/{ID}",
        "update_strategy_follow__req.json",
        "update_strategy_follow__resp_200.json",
    ),
}
ACCOUNT_CHANGES = {
    *("update_profile", "create_key", "rename_key", "delete_key"),
    *("update_notifications", "stripe_checkout", "update_stripe"),
}


def test_every_endpoint_of_the_client_is_tested() -> None:
    methods = inspect.getmembers(MudawylHttp, inspect.iscoroutinefunction)
    public = {name for name, _ in methods if not name.startswith("_")} - {"admit", "permit"}
    assert public == READS.keys() | CHANGES.keys()


@pytest.mark.parametrize("name", READS)
async def test_a_read_asks_as_the_document_says(name: str) -> None:
    ask, path, query, reply = READS[name]
    http, script = client(answer(sample(reply)))
    found: Any = await ask(http)
    (request,) = script.sent
    url = urlsplit(request.url)
    assert (request.method, url.path, dict(parse_qsl(url.query))) == ("GET", path, query)
    assert request.body == b""
    is_private = path.startswith("/v1/priv/")
    assert request.headers == ({"Authorization": "the-jwt"} if is_private else {})
    wanted = exact(sample(reply))
    if isinstance(found, list) and isinstance(wanted, dict):
        wanted = wanted["items"]
    assert exact(s.encoded(found)) == wanted


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_asks_as_the_document_says(name: str) -> None:
    ask, method, path, body, reply = CHANGES[name]
    captchas = Captchas()
    http, script = client(
        answer(sample(reply) if reply else b"", 200 if reply else 204),
        captcha=captchas,
        allow_account_changes=True,
    )
    found = await ask(http)
    (request,) = script.sent
    assert (request.method, urlsplit(request.url).path) == (method, path)
    assert request.headers["Authorization"] == "the-jwt"
    assert request.headers["recaptcha-token-v3"] == "captcha-1"
    assert captchas.asked == [f"{method} {path}"]
    if body is None:
        assert request.body == b""
    else:
        assert request.headers["Content-Type"] == "application/json"
        wanted = sample(body) if body.endswith(".json") else body.encode()
        assert exact(request.body) == exact(wanted)
    if reply:
        assert exact(s.encoded(found)) == exact(sample(reply))
    else:
        assert found is None


@pytest.mark.parametrize("name", CHANGES)
async def test_without_a_provider_of_captchas_no_change_leaves(name: str) -> None:
    tokens = Tokens("the-jwt")
    http, script = client(captcha=None, tokens=tokens, allow_account_changes=True)
    with pytest.raises(VenueError, match="reCAPTCHA token") as caught:
        await CHANGES[name][0](http)
    assert (caught.value.code, caught.value.is_sent) == ("MUDAWYL-NO-CAPTCHA", False)
    assert caught.value.kind is VenueErrorKind.REFUSED
    assert script.sent == []
    assert tokens.reads == 0


@pytest.mark.parametrize("name", sorted(ACCOUNT_CHANGES))
async def test_the_account_is_changed_only_where_the_config_allows_it(name: str) -> None:
    captchas = Captchas()
    http, script = client(captcha=captchas)
    with pytest.raises(AccountChangesDisabled):
        await CHANGES[name][0](http)
    assert (script.sent, captchas.asked) == ([], [])


async def test_each_change_has_a_captcha_of_its_own() -> None:
    http, script = client(answer(b"", 204), captcha=Captchas())
    await http.set_leverage(KEY_ID, "BTC/USDT", 10)
    await http.close_position(KEY_ID, "BTC/USDT")
    assert headers(script.sent, "recaptcha-token-v3") == ["captcha-1", "captcha-2"]


async def test_the_token_goes_as_a_bearer_where_the_config_says_so() -> None:
    http, script = client(answer(b"[]"), authorization="bearer")
    await http.whitelist()
    assert script.sent[0].headers["Authorization"] == "Bearer the-jwt"


async def test_a_read_whose_token_expired_is_asked_once_more_with_a_new_one() -> None:
    http, script = client(answer(b"", 401), answer(b"[]"), tokens=Tokens("old", "new"))
    assert await http.whitelist() == []
    assert headers(script.sent, "Authorization") == ["old", "new"]


async def test_a_token_that_stays_refused_is_asked_with_twice() -> None:
    http, script = client(answer(b"", 401))
    with pytest.raises(VenueError) as caught:
        await http.whitelist()
    assert caught.value.kind is VenueErrorKind.AUTH
    assert len(script.sent) == 2


async def test_a_change_whose_token_expired_is_not_repeated() -> None:
    http, script = client(
        answer(b"", 401), answer(b"", 204), captcha=Captchas(), tokens=Tokens("old", "new")
    )
    with pytest.raises(VenueError) as caught:
        await http.set_leverage(KEY_ID, "BTC/USDT", 10)
    assert (caught.value.kind, len(script.sent)) == (VenueErrorKind.AUTH, 1)
    await http.set_leverage(KEY_ID, "BTC/USDT", 10)
    assert headers(script.sent, "Authorization") == ["old", "new"]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_change_is_sent_once_whatever_becomes_of_it(status: int) -> None:
    http, script = client(answer(b"", status), captcha=Captchas())
    with pytest.raises(VenueError):
        await http.create_order(KEY_ID, ORDER)
    lost = TransportError("HTTP-TIMEOUT", "no answer", sent=True)
    http, script = client(lost, captcha=Captchas())
    with pytest.raises(VenueError) as caught:
        await http.create_order(KEY_ID, ORDER)
    assert (caught.value.kind, len(script.sent)) == (VenueErrorKind.UNKNOWN, 1)


async def test_a_read_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    http, script = client(answer(b"", 503), answer(b"[]"))
    limits = ReadLimits(tries_max=2, backoff_min_secs=0.001)
    monkeypatch.setattr(http, "_reads", limits)
    assert await http.whitelist() == []
    assert len(script.sent) == 2


async def test_without_a_token_nothing_private_leaves() -> None:
    http, script = client(is_keyed=False, captcha=Captchas())
    for ask in (http.whitelist(), http.create_order(KEY_ID, ORDER)):
        with pytest.raises(VenueError) as caught:
            await cast("Awaitable[Any]", ask)
        assert caught.value.code == "MUDAWYL-NO-KEY"
    assert script.sent == []


async def test_without_an_id_nothing_leaves() -> None:
    http, script = client()
    with pytest.raises(VenueError, match="key_id") as caught:
        await http.open_orders("", "BTC/USDT")
    assert (caught.value.is_sent, script.sent) == (False, [])


async def test_an_id_stays_one_part_of_the_path() -> None:
    http, script = client(answer(b'{"free":{},"used":{},"total":{}}'))
    await http.key_balance("../../x?y")
    assert script.sent[0].url.endswith("/key/..%2F..%2Fx%3Fy/balance")


async def test_a_position_may_be_nothing_at_all() -> None:
    for body in (b"", b"null"):
        http, _ = client(answer(body))
        assert await http.position(KEY_ID, "BTC/USDT") is None
