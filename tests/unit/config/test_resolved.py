"""What a config refers to is followed once, and a run takes what its check has found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from fairlead.adapters import registry
from fairlead.adapters.base.venue import AdapterContext
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.config.resolved import Mode, resolve
from fairlead.engine.guard.building import build_strategies
from fairlead.engine.orders.model import Kind, Tif, TriggerSource
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.build import capabilities
from fairlead.engine.run.config import load
from fairlead.engine.run.modes import MODES, NodeMode
from fairlead.engine.run.reach import PlainReach
from fairlead.engine.secrets import SecretError
from tests.unit.config_stub import CONFIGS, STUB

KEY = "hunter2-hunter2"
COUNTED = """
from nautilus_trader.trading import Strategy, StrategyConfig

made = []

class CountedConfig(StrategyConfig):
    def __init__(self, size: int = 1, **native):
        made.append(size)

class Counted(Strategy):
    def __init__(self, config: CountedConfig):
        super().__init__(config)
"""


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[AdapterContext]]:
    """What the stub's adapter was made with."""
    contexts: list[AdapterContext] = []

    def create(context: AdapterContext) -> Any:
        contexts.append(context)
        return object()

    monkeypatch.setattr(sys, "path", [str(CONFIGS), *sys.path])
    monkeypatch.setenv("STUBEX_KEY", KEY)
    with registry.registered(msgspec.structs.replace(STUB, create=create)):
        yield contexts


def config(folder: Path, strategy: str = "sample_strategies:Maker") -> Path:
    """The full config without the key file that is not there; its other venue is recorded."""
    text = (CONFIGS / "full.toml").read_text()
    path = folder / "run.toml"
    text = text.replace('private_key = "file:stubex.pem"\n', "")
    path.write_text(text.replace("sample_strategies:Maker", strategy))
    return path


def with_one(folder: Path, strategy: str, params: str = "") -> Path:
    """The same with this strategy alone."""
    text = config(folder).read_text()
    path = folder / "one.toml"
    path.write_text(
        f'{text[: text.index("[[strategies]]")]}[[strategies]]\nid = "one-1"\n'
        f'path = "{strategy}"\n[strategies.params]\n{params}\n'
    )
    return path


@pytest.mark.parametrize("mode", get_args(NodeMode))
def test_a_recorded_venue_is_connected_in_no_mode(tmp_path: Path, mode: Mode) -> None:
    resolved = resolve(load(config(tmp_path)), mode)
    assert "E-CFG-038" in {one.code for one in resolved.problems}
    with pytest.raises(ConfigError, match=f"to run {mode}"):
        resolved.require()


def test_a_kill_beside_a_run_needs_the_key_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[AdapterContext]
) -> None:
    loaded = load(config(tmp_path))
    secrets = resolve(loaded, "live").secrets
    monkeypatch.delenv("STUBEX_KEY")
    with pytest.raises(SecretError):
        PlainReach(loaded, "stubex")
    PlainReach(loaded, "stubex", secrets["stubex"])
    assert [one.secrets["key"].reveal() for one in told] == [KEY]


@pytest.mark.parametrize("mode", ["paper", "record", "backtest"])
def test_keys_are_read_where_orders_are_sent_only(tmp_path: Path, mode: Mode) -> None:
    assert not any(resolve(load(config(tmp_path)), mode).secrets.values())


@pytest.mark.parametrize("mode", ["paper", "record"])
def test_keys_are_read_where_market_data_needs_them(tmp_path: Path, mode: Mode) -> None:
    path = config(tmp_path)
    path.write_text(path.read_text().replace('adapter = "stubex"', 'adapter = "keyedex"'))
    with registry.registered(msgspec.structs.replace(STUB, name="keyedex", keyed_data=True)):
        loaded = load(path)
    assert [one.reveal() for one in resolve(loaded, mode).secrets["stubex"].values()] == [KEY]
    assert not any(resolve(loaded, "backtest").secrets.values())


def test_parameters_are_converted_once_from_check_to_run(tmp_path: Path) -> None:
    (tmp_path / "counted_once.py").write_text(COUNTED)
    path = with_one(tmp_path, "counted_once:Counted", "size = 3")
    resolved = resolve(load(path), "backtest").require()
    (built,) = build_strategies(resolved.loaded, resolved.strategies)
    assert built is not None
    assert resolved.strategies[0].configured.params == {"size": 3}
    assert sys.modules["counted_once"].made == [3]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("mode", "is_said"), [("paper", True), ("backtest", True), ("live", False)]
)
def test_what_no_simulated_exchange_has_is_said_of_the_modes_that_have_one(
    tmp_path: Path, mode: Mode, is_said: bool
) -> None:
    trails = 'Counted.order_kinds = frozenset({"TRAILING_STOP_MARKET"})\n'
    (tmp_path / "trails_only.py").write_text(COUNTED + trails)
    path = with_one(tmp_path, "trails_only:Counted")
    path.write_text(path.read_text().replace('adapter = "stubex"', 'adapter = "trailex"'))
    able = msgspec.structs.replace(STUB.capabilities, kinds=frozenset(Kind))
    with registry.registered(msgspec.structs.replace(STUB, name="trailex", capabilities=able)):
        problems = resolve(load(path), mode).problems
    found = [one for one in problems if one.code == "E-CFG-060"]
    assert bool(found) is is_said
    assert all("a simulated stubex has" in one.expected for one in found)


