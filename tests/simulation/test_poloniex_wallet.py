"""Wallets, transfers and margin of the simulated Poloniex: the requests of its public SDK.

Paths, bodies and fields are those of the SDK's methods and their documentation.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.simulation.poloniex_harness import BTC, MS, Desk, private_line

ETH_ADDRESS = "0xbb8d0d7c346daecc2380dabaa91f3ccf8ae232fb4"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def transfer(
    desk: Desk, amount: str = "10.5", source: str = "SPOT", target: str = "FUTURES"
) -> str:
    body = {"currency": "USDT", "amount": amount, "fromAccount": source, "toAccount": target}
    return str(desk.ok("POST", "/accounts/transfer", body)["transferId"])


def test_addresses(desk: Desk) -> None:
    every = desk.ok("GET", "/wallets/addresses")
    assert set(every) == {"BTC", "ETH", "TRX", "BTS", "USDT"}
    assert desk.ok("GET", "/wallets/addresses", None, {"currency": "TRX"}) == {"TRX": every["TRX"]}
    made = desk.ok("POST", "/wallets/address", {"currency": "TRX"})["address"]
    assert made != every["TRX"]
    assert desk.ok("GET", "/wallets/addresses/TRX") == {"TRX": made}
    assert desk.refused("POST", "/wallets/address", {"currency": "NO_SUCH"}) == 601
    assert desk.refused("POST", "/wallets/address", {}) == 602


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        (
            "/wallets/withdraw",
            {"currency": "ETH", "amount": "1.50", "address": ETH_ADDRESS},
            "withdrawalNumber",
        ),
        (
            "/v2/wallets/withdraw",
            {"coin": "ETH", "network": "ETH", "amount": "1.50", "address": ETH_ADDRESS},
            "withdrawalRequestsId",
        ),
    ],
)
def test_a_withdrawal_leaves_the_account(
    desk: Desk, path: str, body: dict[str, Any], answer: str
) -> None:
    line = private_line(desk)
    number = desk.ok("POST", path, body)[answer]
    assert desk.balance("ETH") == (Decimal("18.5"), 0)
    desk.wait(1)
    (told,) = [f["data"][0] for f in line.take("balances")]
    assert (told["eventType"], told["currency"], told["available"]) == ("withdraw", "ETH", "18.5")
    secs = desk.now_ns // MS // 1000

    def row() -> Any:
        query = {"start": "0", "end": str(secs + 100), "activityType": "withdrawals"}
        (only,) = desk.ok("GET", "/wallets/activity", None, query)["withdrawals"]
        return only

    assert (row()["withdrawalRequestsId"], row()["amount"], row()["fee"]) == (number, "1.5", "0.5")
    assert (row()["status"], row()["txid"]) == ("PROCESSING", None)
    desk.wait(60_000)
    assert row()["status"] == "COMPLETED"
    assert desk.refused("POST", path, body | {"amount": "1000000"}) == 21709
    assert desk.refused("POST", path, body | {"amount": "0.5"}) == 601  # the fee
    assert desk.refused("POST", path, body | {"address": ""}) == 602


def test_wallet_activity_has_the_deposits_within_its_bounds(desk: Desk) -> None:
    secs = desk.now_ns // MS // 1000
    query = {"start": "0", "end": str(secs)}
    rows = desk.ok("GET", "/wallets/activity", None, query)
    assert set(rows) == {"adjustments", "deposits", "withdrawals"}
    assert {row["currency"]: row["amount"] for row in rows["deposits"]}["BTC"] == "2"
    query = {"start": str(secs + 1), "end": str(secs + 2)}
    assert desk.ok("GET", "/wallets/activity", None, query)["deposits"] == []
    assert desk.refused("GET", "/wallets/activity", activityType="gifts") == 601


def test_transfers_between_spot_and_futures(desk: Desk) -> None:
    line = private_line(desk)
    first = transfer(desk)
    desk.wait(1)
    (told,) = [f["data"][0] for f in line.take("balances")]
    assert (told["eventType"], told["available"]) == ("transfer_out", "99989.5")
    second = transfer(desk, "0.5", "FUTURES", "SPOT")
    desk.wait(1)
    (told,) = [f["data"][0] for f in line.take("balances")]
    assert (told["eventType"], told["available"]) == ("transfer_in", "99990")

    def ids(**query: str) -> list[str]:
        return [row["id"] for row in desk.ok("GET", "/accounts/transfer", None, query)]

    assert ids() == [second, first]
    assert ids(limit="1") == [second]
    assert ids(**{"from": second}) == [first]  # NEXT is the default here
    assert ids(**{"from": first, "direction": "PRE"}) == [second]
    assert ids(currency="BTC") == []
    one = desk.ok("GET", f"/accounts/transfer/{first}")
    assert (one["amount"], one["fromAccount"], one["state"]) == ("10.5", "SPOT", "SUCCESS")
    assert desk.refused("GET", "/accounts/transfer/1") == 250000


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"fromAccount": "MARGIN"}, 250002),
        ({"toAccount": "SPOT"}, 250001),
        ({"amount": "0"}, 250003),
        ({"amount": "1000000"}, 250005),
        ({"currency": "NO_SUCH"}, 250008),
        ({"fromAccount": "FUTURES", "toAccount": "SPOT"}, 250005),
    ],
)
def test_refused_transfers(desk: Desk, change: dict[str, str], code: int) -> None:
    body = {"currency": "USDT", "amount": "1", "fromAccount": "SPOT", "toAccount": "FUTURES"}
    assert desk.refused("POST", "/accounts/transfer", body | change) == code
    assert desk.balance("USDT") == (100_000, 0)


def test_the_account_group(desk: Desk) -> None:
    (account,) = desk.ok("GET", "/subaccounts")
    number = account["accountId"]
    assert account["isPrimary"] == "true"
    body = {
        **{"currency": "USDT", "amount": "2", "fromAccountId": number, "fromAccountType": "SPOT"},
        **{"toAccountId": number, "toAccountType": "FUTURES"},
    }
    moved = desk.ok("POST", "/subaccounts/transfer", body)["transferId"]
    for path in ("/subaccounts/balances", f"/subaccounts/{number}/balances"):
        spot, futures = desk.ok("GET", path)
        assert spot["balances"][0]["available"] == "99998"
        assert futures["balances"][0]["accountEquity"] == "2"
    (row,) = desk.ok("GET", "/subaccounts/transfer")
    assert (row["id"], row["toAccountType"], row["toAccountId"]) == (moved, "FUTURES", number)
    assert desk.ok("GET", f"/subaccounts/transfer/{moved}") == row
    assert desk.refused("GET", "/subaccounts/5/balances") == 21600
    assert desk.refused("POST", "/subaccounts/transfer", body | {"toAccountId": "5"}) == 250001


def test_activity_and_interest(desk: Desk) -> None:
    assert desk.ok("GET", "/accounts/activity", None, {"activityType": "200"}) == []
    assert desk.ok("GET", "/accounts/interest/history", None, {"limit": "100"}) == []
    assert desk.refused("GET", "/accounts/activity", activityType="1") == 601
    assert desk.refused("GET", "/accounts/interest/history", limit="101") == 24104


def test_margin_of_an_account_that_borrows_nothing(desk: Desk) -> None:
    margin = desk.ok("GET", "/margin/accountMargin", None, {"accountType": "SPOT"})
    # 100,000 USDT, 2 BTC at 60,000, 20 ETH at 3,000, 100,000 TRX at 0.12
    assert (margin["totalAccountValue"], margin["usedMargin"]) == ("292000.00", "0.00")
    (status,) = desk.ok("GET", "/margin/borrowStatus", None, {"currency": "BTC"})
    assert (status["available"], status["borrowed"]) == ("2", "0")
    size = desk.ok("GET", "/margin/maxSize", None, {"symbol": BTC})
    assert (size["availableBuy"], size["maxAvailableBuy"]) == ("100000", "300000")
    assert (size["availableSell"], size["maxAvailableSell"]) == ("2", "6")
    assert desk.refused("GET", "/margin/maxSize", symbol="TRX_USDT") == 10040
    assert desk.refused("GET", "/margin/maxSize") == 602


def test_collateral_and_borrow_rates_are_public(desk: Desk) -> None:
    every = desk.public("/markets/collateralInfo")
    assert [row["currency"] for row in every] == ["USDT", "BTC", "ETH"]
    assert desk.public("/markets/BTC/collateralInfo") == every[1]
    (tier,) = desk.public("/markets/borrowRatesInfo")
    assert [rate["currency"] for rate in tier["rates"]] == ["USDT", "BTC", "ETH"]
    assert desk.send("GET", "/markets/TRX/collateralInfo")[1]["code"] == 601
