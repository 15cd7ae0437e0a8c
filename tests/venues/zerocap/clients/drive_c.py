"""Drives the vendor's client 0.1.38, unmodified: prints what it got as one JSON object."""

from __future__ import annotations

import json
import sys
from typing import Any

from zerocap_api import ZerocapAPIError, ZerocapRestClient, ZerocapWebsocketClient

FRAMES_MAX = 200


def take(socket: Any, wanted: Any) -> list[Any]:
    """Frames until one is wanted; the last is it."""
    found = []
    for _ in range(FRAMES_MAX):
        found.append(socket.recv())
        if wanted(found[-1]):
            return found
    raise AssertionError(f"none of {FRAMES_MAX} frames is wanted: {found[-3:]}")


def quotes(rest: Any) -> dict[str, Any]:
    indicative = rest.request_for_quote("USDT/AUD", "buy", "100", "q-1")
    firm = rest.request_for_firm_quote("USDT/AUD", "sell", "100", client_order_id="q-2")
    return {
        "indicative": indicative,
        "firm": firm,
        "accepted": rest.accept_quote(firm["quote_id"], "q-3"),
    }


def account(rest: Any) -> dict[str, Any]:
    wallet = rest.get_external_wallets()["external_wallets"][0]["external_wallet_id"]
    return {
        "balances": rest.get_balances(),
        "instruments": rest.get_instruments(),
        "risk": rest.get_risk(),
        "time": rest.get_time(),
        "transfer": rest.initiate_transfer("AUD", "10", "custody"),
        "withdrawal": rest.initiate_withdrawal("USDT", "10", wallet, "trading"),
        "transfers": rest.get_transfers(),
    }


def main(key: str, secret: str) -> dict[str, Any]:
    told: dict[str, Any] = {}
    rest = ZerocapRestClient(key, secret, env="sandbox")
    socket = ZerocapWebsocketClient(key, secret, env="sandbox")
    socket.create_connection()
    told["greeting"] = socket.recv()
    socket.send({"type": "price", "symbols": ["USDT/AUD"]})
    told["prices"] = take(socket, lambda f: f["type"] == "price")
    socket.send({"type": "order"})
    socket.send({"type": "trade"})
    take(socket, lambda f: f.get("message") == "trade Subscription successful.")
    told["created"] = rest.create_order("USDT/AUD", "buy", "limit", "100", "21.1", "cid-1")
    told["trade"] = take(socket, lambda f: f["type"] == "trade")[-1]
    told["order"] = take(socket, lambda f: f["type"] == "order")[-1]
    told["killed"] = rest.create_order("USDT/AUD", "sell", "limit", "100", "9.5", "cid-2")
    told["fetched"] = rest.fetch_order(told["created"]["id"])
    told["listed"] = rest.fetch_orders(symbol="USDT/AUD")
    told |= quotes(rest) | account(rest)
    for name, client in (("refused", rest), ("wrong_key", ZerocapRestClient(key, "x", "sandbox"))):
        try:
            client.create_order("USDT/AUD", "both", "limit", "100", "1")
        except ZerocapAPIError as e:
            told[name] = [e.status_code, e.body]
    socket.close()
    return told


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:3])))
