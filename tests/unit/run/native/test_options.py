"""NautilusTrader's own adapters are found by looking, and configured as their classes declare."""

from __future__ import annotations

from decimal import Decimal
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import AccountId

from fairlead.adapters.base.venue import VenueError
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.config.resolved import resolve
from fairlead.engine.run.config import load
from fairlead.engine.run.native import found
from fairlead.engine.run.native.adapter import NativeSpec, spec
from fairlead.engine.run.native.clients import Clients
from fairlead.engine.run.native.described import notes, problems
from fairlead.engine.run.native.options import made, options_of, secrets_of
from fairlead.engine.secrets import Secret

BINANCE = "nautilus:binance"
PERP = "BTCUSDT-PERP.BINANCE"
CANARY = "a-canary-that-nobody-may-see"
CONFIG = f"""
name = "native"

[venues.binance]
adapter = "nautilus:binance"
instruments = ["{PERP}"]
account_type = "margin"
"""


def written(tmp_path: Path, *more: str) -> LoadedConfig:
    path = tmp_path / "run.toml"
    path.write_text("\n".join((CONFIG, *more)))
    return load(path)


def findings(tmp_path: Path, *more: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        written(tmp_path, *more)
    return [f"{one.code} {one.text}" for one in raised.value.problems]


@pytest.mark.parametrize("name", found.names())
def test_each_adapter_of_the_installed_wheel_has_a_client_and_a_table(name: str) -> None:
    builtin = found.find(name)
    halves = [half for half in (builtin.data, builtin.execution) if half is not None]
    assert halves
    module = import_module(builtin.module)
    for half in halves:
        assert hasattr(module, half.factory)
        assert hasattr(module, half.config)
    told = spec(name)
    assert told.name == name
    secrets = {one.name for one in told.credentials}
    options = set(options_of(builtin).__struct_fields__)  # type: ignore[attr-defined]
    assert not secrets & options
    assert not {"api_key", "api_secret", "private_key", "passphrase", "password"} & options


def test_what_simulates_a_venue_is_none() -> None:
    assert "nautilus:sandbox" not in found.names()
    with pytest.raises(KeyError):
        found.find("nautilus:sandbox")


def test_options_reach_the_config_classes_in_their_own_types(tmp_path: Path) -> None:
    loaded = written(
        tmp_path,
        "[venues.binance.options]",
        'product_type = "USD_M"',
        'base_url_http = "http://127.0.0.1:1"',
        "use_ws_trading = false",
        "futures_leverages = { BTCUSDT = 3 }",
        'futures_margin_types = { BTCUSDT = "CROSS" }',
        "max_retries = 0",
    )
    builtin = found.find(BINANCE)
    assert builtin.data is not None
    assert builtin.execution is not None
    given: dict[str, Any] = {"account_id": AccountId("BINANCE-main"), "api_key": CANARY}
    options = loaded.options["binance"]
    data = made(builtin, builtin.data.config, options, given, [PERP])
    assert (data.base_url_http, data.max_retries) == ("http://127.0.0.1:1", 0)
    assert str(data.product_type).endswith("USD_M")
    assert data.instrument_provider.load_ids == [PERP]
    assert data.instrument_provider.load_all is False
    trading = made(builtin, builtin.execution.config, options, given, [PERP])
    assert trading.account_id == AccountId("BINANCE-main")
    assert trading.futures_leverages == {"BTCUSDT": 3}
    assert trading.use_ws_trading is False
    assert CANARY not in repr(data) + repr(trading)


def test_what_is_loaded_can_be_chosen(tmp_path: Path) -> None:
    loaded = written(tmp_path, "[venues.binance.options.instrument_provider]", "load_all = true")
    builtin = found.find(BINANCE)
    assert builtin.data is not None
    data = made(builtin, builtin.data.config, loaded.options["binance"], {}, [PERP])
    assert data.instrument_provider.load_all is True
    assert data.instrument_provider.load_ids is None


def test_a_number_is_exact_in_an_option() -> None:
    builtin = found.find("nautilus:betfair")
    struct = options_of(builtin)
    names = [one.name for one in msgspec.structs.fields(struct)]
    kinds = [one.type for one in msgspec.structs.fields(struct)]
    assert any(kind == Decimal | None for kind in kinds), names


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('base_url_htp = "x"', "did you mean base_url_http?"),
        ('product_type = "USDM"', 'did you mean "USD_M"?'),
        ('max_retries = "three"', "expected a whole number"),
        ("use_ws_trading = 1", "expected true or false"),
        ('api_key = "inline"', "api_key belongs in [venues.binance.credentials]"),
        ('api_kye = "inline"', "did you mean api_key, in [venues.binance.credentials]?"),
        ('account_id = "BINANCE-1"', "account_id is not a key"),
        ("instrument_provider = { load_al = true }", "did you mean load_all?"),
    ],
)
def test_an_option_that_the_classes_lack_or_type_otherwise_is_named(
    tmp_path: Path, line: str, told: str
) -> None:
    (problem,) = findings(tmp_path, "[venues.binance.options]", line)
    assert told in problem
    assert "inline" not in problem