def test_a_backtest_is_refused_for_what_its_check_finds(tmp_path: Path) -> None:
    """Before it looks for its data, which is not there."""
    stops = 'Counted.order_kinds = frozenset({"STOP_LIMIT"})\n'
    (tmp_path / "stops_only.py").write_text(COUNTED + stops)
    loaded = load(with_one(tmp_path, "stops_only:Counted"))
    with pytest.raises(ConfigError, match="E-CFG-060"):
        run_backtest(loaded)
    assert {one.code for one in resolve(loaded, "backtest").problems} == {"E-CFG-060"}


@pytest.mark.parametrize("said", ["5", '"LIMIT"', "property(lambda self: ())"])
def test_what_a_class_says_it_sends_is_a_set_of_names(tmp_path: Path, said: str) -> None:
    name = f"says_{abs(hash(said))}"
    (tmp_path / f"{name}.py").write_text(f"{COUNTED}Counted.order_kinds = {said}\n")
    (problem,) = resolve(load(with_one(tmp_path, f"{name}:Counted")), "backtest").problems
    assert problem.code == "E-CFG-064"
    assert "order_kinds of the class to be a set of names" in str(problem)


def test_a_recorder_takes_no_strategies(tmp_path: Path) -> None:
    resolved = resolve(load(config(tmp_path, "nowhere.at.all:Maker")), "record")
    assert resolved.strategies == ()
    assert {one.code for one in resolved.problems} == {"E-CFG-038"}


def test_each_mode_has_its_row() -> None:
    assert set(MODES) == set(get_args(Mode))
    assert [mode for mode, traits in MODES.items() if traits.is_real] == ["live"]
    assert [mode for mode, traits in MODES.items() if not traits.trades] == ["record"]


def test_held_kinds_are_the_venues_and_their_price_is_one_of_its_data(tmp_path: Path) -> None:
    stops = 'Counted.order_kinds = frozenset({"STOP_LIMIT"})\n'
    (tmp_path / "stops_held.py").write_text(COUNTED + stops)
    path = with_one(tmp_path, "stops_held:Counted")
    path.write_text(path.read_text() + '\n[venues.stubex.held]\nsource = "mid"\nlimits = true\n')
    able = msgspec.structs.replace(
        STUB.capabilities,
        held=frozenset({Kind.STOP_LIMIT}),
        time_in_force=frozenset({Tif.FOK}),
        trigger_sources=(TriggerSource.TOUCH, TriggerSource.MID),
    )
    spec = msgspec.structs.replace(STUB, name="holdex", capabilities=able)
    path.write_text(path.read_text().replace('adapter = "stubex"', 'adapter = "holdex"'))
    with registry.registered(spec):
        assert resolve(load(path), "backtest").problems == ()
        found = capabilities(load(path))["STUBEX"]
        assert (found.trigger_source, found.holds_limits) == (TriggerSource.MID, True)
        path.write_text(path.read_text().replace('source = "mid"', 'source = "last"'))
        (problem,) = resolve(load(path), "backtest").problems
    assert problem.code == "E-CFG-063"
    assert "touch, mid" in problem.expected


@pytest.mark.parametrize(
    ("traits", "source", "says"),
    [
        ({"held": frozenset({Kind.STOP_LIMIT})}, "touch", None),  # it says nothing of its data
        ({"held": frozenset({Kind.STOP_LIMIT})}, "tier", "data (last, touch, mid)"),
        ({"held": frozenset({Kind.STOP_LIMIT}), "public_trades": False}, "last", "(touch, mid)"),
        ({}, "touch", "no source, as the engine holds no order for stubex"),
        ({"hold_passed": True}, "touch", None),
    ],
)
def test_what_fires_held_orders_is_refused_for_what_is_so(
    tmp_path: Path, traits: dict[str, Any], source: str, says: str | None
) -> None:
    path = with_one(tmp_path, "sample_strategies:Maker")
    path.write_text(
        path.read_text().replace('adapter = "stubex"', 'adapter = "holdex"')
        + f'\n[venues.stubex.held]\nsource = "{source}"\n'
    )
    able = msgspec.structs.replace(STUB.capabilities, **traits)
    with registry.registered(msgspec.structs.replace(STUB, name="holdex", capabilities=able)):
        found = [one for one in resolve(load(path), None).problems if one.code == "E-CFG-063"]
    assert [says is not None and says in one.expected for one in found] == [True] * bool(says)
