"""Wallets, transfers and activity of the simulated Poloniex, as far as public clients call them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fairlead.adapters.poloniex.simulator_auth import ApiError
from fairlead.adapters.poloniex.simulator_markets import millis, number
from fairlead.adapters.poloniex.simulator_orders import positive
from fairlead.adapters.poloniex.simulator_public import Call, currencies_of
from fairlead.adapters.poloniex.simulator_state import ACCOUNT, PoloniexState, Transfer, Withdrawal
from fairlead.adapters.poloniex.simulator_trading import page, window
from fairlead.adapters.simulation.market import SECOND_NS
from fairlead.adapters.simulation.orders import BalanceEntry
from fairlead.adapters.simulation.routes import Endpoint

ACCOUNT_TYPES = ("SPOT", "FUTURES")
WITHDRAW_FEE = Decimal("0.5")
HISTORY_MAX = 1000
INTEREST_MAX = 100
HISTORY_WINDOW_MS = 180 * 86_400_000
ACTIVITY_TYPES = ("104", "105", "199", "200", "201", "202", "203", "204")
WALLET_TYPES = ("adjustments", "deposits", "withdrawals")


# -- addresses, deposits, withdrawals -------------------------------------------------------------


def _address(venue: PoloniexState, currency: str) -> str:
    made = venue.wallet.addresses.get(currency, 0)
    digest = hashlib.sha256(f"{venue.seed}/{currency}/{made}".encode()).hexdigest()
    return f"0x{digest[:40]}"


def _currency(venue: PoloniexState, name: object, code: int = 601) -> str:
    if name in (None, ""):
        raise ApiError(602, "Missing parameter currency")
    if str(name) not in currencies_of(venue):
        raise ApiError(code, "Invalid currency")
    return str(name)


def _addresses(venue: PoloniexState, call: Call) -> object:
    """By currency; of all currencies without one."""
    asked = call.path.get("currency") or call.params.get("currency")
    names = [_currency(venue, asked)] if asked else currencies_of(venue)
    return {name: _address(venue, name) for name in names}


def _body(call: Call) -> Mapping[str, Any]:
    if not isinstance(call.body, dict):
        raise ApiError(602, "Missing request body")
    return call.body


def _new_address(venue: PoloniexState, call: Call) -> object:
    currency = _currency(venue, _body(call).get("currency"))
    venue.wallet.addresses[currency] = venue.wallet.addresses.get(currency, 0) + 1
    return {"address": _address(venue, currency)}


def _withdraw(venue: PoloniexState, call: Call) -> object:
    body = _body(call)
    made = _withdrawn(venue, body, body.get("currency"), body.get("paymentId"))
    return {"withdrawalNumber": made.id}


def _withdraw_v2(venue: PoloniexState, call: Call) -> object:
    """`network` is the blockchain of the currency's network: the coin itself here."""
    body = _body(call)
    if body.get("network") in (None, ""):
        raise ApiError(602, "Missing parameter network")
    if body["network"] != body.get("coin"):
        raise ApiError(601, "Invalid network")
    tag = body.get("addressTag") or body.get("paymentId")  # ccxt sends the older name
    made = _withdrawn(venue, body, body.get("coin"), tag)
    return {"withdrawalRequestsId": made.id}


def _withdrawn(
    venue: PoloniexState, body: Mapping[str, Any], coin: object, tag: object
) -> Withdrawal:
    """The amount leaves the account at once. Raises ApiError."""
    currency, amount = _currency(venue, coin), positive(body, "amount", 21317)
    if amount is None or not body.get("address"):
        raise ApiError(602, "Missing parameter amount or address")
    if amount <= WITHDRAW_FEE:
        raise ApiError(601, "The amount does not exceed the fee")
    now_ns = venue.exchange.now_ns
    made = Withdrawal(
        id=venue.wallet.next_id(),
        currency=currency,
        amount=amount,
        address=str(body["address"]),
        tag=None if tag in (None, "") else str(tag),
        ts_created=now_ns,
    )
    reason = f"withdraw {made.id}"
    if not venue.exchange.adjust(ACCOUNT, currency, -amount, Decimal(0), reason, now_ns):
        raise ApiError(21709)
    venue.wallet.withdrawals.append(made)
    return made