def test_a_credential_among_the_keys_of_a_venue_is_told_its_place(tmp_path: Path) -> None:
    """Of each venue that has it; it is no key of another section's that reads like it."""
    (problem,) = findings(tmp_path, 'api_key = "inline"')
    assert problem.startswith("E-CFG-015")
    assert "api_key belongs in [venues.binance.credentials]" in problem
    assert "inline" not in problem


def test_a_secret_is_a_reference_and_its_name_is_known(tmp_path: Path) -> None:
    lines = ("[venues.binance.credentials]", 'api_key = "mine"', 'api_secrte = "env:X"')
    inline, unknown = findings(tmp_path, *lines)
    assert inline.startswith("E-SEC-001")
    assert unknown.startswith("E-CFG-041")
    assert "did you mean api_secret?" in unknown
    assert "mine" not in inline + unknown


def test_an_adapter_that_there_is_not_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(CONFIG.replace(BINANCE, "nautilus:binanse"))
    with pytest.raises(ConfigError) as raised:
        load(path)
    (problem,) = raised.value.problems
    assert problem.code == "E-CFG-035"
    assert f'did you mean "{BINANCE}"?' in problem.text
    assert "nautilus:NAME" in problem.text


def test_what_a_class_refuses_is_told_without_the_secret(tmp_path: Path) -> None:
    loaded = written(tmp_path, "[venues.binance.options]", "recv_window_ms = -1")
    clients = Clients(
        found.find(BINANCE),
        venue="BINANCE",
        account="main",
        options=loaded.options["binance"],
        secrets={"api_key": Secret("negative", "env:X")},
        instruments=[PERP],
    )
    with pytest.raises(VenueError) as raised:
        clients.add_execution(SimpleNamespace(add_exec_client=None))
    assert raised.value.code == "BINANCE-CONFIG"
    assert "BinanceExecutionClientConfig" in raised.value.message
    assert "(not shown)" in raised.value.message
    assert "negative" not in raised.value.message  # it is a word of the class's own refusal


def test_paper_and_record_read_the_keys_that_are_set_and_live_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NATIVE_TEST_KEY", raising=False)
    lines = ("[venues.binance.credentials]", 'api_key = "env:NATIVE_TEST_KEY"')
    loaded = written(tmp_path, *lines)
    assert not resolve(loaded, "record").problems
    assert [one.code for one in resolve(loaded, "live").problems][-1] == "E-SEC-002"
    monkeypatch.setenv("NATIVE_TEST_KEY", CANARY)
    assert resolve(loaded, "record").secrets["binance"]["api_key"].reveal() == CANARY


def test_a_mode_that_an_adapter_has_no_client_for_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(CONFIG.replace("binance", "tardis").replace(".BINANCE", ".TARDIS"))
    loaded = load(path)
    (problem,) = problems(loaded, "live")
    assert (problem.code, problem.key) == ("E-CFG-045", "venues.tardis.adapter")
    assert list(problems(loaded, "record")) == []


def test_what_is_lacking_is_noted(tmp_path: Path) -> None:
    lacks, keys = notes(written(tmp_path), "live")
    assert "no order desk" in lacks
    assert "no raw frames" in lacks
    assert "api_key, api_secret" in keys
    assert list(notes(written(tmp_path), "backtest")) == []


def test_a_limit_is_in_a_currency_that_only_the_instrument_tells(tmp_path: Path) -> None:
    loaded = written(tmp_path, "[risk]", 'max_order_notional = "2000 USDT"')
    assert loaded.config.risk.max_order_notional == "2000 USDT"


def test_secrets_are_what_has_no_getter() -> None:
    names = {one.name for one in secrets_of(found.find("nautilus:okx"))}
    assert names == {"api_key", "api_secret", "api_passphrase", "proxy_url"}


def test_a_spec_says_which_adapter_it_is() -> None:
    told = spec(BINANCE)
    assert isinstance(told, NativeSpec)
    assert told.builtin.module == "nautilus_trader.adapters.binance"
    with pytest.raises(KeyError):
        spec("nautilus:nowhere")
