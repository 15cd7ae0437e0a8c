"""Deposits and withdrawals of the simulated OceanEx (section 1.2, the "WAPI" group)."""

from __future__ import annotations

import hashlib
from typing import Any

from fairlead.adapters.oceanex.simulator_auth import funds_error
from fairlead.adapters.oceanex.simulator_markets import epoch, iso, number
from fairlead.adapters.oceanex.simulator_rest import WALLET_SCOPE, Params, integer
from fairlead.adapters.oceanex.simulator_state import (
    ACCOUNT,
    WITHDRAW_FEE,
    OceanexState,
    Withdrawal,
)
from fairlead.adapters.simulation.numbers import exact
from fairlead.adapters.simulation.routes import ApiError, Endpoint

HISTORY_LIMIT_MAX = 1000
TID_CHARS_MAX = 64


DEPOSIT_STATES = frozenset(
    [
        "submitted",
        "canceled",
        "rejected",
        "reverted",
        "accepted",
        "pending",
        "processing",
        "settled",
        "suspending",
        "suspended",
        "suspend_failed",
        "clearing",
        "clear_failed",
    ]
)


def _currency(venue: OceanexState, params: Params, code: int = 9002) -> str:
    currency = str(params.get("currency", "")).upper()
    if not currency:
        raise ApiError(1004, "Missing parameter: currency")
    if all(currency not in (m.base, m.quote) for m in venue.markets.values()):
        raise ApiError(code, "currency does not have a valid value")
    return currency


def _address(venue: OceanexState, currency: str) -> str:
    digest = hashlib.sha256(f"{venue.options.uid}/{currency}".encode()).hexdigest()
    return f"0x{digest[:40]}"


def _deposit_address(venue: OceanexState, params: Params) -> object:
    currency = _currency(venue, params, code=2012)
    return {"currency": currency.lower(), "address": _address(venue, currency)}


def _deposit_addresses(venue: OceanexState, params: Params) -> object:
    currency = _currency(venue, params, code=2012)
    resource = {
        "chain_name": "",
        "currency_id": currency.lower(),
        "address": _address(venue, currency),
        "memo": "",
        "deposit_status": "enabled",
    }
    return {
        "data": {
            "currency_id": currency.lower(),
            "display_name": currency,
            "num_of_resources": 1,
            "resources": [resource],
        }
    }


def _page(rows: list[dict[str, Any]], params: Params) -> object:
    limit = min(HISTORY_LIMIT_MAX, integer(params, "limit", 100, 1))
    page = integer(params, "page", 1, 1)
    return {
        "num_of_resources": len(rows),
        "resources": rows[(page - 1) * limit : page * limit],
    }


def _deposit_history(venue: OceanexState, params: Params) -> object:
    chosen = [d for d in reversed(venue.wallet.deposits) if _is_wanted(params, d.currency)]
    state = params.get("state") or "accepted"
    if state not in DEPOSIT_STATES:
        raise ApiError(9002, "state does not have a valid value")
    if state != "accepted":
        chosen = []
    rows = [
        {
            "id": d.id,
            "currency": d.currency,
            "amount": number(d.amount),
            "fee": "0.0",
            "txid": "0x" + hashlib.sha256(str(d.id).encode()).hexdigest(),
            "is_combination_address": False,
            "address": _address(venue, d.currency),
            "memo": "",
            "created_at": iso(d.ts_created),
            "created_on": epoch(d.ts_created),
            "confirmations": 12,
            "completed_at": iso(d.ts_created),
            "completed_on": epoch(d.ts_created),
            "state": "accepted",
        }
        for d in chosen
    ]
    return _page(rows, params)


def _is_wanted(params: Params, currency: str) -> bool:
    wanted = params.get("currency")
    return not wanted or str(wanted).upper() == currency


def _withdraw_row(withdrawal: Withdrawal) -> dict[str, Any]:
    done_ns = withdrawal.ts_done
    updated_ns = withdrawal.ts_created if done_ns is None else done_ns
    done_at = None if done_ns is None else iso(done_ns)
    txid = "0x" + hashlib.sha256(f"w{withdrawal.id}".encode()).hexdigest()
    return {
        "id": withdrawal.id,
        "currency": withdrawal.currency,
        "chain_name": withdrawal.chain_name,
        "type": "coin",
        "amount": number(withdrawal.amount),
        "fee": number(WITHDRAW_FEE),
        "blockchain_txid": None if done_ns is None else txid,
        "rid": withdrawal.rid,
        "is_combination_address": False,
        "address": withdrawal.rid,
        "memo": withdrawal.memo,
        "state": "fund_requesting" if done_ns is None else "done",
        "created_at": iso(withdrawal.ts_created),
        "updated_at": iso(updated_ns),
        "completed_at": done_at,
        "created_on": epoch(withdrawal.ts_created),
        "updated_on": epoch(updated_ns),
        "completed_on": None if done_ns is None else epoch(done_ns),
        "done_at": done_at,
    }


def _withdraw_history(venue: OceanexState, params: Params) -> object:
    chosen = [w for w in reversed(venue.wallet.withdrawals) if _is_wanted(params, w.currency)]
    return _page([_withdraw_row(w) for w in chosen], params)


def _withdraw(venue: OceanexState, params: Params) -> object:
    """Lock and request. The same `tid` again answers the first withdrawal."""
    currency = _currency(venue, params)
    rid, tid = params.get("rid"), params.get("tid")
    if not rid or params.get("amount") in (None, ""):
        raise ApiError(1004, "Missing parameter: rid or amount")
    if tid is not None and len(str(tid)) > TID_CHARS_MAX:
        raise ApiError(9002, "tid does not have a valid value")
    for earlier in venue.wallet.withdrawals:
        if tid is not None and earlier.tid == str(tid):
            return _withdraw_row(earlier)
    amount = exact(params["amount"])
    if amount is None:
        raise ApiError(9002, "amount does not have a valid value")
    if rid not in venue.options.withdraw_rids:
        raise ApiError(3002, "The withdraw address is not in the whitelist")
    if amount <= WITHDRAW_FEE:
        raise ApiError(3001, "The withdraw amount is too small")
    now_ns, total = venue.exchange.now_ns, amount + WITHDRAW_FEE
    withdrawal = Withdrawal(
        id=venue.wallet.next_id(),
        currency=currency,
        chain_name=str(params.get("chain_name") or ""),
        amount=amount,
        rid=str(rid),
        memo=str(params.get("memo") or ""),
        tid=None if tid is None else str(tid),
        ts_created=now_ns,
    )
    reason = f"withdrawal {withdrawal.id}"
    if not venue.exchange.adjust(ACCOUNT, currency, -total, total, reason, now_ns):
        raise funds_error(venue.options)
    venue.wallet.withdrawals.append(withdrawal)
    return _withdraw_row(withdrawal)


WALLET: tuple[Endpoint[OceanexState, Params], ...] = (
    Endpoint("POST", "/withdraws/special/new", _withdraw, WALLET_SCOPE, True),
    Endpoint("POST", "/deposit_address", _deposit_address, WALLET_SCOPE, True),
    Endpoint("POST", "/deposit_addresses", _deposit_addresses, WALLET_SCOPE, True),
    Endpoint("POST", "/deposit_history", _deposit_history, WALLET_SCOPE, True),
    Endpoint("POST", "/withdraw_history", _withdraw_history, WALLET_SCOPE, True),
)
