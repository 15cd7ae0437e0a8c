"""Drives the vendor's client 0.1.15, unmodified: prints what it got as one JSON object."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from zerocap_api_new_test import ZerocapRestClient, ZerocapWebsocketClient

FRAMES_MAX = 200


def take(frames: Any, wanted: Any) -> list[Any]:
    """Frames until one is wanted; the last is it."""
    found = []
    for _ in range(FRAMES_MAX):
        found.append(json.loads(next(frames)))
        if wanted(found[-1]):
            return found
    raise AssertionError(f"none of {FRAMES_MAX} frames is wanted: {found[-3:]}")


def main(key: str, secret: str) -> dict[str, Any]:
    told: dict[str, Any] = {}
    rest = ZerocapRestClient(key, secret, envion="uat")
    socket = ZerocapWebsocketClient(key, secret, envion="uat")
    frames = socket.create_connect()
    told["greeting"] = json.loads(socket.recv(frames))
    socket.send({"type": "price", "symbol": "USDT/AUD"})
    told["prices"] = take(frames, lambda f: f.get("channel", "").startswith("dma_ladder_price_"))
    socket.send({"type": "orders"})
    take(frames, lambda f: f.get("message") == "order Subscription successful.")
    told["created"] = rest.create_order("USDT/AUD", "buy", "market", "100", "cid-1", "customer")
    told["trade"] = take(frames, lambda f: f.get("channel") == "dma_trade_info")[-1]
    told["order"] = take(frames, lambda f: f.get("channel") == "dma_order_info")[-1]
    told["killed"] = rest.create_order(
        "USDT/AUD", "sell", "limit", "100", "cid-2", "customer", "9.5"
    )
    told["fetched"] = rest.fetch_order(told["created"]["id"])
    now_ms = int(time.time() * 1000)
    told["listed"] = rest.fetch_orders(now_ms - 600_000, now_ms + 600_000, symbol="USDT/AUD")
    try:
        rest.create_order("USDT/AUD", "both", "market", "100", "cid-3", "customer")
    except Exception as e:  # it raises no other
        told["refused"] = str(e)
    try:
        ZerocapRestClient(key, "wrong", envion="uat")
    except Exception as e:
        told["wrong_key"] = str(e)
    socket.close()
    return told


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:3])))
