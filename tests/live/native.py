"""Runs on NautilusTrader's own client, against a simulated venue on loopback."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from collections import Counter
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.configs import inline
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue

PERP = "BTCUSDT-PERP.BINANCE"
SPOT = "BTCUSDT.BINANCE"
MAKER = {
    "id": "Maker-1",
    "path": "fairlead.strategies.imbalance_maker:ImbalanceMaker",
    "params": {
        "instrument_id": PERP,
        "order_quantity": "0.010",
        "max_inventory": "0.050",
        "half_spread_bps": "0.5",
        "allow_short": True,
    },
}
TREND = {
    "id": "Trend-2",
    "path": "fairlead.strategies.trend_follower:TrendFollower",
    "params": {
        "instrument_id": PERP,
        "order_quantity": "0.010",
        "bar": "1-SECOND-LAST",
        "fast": 1,
        "slow": 2,
        "atr": 1,
        "allow_short": True,
    },
}


def taking(seen: Path, *, cls: str = "Taking", **params: Any) -> dict[str, Any]:
    """A stop-limit and a quote that rest far from the market, beside a position."""
    told = {"instrument_id": PERP, "seen": str(seen), "takes": "0.010", "each": "0.008"}
    return {"id": "Taking-3", "path": f"tests.live.taking:{cls}", "params": told | params}


class Native:
    """One test's folder: its config, journal and recording."""

    def __init__(self, served: Venue | None, folder: Path, instrument: str = PERP) -> None:
        self.served = served
        self.instrument = instrument
        self.is_spot = instrument == SPOT
        self.account_type = "cash" if self.is_spot else "margin"
        self.folder = folder
        self.log = folder / "run.log"
        self.seen = folder / "seen.json"
        self.journal = folder / "state" / "binance-main.journal.sqlite"
        self.catalog = folder / "data" / "catalog"

    def config(self, *strategies: dict[str, Any], more: str = "", **line: Any) -> Path:
        told = {**(self.served.line if self.served is not None else {}), **line}
        options = self._spot(told) if self.is_spot else self._futures(told)
        credentials = told.get("credentials", {})
        keys = {
            name: credentials[name] for name in ("api_key", "api_secret") if name in credentials
        }
        text = [
            'name = "native"',
            "[venues.binance]",
            'adapter = "nautilus:binance"',
            f"instruments = {json.dumps([self.instrument])}",
            f'account_type = "{self.account_type}"',
            'fees = { maker = "0.0002", taker = "0.0005" }',
            f"options = {inline(options)}",
            f"credentials = {inline(keys)}",
        ]
        for one in strategies:
            text += ["[[strategies]]", f"id = {json.dumps(one['id'])}"]
            text += [f"path = {json.dumps(one['path'])}", f"params = {inline(one['params'])}"]
        text += ['[record]\ndir = "data"', '[backtest]\ncatalog = "data/catalog"', more]
        path = self.folder / "native.toml"
        path.write_text("\n".join(text))
        return path

    def _futures(self, told: dict[str, Any]) -> dict[str, Any]:
        return {
            "product_type": "USD_M",
            "base_url_http": told["usdm_rest"],
            "base_url_ws": told["usdm_ws"],
            "base_url_ws_trading": told["usdm_ws_api"],
        }

    def _spot(self, told: dict[str, Any]) -> dict[str, Any]:
        return {
            "product_type": "SPOT",
            "us": True,
            "spot_market_data_mode": "Json",
            "base_url_http": told["rest"],
            "base_url_ws": told["ws"],
        }

    # -- what became of it ---------------------------------------------------------------------

    def rows(self, query: str) -> list[Any]:
        try:
            with closing(sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True)) as db:
                return db.execute(query).fetchall()
        except sqlite3.OperationalError:  # it is not there yet, or has no tables yet
            return []

    def states(self) -> Counter[str]:
        return Counter(state for (state,) in self.rows("SELECT state FROM orders"))

    def position(self) -> Decimal:
        return sum((Decimal(q) for (q,) in self.rows("SELECT quantity FROM positions")), Decimal(0))

    def entries(self, kind: str) -> list[dict[str, Any]]:
        assert self.served is not None
        every: list[dict[str, Any]] = self.served.ledger()["entries"]
        return [entry for entry in every if entry["type"] == kind]

    def account(self) -> dict[str, Any]:
        """The futures account as the venue has it: positions, conditional orders."""
        assert self.served is not None
        url = f"{str(self.served.line['control']).rstrip('/')}/venue"
        request = urllib.request.Request(url, data=b"{}")
        with urllib.request.urlopen(request, timeout=PATIENCE_SECS) as answer:
            told: dict[str, Any] = json.load(answer)
        return told

    def open_at_venue(self) -> list[str]:
        """Ids of what may still fill, or fire."""
        plain = [
            name
            for name, one in self.orders_at_venue().items()
            if one["status"] not in ("filled", "canceled")
        ]
        return plain + [str(one["algoId"]) for one in self.account()["algo_orders"]]

    def orders_at_venue(self) -> dict[str, dict[str, Any]]:
        """The account's orders as they last were, by the venue's id."""
        told = (entry["order"] for entry in self.entries("order"))
        return {str(one["id"]): one for one in told if one["account"] == self._account}

    @property
    def _account(self) -> str:
        return "spot" if self.is_spot else "usdm"

    def fills_at_venue(self) -> list[dict[str, Any]]:
        return [fill for fill in self.entries("fill") if fill["account"] == self._account]

    def position_at_venue(self) -> Decimal:
        signs = {"BUY": 1, "SELL": -1}
        fills = self.fills_at_venue()
        moved = (signs[fill["side"]] * Decimal(fill["quantity"]) for fill in fills)
        return sum(moved, Decimal(0))
