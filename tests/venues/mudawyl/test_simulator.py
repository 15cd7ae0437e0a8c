"""The simulated gateway by its wire: who may ask, the clearing, legs that fill, what fails."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.mudawyl.simulator_routes import ROUTES
from tests.venues.mudawyl.simulator_kit import BRACKET, BTC, ORDER, SECOND, Desk
from tests.venues.mudawyl.test_payloads import exact, sample

UNKNOWN_ID = "b9f67eb2-1d6e-4a47-a735-d0d9039c9b08"
PRIVATE = "/v1/priv/account/exchange/whitelist/ip"
ORDERS = "/v1/priv/exchange/order"


def entries(rows: Any, kind: str) -> list[Any]:
    return [row for row in rows if row["type"] == kind]


# -- who asks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"authorization": ""}, {"authorization": "a.b.c"}])
def test_without_the_users_token_nothing_private_is_told(headers: dict[str, str]) -> None:
    assert Desk().send("GET", PRIVATE, headers=headers)[0] == 401


def test_a_token_expires() -> None:
    desk = Desk(token_secs=60)
    old = {"authorization": desk.sim.token}
    assert desk.send("GET", PRIVATE, headers=old)[0] == 200
    desk.wait(61_000)
    assert desk.send("GET", PRIVATE, headers=old)[0] == 401
    fresh = desk.sim.control({"token": True})["token"]  # type: ignore[index]
    assert desk.send("GET", PRIVATE, headers={"authorization": fresh})[0] == 200


@pytest.mark.parametrize(
    ("how", "raw", "bearer"), [("raw", 200, 401), ("bearer", 401, 200), ("either", 200, 200)]
)
def test_the_token_is_raw_or_a_bearers(how: Any, raw: int, bearer: int) -> None:
    desk = Desk(authorization=how)
    assert desk.send("GET", PRIVATE, headers={"authorization": desk.sim.token})[0] == raw
    headers = {"authorization": f"Bearer {desk.sim.token}"}
    assert desk.send("GET", PRIVATE, headers=headers)[0] == bearer


def test_a_token_of_an_earlier_start_goes_on() -> None:
    desk = Desk()
    desk.sim.take_credentials({"token": "kept-token"})
    assert desk.send("GET", PRIVATE, headers={"authorization": "kept-token"})[0] == 200
    with pytest.raises(ValueError):
        desk.sim.take_credentials({"token": ""})


def test_every_change_needs_a_captcha_that_is_good_once_and_for_two_minutes() -> None:
    desk = Desk()
    path = f"/v1/priv/exchange/position/{desk.key}"

    def ask(**more: str) -> int:
        headers = {"authorization": desk.sim.token} | more
        return desk.send("DELETE", path, {"symbol": BTC}, headers=headers)[0]

    assert ask() == 403
    assert ask(**{"recaptcha-token-v3": "made-up"}) == 403
    captcha = desk.sim.control({"captcha": True})["captcha"]  # type: ignore[index]
    assert ask(**{"recaptcha-token-v3": captcha}) == 204
    assert ask(**{"recaptcha-token-v3": captcha}) == 403
    late = desk.sim.new_captcha()
    desk.wait(121_000)
    assert ask(**{"recaptcha-token-v3": late}) == 403


def test_every_endpoint_that_changes_refuses_without_a_captcha() -> None:
    desk = Desk()
    for endpoint in ROUTES.endpoints:
        if endpoint.methods == "GET":
            continue
        path = endpoint.path.replace("{id}", desk.key)
        headers = {"authorization": desk.sim.token}
        assert desk.send(endpoint.methods, path, {}, headers=headers)[0] == 403, path


def test_too_many_requests_are_refused() -> None:
    desk = Desk(requests_per_sec=5)
    statuses = [desk.send("GET", "/v1/pub/strategy/list")[0] for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2


def test_what_is_no_route_is_not_found() -> None:
    assert Desk().send("GET", "/v1/priv/nothing") == (404, {"message": "route not found"})


# -- orders ----------------------------------------------------------------------------------------


def test_a_market_order_fills_and_the_position_is_told() -> None:
    desk = Desk()
    (entry,) = desk.create()
    assert (entry["type"], entry["status"], entry["filled"]) == (
        "market",
        "closed",
        Decimal("0.05"),
    )
    position = desk.position()
    assert (position["side"], position["contracts"]) == ("long", Decimal("0.05"))
    assert position["entryPrice"] == entry["average"]
    trades = desk.trades()
    assert {trade["order"] for trade in trades} == {entry["id"]}
    assert sum(trade["amount"] for trade in trades) == Decimal("0.05")
    paid = sum(trade["fee"]["cost"] for trade in trades)
    assert paid == sum(trade["cost"] for trade in trades) * Decimal("0.0004")
    assert desk.balance()["total"]["USDT"] == 10_000 - paid
    assert desk.balance()["used"]["USDT"] > 0


def test_a_bracket_is_the_entry_its_targets_in_order_and_its_stop() -> None:
    desk = Desk()
    entry, first, second, stop = desk.bracket()
    assert [row["type"] for row in (first, second, stop)] == ["take_profit", "take_profit", "stop"]
    assert [row["stopPrice"] for row in (first, second, stop)] == [60500, 61000, 59000]
    assert [row["amount"] for row in (first, second, stop)] == [
        Decimal("0.025"),
        Decimal("0.025"),
        Decimal("0.05"),
    ]
    assert {row["side"] for row in (first, second, stop)} == {"sell"}
    assert all(row["reduceOnly"] for row in (first, second, stop))
    assert [row["id"] for row in desk.open()] == [first["id"], second["id"], stop["id"]]
    (recorded,) = desk.get("/v1/priv/account/trade/manual/history")["items"]
    assert (recorded["orderId"], recorded["takeProfit"]) == (entry["id"], [60500, 61000])


def test_the_targets_split_the_amount_on_the_step() -> None:
    rows = Desk().bracket(amount="0.05", takeProfitPrices=[60100, 60200, 60300])
    amounts = [row["amount"] for row in entries(rows, "take_profit")]
    assert amounts == [Decimal("0.016"), Decimal("0.016"), Decimal("0.018")]


def test_a_target_fills_and_then_the_stop_takes_what_is_left() -> None:
    desk = Desk()
    _, first, second, stop = desk.bracket()
    desk.move("60510")
    assert desk.position()["contracts"] == Decimal("0.025")
    assert [row["id"] for row in desk.open()] == [second["id"], stop["id"]]
    desk.move("58950")  # the stop's limit is 58900
    assert desk.position()["contracts"] == 0
    assert desk.open() == []
    rows = {row["id"]: row for row in desk.history()}
    assert (rows[first["id"]]["status"], rows[first["id"]]["type"]) == ("closed", "limit")
    assert rows[stop["id"]]["filled"] == Decimal("0.025")
    assert rows[stop["id"]]["stopPrice"] == 59000
    assert rows[second["id"]]["status"] == "expired"


def test_the_stop_of_a_short_is_above_it() -> None:
    desk = Desk()
    desk.bracket(
        side="SELL", takeProfitPrices=[59500], stopTriggerPrice=61000, stopTriggerType="MARKET"
    )
    assert desk.position()["side"] == "short"
    (stop,) = entries(desk.open(), "stop_market")
    assert (stop["amount"], stop["remaining"], stop["timeInForce"]) == (None, None, "GTE_GTC")
    desk.move("61010")
    assert desk.position()["contracts"] == 0
    triggered = next(row for row in desk.history() if row["id"] == stop["id"])
    assert (triggered["type"], triggered["filled"]) == ("market", Decimal("0.05"))
    assert desk.balance()["total"]["USDT"] < 10_000


def test_a_limit_order_rests_and_its_legs_wait_with_it() -> None:
    desk = Desk()
    entry, *_ = desk.bracket(type="LIMIT", price=59500, takeProfitPrices=[60500])
    assert (entry["status"], entry["filled"]) == ("open", 0)
    desk.move("60600")  # its target's price, before there is a position
    assert desk.position()["contracts"] == 0
    desk.move("59400")
    assert desk.position()["contracts"] == Decimal("0.05")


def test_a_trailing_stop_follows_from_its_price_on_and_opens_a_position() -> None:
    desk = Desk()
    (row,) = desk.create(type="TRAILING_STOP", price=59000, callbackRate=1)
    assert row["type"] == "trailing_stop_market"
    for price in ("59500", "58900", "58000", "58500"):
        desk.move(price)
        assert desk.position()["contracts"] == 0
    desk.move("58600")  # 1 % above the lowest
    assert desk.position()["contracts"] == Decimal("0.05")


def test_a_new_order_clears_the_position_and_the_orders_of_its_symbol() -> None:
    desk = Desk()
    desk.bracket()
    old = {row["id"] for row in desk.open()}
    desk.create(amount="0.01")
    assert desk.open() == []
    assert desk.position()["contracts"] == Decimal("0.01")
    statuses = {row["id"]: row["status"] for row in desk.history()}
    assert {statuses[each] for each in old} == {"canceled"}


def test_a_limit_order_clears_too_so_two_never_stand_side_by_side() -> None:
    desk = Desk()
    for price in (59000, 58000):
        desk.create(type="LIMIT", price=price)
    assert [row["price"] for row in desk.open()] == [58000]


@pytest.mark.parametrize(("clears", "stays"), [("symbol", True), ("account", False)])
def test_how_far_the_clearing_goes_is_an_option(clears: Any, stays: bool) -> None:
    desk = Desk(clears=clears)
    desk.create()
    desk.create(symbol="ETH/USDT", amount="1")
    assert (desk.position()["contracts"] == Decimal("0.05")) is stays


@pytest.mark.parametrize(("clears_first", "left"), [(True, Decimal(0)), (False, Decimal("0.05"))])
def test_an_order_that_the_exchange_refuses_may_have_cleared(
    clears_first: bool, left: Decimal
) -> None:
    desk = Desk(refusal_clears=clears_first)
    desk.create()
    assert desk.refused("POST", f"{ORDERS}/{desk.key}", ORDER | {"amount": 5}) == (433, "1500")
    assert desk.position()["contracts"] == left


@pytest.mark.parametrize("kind", ["stop", "target"])
def test_a_leg_that_the_exchange_refuses_is_missing_from_the_answer(kind: str) -> None:
    desk = Desk()
    desk.sim.control({"fail": kind})
    rows = desk.bracket()
    assert len(rows) == 3
    wanted = {"stop": {"take_profit"}, "target": {"take_profit", "stop"}}[kind]
    assert {row["type"] for row in desk.open()} == wanted
    assert len(desk.bracket()) == 4  # once only


def test_or_the_bracket_is_told_as_refused_though_its_entry_stands() -> None:
    desk = Desk(partial="error")
    desk.sim.control({"fail": "stop"})
    assert desk.refused("POST", f"{ORDERS}/{desk.key}", BRACKET) == (433, "1500")
    assert desk.position()["contracts"] == Decimal("0.05")
    assert {row["type"] for row in desk.open()} == {"take_profit"}


def test_a_stop_that_would_trigger_at_once_is_a_leg_that_fails() -> None:
    rows = Desk().bracket(stopTriggerPrice=60100, stopPrice=60000)
    assert not entries(rows, "stop")


def test_closing_a_position_cancels_every_order() -> None:
    desk = Desk()
    desk.bracket()
    assert desk.send("DELETE", f"/v1/priv/exchange/position/{desk.key}", {"symbol": BTC})[0] == 204
    assert desk.position()["contracts"] == 0
    assert desk.open() == []


@pytest.mark.parametrize("shape", ["zero", "nulls", "empty"])
def test_a_flat_position_looks_as_the_option_says(shape: Any) -> None:
    found = Desk(flat_position=shape).position()
    assert (found == {}) is (shape == "empty")
    assert found.get("contracts") in (None, 0)


def test_leverage_sets_the_margin_that_is_used() -> None:
    desk = Desk()
    desk.create()
    before = desk.balance()["used"]["USDT"]
    assert (
        desk.send("PUT", f"{ORDERS}/{desk.key}/leverage", {"symbol": BTC, "leverage": 8})[0] == 204
    )
    assert desk.balance()["used"]["USDT"] == before / 2
    assert desk.position()["leverage"] == 8


def test_the_margin_type_is_told() -> None:
    desk = Desk()
    desk.create()
    for kind, told in (("ISOLATED", "isolated"), ("CROSSED", "cross")):
        desk.ok("PUT", f"{ORDERS}/{desk.key}/margin", {"symbol": BTC, "type": kind})
        assert desk.position()["marginType"] == told


def test_money_is_whole_after_all_of_it() -> None:
    desk = Desk()
    total = desk.sim.exchange.ledger.total("USDT")
    desk.bracket()
    desk.move("60510")
    desk.move("58950")
    desk.create(side="SELL")
    desk.ok("DELETE", f"/v1/priv/exchange/position/{desk.key}", {"symbol": BTC})
    assert desk.sim.exchange.ledger.total("USDT") == total
    assert desk.sim.wallet() == desk.balance()["total"]["USDT"]


# -- what each endpoint refuses --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "params"),
    [
        ({"symbol": "BTCUSDT"}, "symbol"),
        ({"type": "STOP"}, "type"),
        ({"side": "buy"}, "side"),
        ({"amount": "a lot"}, "amount"),
        ({"amount": 0}, "amount"),
        ({"type": "LIMIT"}, "price"),
        ({"type": "TRAILING_STOP"}, "price,callbackRate"),
        ({"type": "TRAILING_STOP", "price": 1, "callbackRate": 6}, "callbackRate"),
        (
            {"type": "TRAILING_STOP", "price": 1, "callbackRate": 1, "takeProfitPrices": [2]},
            "takeProfitPrices",
        ),
        (
            {"type": "TRAILING_STOP", "price": 1, "callbackRate": 1}
            | {"stopTriggerPrice": "20000", "stopTriggerType": "LIMIT"},
            "stopTriggerPrice,stopTriggerType",
        ),
        ({"takeProfitPrices": [60100] * 26}, "takeProfitPrices"),
        ({"takeProfitPrices": 60100}, "takeProfitPrices"),
        ({"takeProfitPrices": ["x"]}, "takeProfitPrices"),
        ({"stopTriggerPrice": 59000}, "stopTriggerType"),
        ({"stopTriggerPrice": 59000, "stopTriggerType": "LIMIT"}, "stopTriggerType"),
        ({"stopTriggerType": "LIMIT"}, "stopTriggerPrice,stopTriggerType"),
        ({"stopTriggerType": "LIMIT", "stopPrice": 59000}, "stopTriggerPrice"),
        ({"stopTriggerType": "MARKET", "stopTriggerPrice": None}, "stopTriggerPrice"),
        ({"stopTriggerType": "STOP"}, "stopTriggerPrice,stopTriggerType"),
        (
            {"type": "TRAILING_STOP", "price": 1, "callbackRate": 1, "stopTriggerType": "LIMIT"},
            "stopTriggerType",
        ),
    ],
)
def test_an_order_that_is_not_valid_names_its_fields(change: dict[str, Any], params: str) -> None:
    desk = Desk()
    assert desk.refused("POST", f"{ORDERS}/{desk.key}", ORDER | change) == (422, params)
    assert desk.history() == []


def key_of(desk: Desk, name: str) -> str:
    return next(key.id for key in desk.sim.keys.values() if key.name == name)


def test_keys_of_other_kinds_do_not_trade() -> None:
    desk = Desk()
    spot, automated = key_of(desk, "Spot"), key_of(desk, "Automated")
    assert desk.refused("POST", f"{ORDERS}/{spot}", ORDER) == (433, "1106")
    assert desk.refused("POST", f"{ORDERS}/{automated}", ORDER) == (433, "1115")
    assert desk.refused("GET", f"/v1/priv/exchange/position/{spot}", symbol=BTC) == (433, "1106")
    for path in ("leverage", "margin"):
        body = {"symbol": BTC, "leverage": 3, "type": "CROSSED"}
        assert desk.refused("PUT", f"{ORDERS}/{spot}/{path}", body) == (433, "1106")
    close = f"/v1/priv/exchange/position/{spot}"
    assert desk.refused("DELETE", close, {"symbol": BTC}) == (433, "1106")
    assert desk.get(f"{ORDERS}/{automated}/list", symbol=BTC) == []


EXCHANGE = [
    ("GET", "order/{key}/list"),
    ("GET", "order/{key}/history"),
    ("GET", "trade/{key}/history"),
    ("GET", "position/{key}"),
    ("POST", "order/{key}"),
    ("DELETE", "position/{key}"),
    ("PUT", "order/{key}/leverage"),
    ("PUT", "order/{key}/margin"),
]


@pytest.mark.parametrize(("method", "path"), EXCHANGE)
def test_each_endpoint_of_the_exchange_refuses_what_the_document_lists(
    method: str, path: str
) -> None:
    desk = Desk()
    fields = BRACKET | {"leverage": 3}
    if path.endswith("margin"):
        fields |= {"type": "CROSSED"}

    def ask(key: str, symbol: str) -> tuple[int, str]:
        where = f"/v1/priv/exchange/{path.format(key=key)}"
        if method == "GET":
            return desk.refused(method, where, symbol=symbol)
        return desk.refused(method, where, fields | {"symbol": symbol})

    assert ask("invaliduuid", BTC) == (422, "id")
    assert ask(desk.key, "BTCUSDT") == (422, "symbol")
    assert ask(UNKNOWN_ID, BTC) == (404, "route not found")
    assert ask(desk.key, "DOGE/USDT") == (433, "1300")
    desk.sim.control({"exchange": "refuses"})
    assert ask(desk.key, BTC) == (433, "1103")
    desk.sim.control({"exchange": "accepts"})


def test_leverage_above_the_bracket_is_refused_by_the_exchange() -> None:
    desk = Desk()
    path = f"{ORDERS}/{desk.key}/leverage"
    assert desk.refused("PUT", path, {"symbol": BTC, "leverage": 51}) == (433, "1500")
    for leverage in (0, 126, "x", 1.5):
        assert desk.refused("PUT", path, {"symbol": BTC, "leverage": leverage}) == (422, "leverage")


def test_the_exchange_refuses_what_it_can_not_take() -> None:
    desk = Desk()
    path = f"{ORDERS}/{desk.key}"
    for change in (
        {"amount": "0.0001"},  # not on the step
        {"type": "LIMIT", "price": 1, "amount": 1},  # less than the least value
        {"type": "LIMIT", "price": "59000.05"},  # not on the tick
        {"amount": 5},  # more than the margin allows
    ):
        assert desk.refused("POST", path, ORDER | change) == (433, "1500")
    assert desk.position()["contracts"] == 0


def test_bodies_that_are_no_objects_are_bad_requests() -> None:
    desk = Desk()
    for body in (b"[]", b"{", b"3", b"\xff", b'{"amount":1e999999999}'):
        status, _ = desk.send("POST", f"{ORDERS}/{desk.key}", body)
        assert status in (400, 422), body


def shape(value: Any) -> Any:
    """Names, without values."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


def test_what_the_exchange_tells_has_the_documents_fields() -> None:
    desk = Desk()
    made = desk.bracket()
    document = exact(sample("create_manual_order__resp_200.json"))
    assert [shape(row) for row in made] == [shape(row) for row in document]
    listed = exact(sample("list_open_orders__resp_200.json"))
    assert shape(desk.open()) == shape(listed)
    assert shape(desk.history()) == shape(
        exact(sample("list_order_history__resp_200.repaired.json"))
    )
    assert shape(desk.trades()) == shape(
        exact(sample("list_trade_history__resp_200.repaired.json"))
    )
    position = exact(sample("get_futures_open_position__resp_200.json"))
    assert shape(desk.position()) == shape(position)


def test_the_market_moves_by_itself() -> None:
    desk = Desk(is_market_live=True)
    before = desk.get("/v1/pub/exchange/ticker", symbol=BTC, exchangeId="BINANCE")
    desk.wait(60_000)
    after = desk.get("/v1/pub/exchange/ticker", symbol=BTC, exchangeId="BINANCE")
    assert after["timestamp"] - before["timestamp"] == 60 * SECOND // 1_000_000 + 100
    assert after["last"] != before["last"]
