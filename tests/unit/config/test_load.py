"""Loading a whole config: every section, paths, hash, lines, options, and the time it takes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fairlead.adapters import registry
from fairlead.adapters.base.venue import AdapterSpec
from fairlead.engine.config import model
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import FairleadError
from fairlead.engine.run.config import load
from tests.unit.config_stub import CONFIGS, STUB, StubOptions, stub_adapter

FULL = CONFIGS / "full.toml"


@pytest.fixture(autouse=True)
def _stub() -> Iterator[None]:
    with stub_adapter():
        yield


@pytest.fixture
def full() -> LoadedConfig:
    return load(FULL)


def test_every_section_of_a_full_config_arrives(full: LoadedConfig) -> None:
    config = full.config
    assert config.name == "btc-maker"
    assert config.run == model.Run(state_dir="state/btc-maker", seed=7, log_level="INFO")
    assert config.venues["binance"].fees == model.Fees(
        maker=Decimal("0.0002"), taker=Decimal("0.0005")
    )
    assert config.venues["stubex"].credentials["key"] == "env:STUBEX_KEY"
    assert [strategy.id for strategy in config.strategies] == ["maker-1", "trend-2"]
    assert config.strategies[0].params["order_quantity"] == "0.002"
    assert config.risk.max_order_notional == "500 USDT"
    assert config.risk.max_position == {
        "BTC_USDT.STUBEX": Decimal("0.05"),
        "BTCUSDT.BINANCE": Decimal(1),
    }
    assert config.risk.price_collar_bps == Decimal(150)
    assert config.execution.unknown_query_ms == [250, 500, 1000]
    assert config.execution.absent_quarantine_secs == 30
    assert config.simulated.latency_ms == Decimal("20.5")
    assert config.record == model.Record(dir="data")
    assert config.backtest.start == datetime(2026, 11, 1, tzinfo=UTC)
    assert config.backtest.chunk_size == 50_000


def test_a_config_survives_a_round_trip(full: LoadedConfig) -> None:
    data = msgspec.json.encode(full.config)
    assert msgspec.json.decode(data, type=model.Config) == full.config


def test_defaults_are_those_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(
        'name = "small"\n[venues.stubex]\nadapter = "stubex"\ninstruments = ["A.STUBEX"]\n'
    )
    loaded = load(path)
    venue = model.Venue(adapter="stubex", instruments=["A.STUBEX"])
    assert loaded.config == model.Config(name="small", venues={"stubex": venue})
    assert loaded.options == {"stubex": StubOptions()}


def test_the_adapters_options_are_its_own_struct(full: LoadedConfig) -> None:
    assert full.options == {"stubex": StubOptions(depth=20, url="http://127.0.0.1:1")}


def test_paths_are_relative_to_the_config_file(full: LoadedConfig) -> None:
    assert full.resolve("data/catalog") == CONFIGS.resolve() / "data" / "catalog"
    assert full.resolve("/elsewhere") == Path("/elsewhere")
    assert full.state_dir == CONFIGS.resolve() / "state" / "btc-maker"


def test_the_hash_is_of_the_bytes(full: LoadedConfig) -> None:
    assert full.sha256 == hashlib.sha256(FULL.read_bytes()).hexdigest()


def test_lines_of_keys(full: LoadedConfig) -> None:
    rows = FULL.read_text().splitlines()
    for key in (
        "run.seed",
        "venues.stubex.instruments[1]",
        "strategies[1].params.instrument_id",
        'risk.max_position."BTCUSDT.BINANCE"',
    ):
        line = full.line_of(key)
        assert line is not None
        word = key.rpartition(".")[2] if '"' not in key else "BTCUSDT.BINANCE"
        assert (word if "[" not in word else "ETH_USDT") in rows[line - 1]
    assert full.line_of(("run", "seed")) == full.line_of("run.seed")
    assert full.line_of("run.nothing") is None


def test_a_config_loads_in_less_than_50_ms_of_the_processor() -> None:
    load(FULL)  # imports
    spent = []
    for _ in range(5):
        begin = time.process_time()
        load(FULL)
        spent.append(time.process_time() - begin)
    assert min(spent) < 0.05, spent


def test_the_registry_names_the_real_venues() -> None:
    assert {"oceanex", "poloniex"} <= set(registry.names())
    with pytest.raises(KeyError):
        registry.spec("nowhere")


@pytest.mark.parametrize("name", ["oceanex", "poloniex"])
def test_a_registered_adapter_describes_itself(name: str) -> None:
    spec = registry.spec(name)
    assert isinstance(spec, AdapterSpec)
    assert spec.name == name
    assert spec.options() is not None  # every option has a default
    assert isinstance(msgspec.inspect.type_info(spec.options), msgspec.inspect.StructType)
    assert spec.capabilities.kinds


def test_an_adapter_that_does_not_import_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for file in ("venue.py", "simulator.py"):
        (tmp_path / "broken").mkdir(exist_ok=True)
        (tmp_path / "broken" / file).touch()
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    assert registry.simulated() == ("broken",)
    for ask in (registry.spec, registry.simulator):
        with pytest.raises(FairleadError, match=r"adapter broken: .*adapters\.broken"):
            ask("broken")


def test_what_venues_share_is_no_adapter() -> None:
    assert {"base", "simulation"}.isdisjoint(registry.names() + registry.simulated())
    with pytest.raises(KeyError):
        registry.simulator("simulation")


def test_a_venue_may_be_nothing_but_a_simulator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "lone").mkdir()
    (tmp_path / "lone" / "simulator.py").touch()
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    assert registry.simulated() == ("lone",)
    assert registry.only_simulated() == ("lone",)
    assert registry.playable() == ()
    assert "lone" not in registry.names()
    with pytest.raises(KeyError):
        registry.spec("lone")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="already"), registry.registered(STUB):
        pass
