"""Every payload of the gateway's document: it is read, and it is written again as it came."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.adapters.base.decode import Answer
from fairlead.adapters.base.venue import ParseError
from fairlead.adapters.mudawyl import errors, parse
from fairlead.adapters.mudawyl import schemas as s
from fairlead.adapters.mudawyl.errors import External, ExternalRefused, ValidationRefused

SAMPLES = Path(__file__).parent / "samples"
SHARED = Path(__file__).parents[4] / "shared" / "venues" / "samples" / "mudawyl"
RAW = ".raw.txt"  # of the document with "..." in lists: not JSON; kept repaired

TYPES: dict[str, Any] = {
    "cancel_futures_position__req": s.SymbolRequest,
    "change_futures_leverage__req": s.LeverageRequest,
    "change_futures_margin_type__req": s.MarginRequest,
    "create_exchange_key__req": s.NewExchangeKey,
    "create_exchange_key__resp_200": s.ExchangeKey,
    "create_exchange_key_follow__req": s.NewFollow,
    "create_exchange_key_follow__resp_200": s.Follow,
    "create_manual_order__req": s.NewOrder,
    "create_manual_order__resp_200": list[s.Order],
    "create_stripe_subscription_checkout__resp_200": s.Checkout,
    "get_alert_method__resp_200": s.NotificationMethod,
    "get_exchange_key_balance__resp_200": s.KeyBalance,
    "get_exchange_ticker__resp_200": s.Ticker,
    "get_exchange_total_balance__resp_200": s.TotalBalance,
    "get_futures_open_position__resp_200": s.Position,
    "get_notification_settings__resp_200": s.Notifications,
    "get_strategy_performance__resp_200": s.StrategyPerformance,
    "get_stripe_subscription__resp_200": s.StripeSubscription,
    "get_user_profile__resp_200": s.Profile,
    "get_user_subscription__resp_200": s.Subscription,
    "list_exchange_key_balance_history__resp_200.repaired": s.Page[s.DayBalance],
    "list_exchange_key_follows__resp_200": s.Page[s.Follow],
    "list_exchange_keys__resp_200": s.Page[s.ExchangeKey],
    "list_manual_trading_history__resp_200": s.Page[s.ManualTrade],
    "list_open_orders__resp_200": list[s.Order],
    "list_order_history__resp_200.repaired": list[s.Order],
    "list_strategy_automated__resp_200": s.Page[s.Strategy],
    "list_strategy_automated_history__resp_200": s.Page[s.StrategyTrade],
    "list_strategy_history__resp_200": s.Page[s.StrategyPeriod],
    "list_strategy_risk_profile__resp_200": s.Page[s.RiskProfile],
    "list_stripe_billing_history__resp_200.repaired": list[s.Bill],
    "list_subscriptions_plans__resp_200": s.Page[s.Plan],
    "list_trade_history__resp_200.repaired": list[s.Trade],
    "list_whitelist_ip_address__resp_200": list[str],
    "put_notification_settings__req": s.NotificationChange,
    "put_notification_settings__resp_200": s.Notifications,
    "put_user_profile__req": s.ProfileChange,
    "put_user_profile__resp_200": s.Profile,
    "update_exchange_key__req": s.KeyChange,
    "update_exchange_key__resp_200": s.ExchangeKey,
    "update_strategy_follow__req": s.FollowChange,
    "update_strategy_follow__resp_200": s.Follow,
    "update_stripe_subscription__req": s.StripeChange,
    "update_stripe_subscription__resp_200": s.StripeSubscription,
}
ERROR_BODIES = {"404": s.MessageBody, "422": s.ValidationBody, "433": s.ExternalBody}


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def names() -> list[str]:
    return sorted(path.name for path in SAMPLES.glob("*.json"))


def status_of(name: str) -> str:
    return name.partition("__resp_")[2][:3]


def type_of(name: str) -> Any:
    return TYPES.get(name.removesuffix(".json")) or ERROR_BODIES[status_of(name)]


def exact(data: bytes) -> Any:
    """JSON with every number as the decimal that it is written as."""
    return json.loads(data, parse_float=Decimal, parse_int=Decimal)


def test_samples_are_the_ones_of_the_document() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"the document's samples are not at {SHARED}")
    theirs = {path.name for path in SHARED.glob("*") if not path.name.endswith(RAW)}
    assert theirs == {path.name for path in SAMPLES.glob("*")}
    for path in SAMPLES.glob("*"):
        assert (SHARED / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", names())
def test_every_sample_is_read_and_written_again(name: str) -> None:
    data = sample(name)
    value = Answer(type_of(name))(data)
    written = exact(s.encoded(value))
    wanted = exact(data)
    if name == "create_manual_order__req.json":
        wanted["amount"] = Decimal(wanted["amount"])  # a text in the example, a Number in the table
    assert written == wanted


@pytest.mark.parametrize("name", [name for name in names() if "__resp_200" in name])
def test_what_is_cut_short_is_a_parse_error(name: str) -> None:
    data = sample(name)
    for cut in range(0, len(data) - 1, max(1, len(data) // 9)):
        with pytest.raises(ParseError):
            Answer(type_of(name))(data[:cut])


def test_the_empty_successes_are_empty() -> None:
    assert all(not path.read_bytes() for path in SAMPLES.glob("*.empty.txt"))


def test_numbers_keep_their_digits() -> None:
    order = Answer(s.NewOrder)(
        b'{"symbol":"A/B","type":"LIMIT","side":"BUY","amount":0.1,"price":1e-7}'
    )
    assert (order.amount, order.price) == (Decimal("0.1"), Decimal("1e-7"))
    position = Answer(s.Position)(sample("get_futures_open_position__resp_200.json"))
    assert position.liquidation_price == Decimal("7930.83500535")


def test_orders_tell_what_was_left_out_from_what_is_null() -> None:
    entry, target = Answer(list[s.Order])(sample("create_manual_order__resp_200.json"))[:2]
    assert entry.stop_price is msgspec.UNSET
    assert s.told(entry.stop_price) is None
    assert target.stop_price == Decimal(19250)
    stop = Answer(list[s.Order])(sample("list_open_orders__resp_200.json"))[0]
    assert stop.amount is None
    assert stop.remaining is None


def test_a_flat_position_may_look_like_nothing() -> None:
    assert Answer(s.Position)(b"{}") == s.Position()


def test_no_key_of_the_exchange_is_in_a_repr() -> None:
    for key in Answer(s.Page[s.ExchangeKey])(sample("list_exchange_keys__resp_200.json")).items:
        assert key.api_key not in repr(key)
    new = Answer(s.NewExchangeKey)(sample("create_exchange_key__req.json"))
    assert new.api_key not in repr(new)
    assert new.api_secret_key not in repr(new)
    method = Answer(s.NotificationMethod)(sample("get_alert_method__resp_200.json"))
    assert method.telegram_auth_code not in repr(method)


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in names() if status_of(name) == "433"])
def test_every_433_of_the_document_is_a_code_that_is_known(name: str) -> None:
    error = errors.status_error(433, sample(name))
    assert isinstance(error, ExternalRefused)
    assert error.external is not None
    assert error.code == f"MUDAWYL-{error.external}"


def test_the_document_has_an_example_of_all_433_codes() -> None:
    told = {
        errors.external_error(exact(sample(name))["error"], makes_orders=False).external
        for name in names()
        if status_of(name) == "433"
    }
    assert told == set(External) == set(errors.ERROR_CODES)


@pytest.mark.parametrize("name", [name for name in names() if status_of(name) == "422"])
def test_every_422_names_its_fields(name: str) -> None:
    error = errors.status_error(422, sample(name))
    assert isinstance(error, ValidationRefused)
    assert [row.param for row in error.errors] == [
        row["param"] for row in exact(sample(name))["errors"]
    ]
    assert error.errors[0].param in error.message


def test_a_422_does_not_repeat_a_secret() -> None:
    body = (
        b'{"errors":[{"value":"hush-hush","msg":"bad","param":"apiSecretKey","location":"body"}]}'
    )
    assert "hush-hush" not in str(errors.status_error(422, body))


# -- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2022-10-04T16:44:56.193Z", 1_664_901_896_193_000_000),
        ("2022-09-09T02:01:23.456", 1_662_688_883_456_000_000),
        ("2022-09-09T02:01:23Z", 1_662_688_883_000_000_000),
        (None, 0),
    ],
)
def test_times_are_utc_also_without_a_z(text: str | None, ns: int) -> None:
    assert parse.time_ns(text) == ns


@pytest.mark.parametrize(
    "text", ["2022-10-04", "soon", "2022-13-04T16:44:56Z", "0001-01-01T00:00:00Z"]
)
def test_what_is_no_time_is_a_parse_error(text: str) -> None:
    with pytest.raises(ParseError):
        parse.time_ns(text)


@pytest.mark.parametrize("stamp", [1_665_522_363, 1_665_522_363_069_000, -1])
def test_a_timestamp_in_another_unit_is_refused(stamp: int) -> None:
    row = s.Order(id="1", symbol="BTC/USDT", type="limit", side="buy", timestamp=stamp)
    with pytest.raises(ParseError):
        parse.created_ns(row)
