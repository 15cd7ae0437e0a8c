"""Adapters that NautilusTrader ships: a sensible config of each passes `fairlead check`, and is
taken by the adapter's own classes; one that can't be reached is one clear error at once.

None of them was connected to its venue. None needs a package of its own: NautilusTrader's wheel has
their clients (Databento wants a file of publishers, Interactive Brokers a gateway that runs).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.adapters.base.venue import VenueError
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.config.resolved import Mode, resolve
from fairlead.engine.run.config import load
from fairlead.engine.run.native import found
from fairlead.engine.run.native.adapter import spec
from fairlead.engine.run.native.clients import Clients
from fairlead.engine.run.native.described import problems
from fairlead.engine.run.native.session import REACH_SECS, require_reachable
from tests.support.configs import inline

CLOSED = "127.0.0.1:9"  # the discard port: nobody listens


class Shipped(msgspec.Struct, frozen=True):
    """Instrument, and options as a config writes them; `closed` are the same options, or secrets,
    with an address where nobody listens."""

    instrument: str
    options: dict[str, Any] = {}
    closed: dict[str, Any] = {}
    secrets: tuple[str, ...] = ("api_key", "api_secret")
    trades: bool = True

    @property
    def key(self) -> str:
        return self.instrument.rpartition(".")[2].lower()


URL = {"base_url_http": f"http://{CLOSED}"}
SHIPPED = {
    "bybit": Shipped("BTCUSDT-LINEAR.BYBIT", {"product_types": ["LINEAR"]}, URL),
    "okx": Shipped(
        "BTC-USDT-SWAP.OKX",
        {"instrument_types": ["SWAP"]},
        URL,
        ("api_key", "api_secret", "api_passphrase"),
    ),
    "kraken": Shipped(
        "BTC/USDT.KRAKEN", {"product_type": "SPOT"}, {"base_url": URL["base_url_http"]}
    ),
    "hyperliquid": Shipped("BTC-USD-PERP.HYPERLIQUID", {}, URL, ("private_key",)),
    "dydx": Shipped("BTC-USD-PERP.DYDX", {"network": "TESTNET"}, {}, ("private_key",)),
    "deribit": Shipped("BTC-PERPETUAL.DERIBIT", {"product_types": ["FUTURE"]}, URL),
    "coinbase": Shipped("BTC-USD.COINBASE", {}, {"base_url_rest": URL["base_url_http"]}),
    "interactive_brokers": Shipped(
        "AAPL.NASDAQ", {"client_id": 7}, {"host": "127.0.0.1", "port": 9}, ()
    ),
    "polymarket": Shipped("0xabc-123.POLYMARKET", {}, URL, ("private_key",)),
    "databento": Shipped(
        "ESZ6.GLBX",
        {"publishers_filepath": "publishers.json"},
        {"live_gateway_addr": CLOSED},
        ("api_key",),
        trades=False,
    ),
    "tardis": Shipped(
        "BTC-PERPETUAL.DERIBIT", {}, {"tardis_ws_url": f"ws://{CLOSED}"}, ("api_key",), trades=False
    ),
}
EACH = pytest.mark.parametrize("name", SHIPPED)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for secret in ("api_key", "api_secret", "api_passphrase", "private_key", "tardis_ws_url"):
        value = f"ws://{CLOSED}" if secret.endswith("url") else "ab" * 16
        monkeypatch.setenv(f"SHIPPED_{secret.upper()}", value)


def config(folder: Path, name: str, *, closed: bool = False, **more: Any) -> LoadedConfig:
    one = SHIPPED[name]
    secrets = {one.name for one in spec(f"nautilus:{name}").credentials}
    given = {**one.options, **(one.closed if closed else {}), **more}
    named = [*one.secrets, *(secrets & given.keys())]
    credentials = {secret: f"env:SHIPPED_{secret.upper()}" for secret in named}
    options = {option: value for option, value in given.items() if option not in secrets}
    path = folder / "run.toml"
    path.write_text(
        f'name = "shipped"\n[venues.{one.key}]\nadapter = "nautilus:{name}"\n'
        f'account_type = "margin"\ninstruments = {json.dumps([one.instrument])}\n'
        f"options = {inline(options)}\ncredentials = {inline(credentials)}\n[record]\n"
    )
    return load(path)


def clients(loaded: LoadedConfig, name: str, mode: Mode) -> Clients:
    one = SHIPPED[name]
    resolved = resolve(loaded, mode)
    assert [str(problem) for problem in resolved.problems] == []
    return Clients(
        found.find(f"nautilus:{name}"),
        venue=one.key.upper(),
        account="main",
        options=loaded.options[one.key],
        secrets=resolved.secrets[one.key],
        instruments=[one.instrument],
    )


class Builder:
    """Takes what a node's builder is given."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def add_data_client(self, name: object, factory: object, made: object) -> Builder:
        self.taken.append(type(made).__name__)
        return self

    add_exec_client = add_data_client


@EACH
def test_a_sensible_config_passes_the_check_and_its_classes_take_it(
    name: str, tmp_path: Path
) -> None:
    one = SHIPPED[name]
    loaded = config(tmp_path, name)
    mode: Mode = "live" if one.trades else "record"
    assert list(problems(loaded, mode)) == []
    made, builder = clients(loaded, name, "record"), Builder()
    made.add_data(builder)
    if one.trades:
        made.add_execution(builder)
    assert len(builder.taken) == 1 + one.trades


def test_an_account_is_a_text_where_the_class_wants_one(tmp_path: Path) -> None:
    made = clients(config(tmp_path, "interactive_brokers"), "interactive_brokers", "record")

    class Execution(Builder):
        def add_exec_client(self, name: object, factory: object, made: Any) -> Execution:  # type: ignore[override]
            self.taken.append(made.account_id)
            return self

    builder = Execution()
    made.add_execution(builder)
    assert builder.taken == ["NASDAQ-main"]


@EACH
def test_an_unknown_option_is_named_with_the_nearest(name: str, tmp_path: Path) -> None:
    known = next(iter(SHIPPED[name].options), None)
    if known is None:
        known = max(spec(f"nautilus:{name}").options.__struct_fields__, key=len)  # type: ignore[attr-defined]
    wrong = known[:-3] + known[-2:]
    with pytest.raises(ConfigError) as raised:
        config(tmp_path, name, **{wrong: 1})
    assert [f"did you mean {known}?" in one.text for one in raised.value.problems] == [True]


@pytest.mark.parametrize("name", [name for name, one in SHIPPED.items() if one.closed])
async def test_one_that_can_not_be_reached_is_one_error_at_once(name: str, tmp_path: Path) -> None:
    made = clients(config(tmp_path, name, closed=True), name, "record")
    began = time.monotonic()
    with pytest.raises(VenueError) as raised:
        await require_reachable(made)
    assert time.monotonic() - began < REACH_SECS
    assert raised.value.code == f"{SHIPPED[name].key.upper()}-UNREACHABLE"
    (option, *_) = SHIPPED[name].closed
    assert f"could not connect: {option}" in raised.value.message
