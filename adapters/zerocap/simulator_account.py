"""The account of the simulated Zerocap: balances, transfers, wallets, risk (section 3, C)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from fairlead.adapters.simulation.market import MS
from fairlead.adapters.simulation.routes import Endpoint
from fairlead.adapters.zerocap.simulator_rest import Asked, decimal_of, invalid, numbered, worded
from fairlead.adapters.zerocap.simulator_rows import iso, text
from fairlead.adapters.zerocap.simulator_state import ACCOUNT, Transaction, ZerocapState

TRADING = "prime"  # what the balances call it; transfers say trading
WALLET_ASSET = "USDT"  # of every wallet
_FIAT = frozenset({"AUD", "USD"})


def _leaf(free: Decimal, used: Decimal) -> dict[str, msgspec.Raw]:
    """Numbers with all their digits: what is told is what there is."""
    told = {"free": free, "total": free + used, "used": used}
    return {name: msgspec.Raw(text(value).encode()) for name, value in told.items()}


def _balances(state: ZerocapState, asked: Asked) -> object:
    """Every asset in every account type, told by asset and by account type."""
    held = state.exchange.ledger.balances(ACCOUNT)
    by_type: dict[str, dict[str, dict[str, msgspec.Raw]]] = {
        "custody": {asset: _leaf(free, Decimal(0)) for asset, free in state.custody.items()},
        TRADING: {asset: _leaf(balance.free, balance.locked) for asset, balance in held.items()},
    }
    by_asset: dict[str, dict[str, dict[str, msgspec.Raw]]] = {}
    for account, assets in by_type.items():
        for asset, leaf in assets.items():
            by_asset.setdefault(asset, {})[account] = leaf
    now_ns = state.exchange.now_ns
    told = {"status": "successful", "datetime": iso(now_ns)[:19] + "Z", "timestamp": now_ns // MS}
    return told | by_asset | by_type


def _risk(state: ZerocapState, asked: Asked) -> object:
    return {"max_risk_limit": "100000", "risk_exposure": "0", "equity": "17048.35"}


def _transfers(state: ZerocapState, asked: Asked) -> object:
    start, end = numbered(asked, "start_datetime", 0), numbered(asked, "end_datetime", 0)
    assets = {name for name in worded(asked, "asset_id", "").upper().split(",") if name}
    types = {name for name in worded(asked, "type", "").split(",") if name}
    limit, page = max(1, numbered(asked, "limit", 20)), max(1, numbered(asked, "page", 1))
    chosen = [
        t
        for t in state.transactions
        if (not assets or t.asset in assets)
        and (not types or t.type in types)
        and t.ts_ns // MS >= start
        and (not end or t.ts_ns // MS < end)
    ]
    if worded(asked, "sort_order", "desc") != "asc":
        chosen.reverse()
    rows = [_transaction(t) for t in chosen[(page - 1) * limit : page * limit]]
    return {
        "status": "successful",
        "total": len(chosen),
        "user_id": "",
        "fiat_transactions": [row for row in rows if row["asset_id"] in _FIAT],
        "crypto_transactions": [
            row | {"interest_earned": 0.0, "tx_hash": ""}
            for row in rows
            if row["asset_id"] not in _FIAT
        ],
    }


def _transaction(t: Transaction) -> dict[str, Any]:
    return {
        "user_id": "",
        "asset_id": t.asset,
        "amount": float(t.amount),
        "type": t.type,
        "from_account_type": t.source,
        "to_account_type": t.target,
        "amount_usd": 0.0,
        "note": t.note,
        "source_address": "",
        "destination_address": "",
        "tx_id": t.id,
        "fee": 0.0,
        "fee_currency": "",
        "comment": "",
        "status": "COMPLETED",
        "created_at": t.ts_ns // MS,
    }


def _wallets(state: ZerocapState, asked: Asked) -> object:
    rows = [
        {
            "external_wallet_id": wallet,
            "name": "test",
            "address": f"0x{wallet.replace('-', '')}",
            "label": "",
            "status": "APPROVED",
            "asset": WALLET_ASSET,
            "network": "ETH",
            "asset_id": WALLET_ASSET,
        }
        for wallet in state.options.wallets
    ]
    return {"external_wallets": rows}


def _withdraw(state: ZerocapState, asked: Asked) -> object:
    if worded(asked, "external_wallet_id") not in state.options.wallets:
        raise invalid("external_wallet_id", "not whitelisted")
    asset = worded(asked, "asset_id").upper()
    if asset in _FIAT and worded(asked, "from_account") != "trading":
        raise invalid("from_account", "fiat supports trading only")
    if asset != WALLET_ASSET:
        raise invalid("external_wallet_id", f"a wallet of {WALLET_ASSET}")
    return _move(state, asked, "external_withdrawal", "external")


def _transfer(state: ZerocapState, asked: Asked) -> object:
    target = "custody" if worded(asked, "from_account") == "trading" else "trading"
    return _move(state, asked, "trading_transfer", target)


def _move(state: ZerocapState, asked: Asked, type_: str, target: str) -> object:
    asset, amount = worded(asked, "asset_id").upper(), decimal_of(asked, "amount")
    source = worded(asked, "from_account")
    if source not in ("trading", "custody") or amount <= 0:
        raise invalid("from_account" if amount > 0 else "amount", "unexpected value")
    if not _take(state, asset, amount, source):
        told = {"status": "REJECTED", "transaction_id": "", "message": "Insufficient balance"}
        return {"transfer": told}
    if target == "custody":
        state.custody[asset] = state.custody.get(asset, Decimal(0)) + amount
    elif target == "trading":
        state.exchange.adjust(
            ACCOUNT, asset, amount, Decimal(0), "transfer in", state.exchange.now_ns
        )
    done = Transaction(
        id=state.new_id(),
        asset=asset,
        amount=amount,
        type=type_,
        source=source,
        target=target,
        note=worded(asked, "note", ""),
        ts_ns=state.exchange.now_ns,
    )
    state.transactions.append(done)
    return {"transfer": {"status": "COMPLETED", "transaction_id": done.id, "message": ""}}


def _take(state: ZerocapState, asset: str, amount: Decimal, source: str) -> bool:
    if source == "custody":
        if state.custody.get(asset, Decimal(0)) < amount:
            return False
        state.custody[asset] -= amount
        return True
    now_ns = state.exchange.now_ns
    return state.exchange.adjust(ACCOUNT, asset, -amount, Decimal(0), "transfer out", now_ns)


REST: tuple[Endpoint[ZerocapState, Asked], ...] = (
    Endpoint("GET", "/orders/get_balances", _balances, "C", True),
    Endpoint("GET", "/orders/get_risk", _risk, "C", True),
    Endpoint("POST", "/orders/get_transfers", _transfers, "C", True),
    Endpoint("GET", "/accounts/get_external_wallets", _wallets, "C", True),
    Endpoint("POST", "/accounts/initiate_withdrawal", _withdraw, "C", True),
    Endpoint("POST", "/accounts/initiate_transfer", _transfer, "C", True),
)