def _wallet_activity(venue: PoloniexState, call: Call) -> object:
    """`start` and `end` in seconds; newest first."""
    start = call.time("start", 0) or 0
    end = call.time("end", venue.now_ms // 1000) or 0
    wanted = call.params.get("activityType") or None
    if wanted not in (None, *WALLET_TYPES):
        raise ApiError(601, "Invalid activityType")
    rows = {
        "adjustments": [],
        "deposits": _deposit_rows(venue),
        "withdrawals": [_withdrawal_row(venue, made) for made in venue.wallet.withdrawals],
    }
    return {
        name: [row for row in reversed(found) if start <= row["timestamp"] <= end]
        for name, found in rows.items()
        if wanted in (None, name)
    }


def _deposit_rows(venue: PoloniexState) -> list[dict[str, Any]]:
    return [
        {
            "depositNumber": 134_587_098 + entry.seq,
            "currency": entry.currency,
            "address": _address(venue, entry.currency),
            "amount": number(entry.free_delta),
            "confirmations": 10,
            "txid": hashlib.sha256(f"deposit {entry.seq}".encode()).hexdigest(),
            "timestamp": entry.ts_event // SECOND_NS,
            "status": "COMPLETED",
        }
        for entry in venue.exchange.ledger.entries
        if isinstance(entry, BalanceEntry)
        and entry.account == ACCOUNT
        and entry.reason.startswith("deposit")
        and entry.free_delta > 0
    ]


def _withdrawal_row(venue: PoloniexState, made: Withdrawal) -> dict[str, Any]:
    age_ns = venue.exchange.now_ns - made.ts_created
    is_done = age_ns >= venue.options.withdraw_secs * SECOND_NS
    txid = hashlib.sha256(f"withdraw {made.id}".encode()).hexdigest()
    return {
        "withdrawalRequestsId": made.id,
        "currency": made.currency,
        "address": made.address,
        "amount": number(made.amount),
        "fee": number(WITHDRAW_FEE),
        "timestamp": made.ts_created // SECOND_NS,
        "status": "COMPLETED" if is_done else "PROCESSING",
        "txid": txid if is_done else None,
        "ipAddress": "127.0.0.1",
        "paymentID": made.tag,
    }


# -- transfers ------------------------------------------------------------------------------------


def _transfer(venue: PoloniexState, call: Call) -> object:
    body = _body(call)
    return _moved(venue, body, body.get("fromAccount"), body.get("toAccount"))


def _moved(
    venue: PoloniexState, body: Mapping[str, Any], source: object, target: object
) -> dict[str, str]:
    """Between the spot and the futures account, named in either case (ccxt: in lower case).

    Raises ApiError 250001 to 250008.
    """
    source, target = str(source).upper(), str(target).upper()
    if source not in ACCOUNT_TYPES:
        raise ApiError(250002)
    if target not in ACCOUNT_TYPES or target == source:
        raise ApiError(250001)
    currency, amount = (
        _currency(venue, body.get("currency"), 250008),
        positive(body, "amount", 250003),
    )
    if amount is None:
        raise ApiError(250003)
    wallet, now_ns = venue.wallet, venue.exchange.now_ns
    transfer = Transfer(wallet.next_id(), currency, amount, source, target, now_ns)
    held = wallet.futures.get(currency, Decimal(0))
    is_out = source == "SPOT"
    if not is_out and held < amount:
        raise ApiError(250005)
    reason = f"{'transfer_out' if is_out else 'transfer_in'} {transfer.id}"
    change = -amount if is_out else amount
    if not venue.exchange.adjust(ACCOUNT, currency, change, Decimal(0), reason, now_ns):
        raise ApiError(250005)
    wallet.futures[currency] = held - change
    wallet.transfers.append(transfer)
    return {"transferId": str(transfer.id)}


def _transfer_row(transfer: Transfer) -> dict[str, Any]:
    return {
        "id": str(transfer.id),
        "fromAccount": transfer.source,
        "toAccount": transfer.target,
        "currency": transfer.currency,
        "amount": number(transfer.amount),
        "state": "SUCCESS",
        "createTime": millis(transfer.ts_created),
    }


def _chosen(venue: PoloniexState, call: Call) -> list[Transfer]:
    start, end = window(venue, call, HISTORY_WINDOW_MS)
    limit, currency = call.count(100, HISTORY_MAX), call.params.get("currency")
    found = [
        transfer
        for transfer in venue.wallet.transfers
        if start <= millis(transfer.ts_created) <= end and currency in (None, transfer.currency)
    ]
    return page(found, call, lambda t: t.id, lambda t: t.ts_created, "NEXT")[:limit]


def _transfers(venue: PoloniexState, call: Call) -> object:
    return [_transfer_row(transfer) for transfer in _chosen(venue, call)]


def _found(venue: PoloniexState, call: Call) -> Transfer:
    for transfer in venue.wallet.transfers:
        if str(transfer.id) == call.path["id"]:
            return transfer
    raise ApiError(250000, "No such transfer")


def _one_transfer(venue: PoloniexState, call: Call) -> object:
    return _transfer_row(_found(venue, call))


def _activity(venue: PoloniexState, call: Call) -> object:
    """Airdrops, rebates, adjustments: this account has none."""
    window(venue, call, HISTORY_WINDOW_MS)
    call.count(100, HISTORY_MAX)
    if call.params.get("activityType", "200") not in ACTIVITY_TYPES:
        raise ApiError(601, "Invalid activityType")
    return []


def _interest(venue: PoloniexState, call: Call) -> object:
    """Nothing is ever borrowed here."""
    window(venue, call, HISTORY_WINDOW_MS)
    call.count(10, INTEREST_MAX)
    return []


# -- the account group ----------------------------------------------------------------------------


def _group(venue: PoloniexState) -> dict[str, Any]:
    """The primary account is the only one."""
    return {"accountId": venue.options.account_id, "accountName": "primary"}


def _subaccounts(venue: PoloniexState, call: Call) -> object:
    state = {"accountState": venue.options.account_state, "isPrimary": "true"}
    return [_group(venue) | state]


def _group_balances(venue: PoloniexState, call: Call) -> object:
    if call.path.get("id", venue.options.account_id) != venue.options.account_id:
        raise ApiError(21600)
    spot = [
        {
            "currency": currency,
            "available": number(balance.free),
            "hold": number(balance.locked),
            "maxAvailable": number(balance.free),
        }
        for currency, balance in venue.exchange.ledger.balances(ACCOUNT).items()
    ]
    nothing = ("unrealisedPNL", "positionMargin", "orderMargin", "frozenFunds", "pnl")
    futures = [
        {
            "currency": currency,
            **dict.fromkeys(("accountEquity", "marginBalance", "availableBalance"), number(held)),
            **dict.fromkeys(nothing, "0"),
        }
        for currency, held in venue.wallet.futures.items()
    ]
    return [
        _group(venue) | {"accountType": kind, "isPrimary": "true", "balances": rows}
        for kind, rows in (("SPOT", spot), ("FUTURES", futures))
    ]


def _group_transfer(venue: PoloniexState, call: Call) -> object:
    body = _body(call)
    for name, code in (("fromAccountId", 250002), ("toAccountId", 250001)):
        if str(body.get(name)) != venue.options.account_id:
            raise ApiError(code)
    return _moved(venue, body, body.get("fromAccountType"), body.get("toAccountType"))


def _group_row(venue: PoloniexState, transfer: Transfer) -> dict[str, Any]:
    row = _transfer_row(transfer)
    for end in ("from", "to"):
        row[f"{end}AccountType"] = row.pop(f"{end}Account")
        row[f"{end}AccountId"] = venue.options.account_id
        row[f"{end}AccountName"] = "primary"
    return row


def _group_transfers(venue: PoloniexState, call: Call) -> object:
    return [_group_row(venue, transfer) for transfer in _chosen(venue, call)]


def _one_group_transfer(venue: PoloniexState, call: Call) -> object:
    return _group_row(venue, _found(venue, call))


WALLET: tuple[Endpoint[PoloniexState, Call], ...] = (
    Endpoint("GET", "/wallets/addresses", _addresses, "private bulk", True),
    Endpoint("GET", "/wallets/addresses/{currency}", _addresses, "private bulk", True),
    Endpoint("POST", "/wallets/address", _new_address, "private bulk", True),
    Endpoint("GET", "/wallets/activity", _wallet_activity, "private bulk", True),
    Endpoint("POST", "/wallets/withdraw", _withdraw, "private bulk", True),
    Endpoint("POST", "/v2/wallets/withdraw", _withdraw_v2, "private bulk", True),
    Endpoint("POST", "/accounts/transfer", _transfer, "private", True),
    Endpoint("GET", "/accounts/transfer", _transfers, "private bulk", True),
    Endpoint("GET", "/accounts/transfer/{id}", _one_transfer, "private", True),
    Endpoint("GET", "/accounts/activity", _activity, "private bulk", True),
    Endpoint("GET", "/accounts/interest/history", _interest, "private bulk", True),
    Endpoint("GET", "/subaccounts", _subaccounts, "private", True),
    Endpoint("GET", "/subaccounts/balances", _group_balances, "private bulk", True),
    Endpoint("GET", "/subaccounts/transfer", _group_transfers, "private bulk", True),
    Endpoint("POST", "/subaccounts/transfer", _group_transfer, "private bulk", True),
    Endpoint("GET", "/subaccounts/{id}/balances", _group_balances, "private", True),
    Endpoint("GET", "/subaccounts/transfer/{id}", _one_group_transfer, "private", True),
)
