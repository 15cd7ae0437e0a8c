"""REST of the simulated Zerocap against the venue's document, in both dialects."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.zerocap.config import Dialect
from fairlead.engine.orders.model import Side
from tests.simulation.zerocap_harness import SYMBOL, T0, Desk, shape
from tests.venues.zerocap.conftest import SAMPLES

D = Decimal
BOTH = pytest.mark.parametrize("dialect", ["A", "C"])


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_bytes())


def tiers(desk: Desk) -> tuple[Any, Any]:
    return desk.sim.ladders(desk.sim.markets[SYMBOL])


def free(desk: Desk, currency: str) -> Decimal:
    return desk.sim.exchange.ledger.balance("main", currency).free


# -- orders ----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("side", "amount"), [("buy", "100"), ("buy", "5000.01"), ("sell", "20000")]
)
def test_an_order_fills_whole_at_the_tier_that_covers_it(
    dialect: Dialect, side: str, amount: str
) -> None:
    desk = Desk(dialect)
    bids, asks = tiers(desk)
    offered = asks if side == "buy" else bids
    price = next(tier.price for tier in offered if tier.size >= D(amount))
    before = free(desk, "USDT"), free(desk, "AUD")
    done = desk.create(side, amount, "21.1" if side == "buy" else "0.1")
    assert (done["status"], D(str(done["average"]))) == ("closed", price)
    (fill,) = desk.sim.exchange.ledger.fills("main")
    assert (fill.price, fill.quantity, fill.fee) == (price, D(amount), 0)
    sign = 1 if side == "buy" else -1
    assert free(desk, "USDT") == before[0] + sign * D(amount)
    assert free(desk, "AUD") == before[1] - sign * D(amount) * price


def test_a_market_order_needs_no_price() -> None:
    desk = Desk("A")
    assert desk.create("buy", "100")["status"] == "closed"
    bids, asks = tiers(desk)
    assert bids[0].price < asks[0].price


@BOTH
def test_answers_have_the_shape_of_the_document_s(dialect: Dialect) -> None:
    desk = Desk(dialect)
    done = desk.create("buy", "100", "21.1")
    listed = desk.fetched()
    rejected = desk.fetch(desk.create("buy", "100", "0.1")["id"])
    if dialect == "C":
        assert shape(done) == shape(sample("zc_C_rest_create_order_response.json"))
        assert shape(desk.fetch(done["id"])) == shape(sample("zc_C_rest_fetch_order_response.json"))
        assert shape(listed) == shape(sample("zc_C_rest_fetch_orders_response.json"))
        assert (rejected["status"], rejected["trades"]) == ("rejected", [])
        assert rejected["error_message"]
        return
    assert shape(done) == shape(sample("zc_A_rest_create_order_response.json"))
    documented = sample("zc_A_rest_fetch_order_response_rejected.json")["order_list"][0]
    assert shape(rejected) == shape(documented)
    assert rejected["trades"] == documented["trades"]
    assert set(listed) == set(sample("zc_A_rest_fetch_orders_response.json"))
    assert set(listed["order_list"][0]) == set(documented)


def test_a_fetched_trade_of_dialect_c_has_the_order_s_limit_for_its_price() -> None:
    desk = Desk("C")
    done = desk.create("buy", "100", "21.1")
    fetched = desk.fetch(done["id"])
    assert fetched["trades"][0]["price"] == 21.1
    assert done["trades"][0]["price"] == done["average"] == fetched["average"] < 2


@BOTH
@pytest.mark.parametrize(
    ("side", "amount", "price"),
    [
        ("buy", "100", "1.4"),  # beyond the dealer's price
        ("sell", "100", "1.6"),
        ("buy", "50000.01", "21.1"),  # no tier covers it
        ("buy", "0.99", "21.1"),
        ("buy", "100.001", "21.1"),
        ("buy", "100", "1.60001"),
    ],
)
def test_what_can_not_be_filled_is_rejected_with_a_200(
    dialect: Dialect, side: str, amount: str, price: str
) -> None:
    desk = Desk(dialect)
    before = desk.sim.exchange.ledger.balances("main")
    done = desk.create(side, amount, price)
    assert done["status"] == "rejected"
    assert desk.fetch(done["id"])["status"] == "rejected"
    assert desk.sim.exchange.ledger.balances("main") == before
    assert desk.sim.exchange.ledger.fills("main") == []


@BOTH
def test_too_little_money_is_a_rejection(dialect: Dialect) -> None:
    desk = Desk(dialect, balances={"AUD": D(10)})
    assert desk.create("buy", "100", "21.1")["status"] == "rejected"


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "USDT AUD"},
        {"symbol": None},
        {"side": "both"},
        {"type": "stop"},
        {"amount": "ten"},
        {"amount": "0"},
        {"amount": "NaN"},
        {"amount": "-1"},
        {"price": "0"},
        {"price": "1e99"},
        {"client_order_id": "a b"},
        {"client_order_id": 7},
    ],
)
def test_what_is_malformed_is_422(dialect: Dialect, change: dict[str, Any]) -> None:
    desk = Desk(dialect)
    body = {"symbol": SYMBOL, "side": "buy", "type": "limit", "amount": "100", "price": "2"}
    status, _ = desk.send("POST", "/orders/create_order", body | change)
    assert status == 422
    assert desk.sim.deals == {}


def test_dialect_c_has_no_market_orders() -> None:
    desk = Desk("C")
    body = {"symbol": SYMBOL, "side": "buy", "type": "market", "amount": "100", "price": "2"}
    assert desk.send("POST", "/orders/create_order", body)[0] == 422


@BOTH
def test_the_echo_of_an_id_can_be_longer(dialect: Dialect) -> None:
    desk = Desk(dialect, id_suffix="be")
    done = desk.create("buy", "100", "2")
    assert done["clientOrderId" if dialect == "A" else "client_order_id"] == "c1be"
    (row,) = desk.fetched()["order_list"]
    assert row["client_order_id"] == "c1be"


@BOTH
def test_orders_are_listed_by_what_is_asked_for(dialect: Dialect) -> None:
    desk = Desk(dialect)
    ids = []
    for side, price in (("buy", "2"), ("sell", "0.1"), ("buy", "0.1")):
        ids.append(desk.create(side, "100", price)["id"])
        desk.wait(1000)

    def listed(**params: Any) -> list[str]:
        return [row["id"] for row in desk.fetched(**params)["order_list"]]

    assert listed() == ids[::-1]
    assert listed(sort_order="asc") == ids
    assert listed(side="buy") == [ids[2], ids[0]]
    assert listed(status="rejected") == [ids[2]]
    assert listed(ids=f"{ids[0]},{ids[1]}") == [ids[1], ids[0]]
    assert listed(symbol="BTC/AUD") == []
    second = T0 // 10**9 * 1000 + 1000
    assert listed(start_datetime=second, end_datetime=second + 1000) == [ids[1]]
    assert listed(start_datetime=second) == [ids[2], ids[1]]  # inclusive
    assert listed(end_datetime=second) == [ids[0]]  # exclusive
    last = 1 if dialect == "A" else 2  # pages are counted from 0 in A, from 1 in C
    page = desk.fetched(limit=2, page=last)
    assert [row["id"] for row in page["order_list"]] == [ids[0]]
    assert (page["total"], int(page["page"])) == (3, last)


def test_an_order_of_the_ledger_is_found_by_its_id() -> None:
    desk = Desk("A")
    done, killed = desk.create("buy", "100"), desk.create("buy", "100", "0.1")
    (fill,) = desk.sim.exchange.ledger.fills("main")
    assert desk.sim.ledger_id(done["id"]) == fill.order_id
    assert desk.sim.ledger_id(killed["id"]) > fill.order_id
    beyond = desk.create("buy", "60000", "9")
    assert desk.sim.ledger_id(beyond["id"]) == 0, "refused at the door"
    with pytest.raises(ValueError, match="no order"):
        desk.sim.ledger_id("else")


# -- who may ask -----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"api-key": "x"}, b"Unauthorized."),
        ({"signature": ""}, b"Unauthorized."),
        ({"signature": "00"}, b"encryption check is fail"),
    ],
)
def test_a_wrong_key_is_401(dialect: Dialect, change: dict[str, str], words: bytes) -> None:
    desk = Desk(dialect)
    headers = desk.headers() | change
    assert desk.send("POST", "/orders/fetch_orders", {}, headers=headers) == (401, words)
    assert desk.send("POST", "/orders/fetch_orders", {}, headers={}) == (401, b"Unauthorized.")


@pytest.mark.parametrize(("form", "key"), [("detail", "detail"), ("code", "error_message")])
def test_a_refusal_is_written_in_one_of_three_ways(form: str, key: str) -> None:
    desk = Desk("C", error_body=form)
    status, body = desk.send("POST", "/orders/fetch_orders", {}, headers={})
    assert (status, json.loads(body)[key]) == (401, "Unauthorized.")


@pytest.mark.parametrize(
    ("skew", "status"), [(0, 200), (30, 200), (-30, 200), (31, 408), (-31, 408)]
)
def test_a_clock_that_is_off_is_408(skew: int, status: int) -> None:
    desk = Desk("C")
    desk.skew_secs = skew
    assert desk.send("GET", "/orders/get_risk")[0] == status


def test_a_timestamp_is_a_whole_number() -> None:
    desk = Desk("C")
    headers = desk.headers() | {"timestamp": "1800000000.5"}
    assert desk.send("GET", "/orders/get_risk", headers=headers) == (401, b"invalid timestamp")


def test_an_address_that_is_not_listed_is_401() -> None:
    desk = Desk("C", allowed_ips=("10.0.0.1",))
    assert desk.send("GET", "/orders/get_risk") == (401, b"Unauthorized IP address.")


@BOTH
def test_each_endpoint_has_its_own_limit_a_second(dialect: Dialect) -> None:
    desk = Desk(dialect, requests_per_sec=2)
    statuses = [desk.send("POST", "/orders/fetch_orders", {})[0] for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert desk.send("GET", "/systems/get_time")[0] == 200
    desk.wait(1001)
    assert desk.send("POST", "/orders/fetch_orders", {})[0] == 200


def test_one_dialect_s_endpoints_are_not_the_other_s() -> None:
    assert Desk("A").send("GET", "/orders/get_balances")[0] == 404
    assert Desk("C").send("POST", "/orders/fetch_order", {"id": "x"})[0] == 404
    assert Desk("C", dialects=("A",)).send("GET", "/orders/get_risk")[0] == 401
    assert Desk("A").send("POST", "/orders/cancel_order", {})[0] == 404


def test_a_key_proves_itself() -> None:
    desk = Desk("A")
    proof = {"api_key": desk.options.api_key, "signature": desk.headers()["signature"]}
    path = "/orders/api_key_signature_valid"
    assert desk.ok("POST", path, proof) == sample("zc_A_rest_signature_valid_response.json")
    assert desk.ok("POST", path, proof | {"signature": "00"}) == {"status_code": 401}


# -- dialect C's account and quotes ----------------------------------------------------------------


def test_the_account_s_answers_have_the_shape_of_the_document_s() -> None:
    desk = Desk("C")
    for path in ("instruments", "risk"):
        documented = sample(f"zc_C_rest_{path}_response.json")
        assert shape(desk.ok("GET", f"/orders/get_{path}")) == shape(documented)
    told = desk.ok("GET", "/systems/get_time")
    assert told == {"server_time": str(T0 // 10**9)}
    balances, documented = (
        desk.ok("GET", "/orders/get_balances"),
        sample("zc_C_rest_balances_response.json"),
    )
    assert shape(balances["AUD"]["custody"]) == shape(documented["AUD"]["custody"])
    assert (
        balances["prime"]["AUD"]
        == balances["AUD"]["prime"]
        == {
            "free": 150_000.0,
            "total": 150_000.0,
            "used": 0.0,
        }
    )
    quote = desk.ok(
        "POST", "/orders/request_for_quote", {"symbol": SYMBOL, "side": "buy", "amount": "100"}
    )
    assert shape(quote) == shape(sample("zc_C_rest_rfq_response.json"))


def test_a_firm_quote_holds_its_price_until_it_expires() -> None:
    desk = Desk("C")
    ask = {"symbol": SYMBOL, "side": "buy", "amount": "100"}
    quote = desk.ok("POST", "/orders/request_for_firm_quote", ask)
    desk.sim.exchange.set_level(SYMBOL, Side.SELL, D("1.4"), D(10**6), T0)  # a better price now
    done = desk.ok("POST", "/orders/accept_quote", {"quote_id": quote["quote_id"]})
    assert (done["status"], done["average"]) == ("closed", quote["price"])
    again = desk.send("POST", "/orders/accept_quote", {"quote_id": quote["quote_id"]})
    assert again == (422, b"quote_id: the quote is used")
    late = desk.ok("POST", "/orders/request_for_firm_quote", ask)
    desk.wait(10_000)
    assert desk.send("POST", "/orders/accept_quote", {"quote_id": late["quote_id"]})[0] == 422
    assert len(desk.sim.exchange.ledger.fills("main")) == 1


def test_a_quote_in_the_quote_currency_is_for_what_it_is_worth() -> None:
    desk = Desk("C")
    ask = {"symbol": SYMBOL, "side": "buy", "amount": "150", "currency": "AUD"}
    quote = desk.ok("POST", "/orders/request_for_firm_quote", ask)
    assert abs(quote["quote_amount"] - 150) < 0.1
    assert quote["base_amount"] == quote["amount"]


def test_funds_move_between_accounts_and_out() -> None:
    desk = Desk("C")
    total = desk.sim.exchange.ledger.total("AUD")
    body = {"asset_id": "AUD", "amount": "100", "from_account": "custody", "note": "n"}
    moved = desk.ok("POST", "/accounts/initiate_transfer", body)
    assert moved["transfer"]["status"] == "COMPLETED"
    assert desk.sim.exchange.ledger.total("AUD") == total + 100
    assert desk.sim.custody["AUD"] == 4_900
    (wallet,) = desk.ok("GET", "/accounts/get_external_wallets")["external_wallets"]
    out = {
        **body,
        "asset_id": wallet["asset_id"],
        "from_account": "trading",
        "external_wallet_id": wallet["external_wallet_id"],
    }
    held = desk.sim.exchange.ledger.total("USDT")
    assert desk.ok("POST", "/accounts/initiate_withdrawal", out)["transfer"]["transaction_id"]
    assert desk.sim.exchange.ledger.total("USDT") == held - 100
    fiat = out | {"asset_id": "AUD"}  # to a wallet of another asset
    assert desk.send("POST", "/accounts/initiate_withdrawal", fiat)[0] == 422
    assert desk.sim.exchange.ledger.total("AUD") == total + 100
    too_much = desk.ok("POST", "/accounts/initiate_withdrawal", out | {"amount": "1e9"})
    assert too_much["transfer"]["status"] == "REJECTED"
    elsewhere = out | {"external_wallet_id": "x"}
    assert desk.send("POST", "/accounts/initiate_withdrawal", elsewhere)[0] == 422
    told = desk.ok("POST", "/orders/get_transfers", {})
    assert shape(told) == shape(sample("zc_C_rest_transfers_response.json"))
    assert [row["type"] for row in told["fiat_transactions"]] == ["trading_transfer"]
    assert [row["type"] for row in told["crypto_transactions"]] == ["external_withdrawal"]
