"""A venue of another distribution, by an entry point: found, loaded when it is named, or told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairlead.adapters import registry
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.config.resolved import resolve
from fairlead.engine.errors import FairleadError
from fairlead.engine.run.config import json_schema, load
from tests.unit.config_stub import CONFIGS

VENUE = """
import msgspec
from fairlead.adapters.oceanex.venue import SPEC as LIKE
SPEC = msgspec.structs.replace(LIKE, name="toy")
def create(**start):
    return start
"""
CONFIG = """
name = "toys"
[venues.toy]
adapter = "{}"
instruments = ["VETUSDT.TOY"]
[[strategies]]
id = "Maker-001"
path = "sample_strategies:Maker"
[strategies.params]
order_quantity = "1"
"""
Install = Callable[..., None]


@pytest.fixture(autouse=True)
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Install]:
    """Install `package` 1.0 with its module: what pip leaves of it in a folder on the path."""
    before = set(sys.modules)
    site = tmp_path / "site"
    monkeypatch.setattr(sys, "path", [str(site), str(CONFIGS), *sys.path])

    def installed(package: str, text: str, adapter: str = "", simulator: str = "") -> None:
        module = package.replace("-", "_")
        (site / f"{module}-1.0.dist-info").mkdir(parents=True)
        (site / f"{module}.py").write_text(text)
        told = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        (site / f"{module}-1.0.dist-info" / "METADATA").write_text(told)
        groups = ((registry.ADAPTERS, adapter, "SPEC"), (registry.SIMULATORS, simulator, "create"))
        entries = [f"[{group}]\n{name} = {module}:{what}" for group, name, what in groups if name]
        (site / f"{module}-1.0.dist-info" / "entry_points.txt").write_text("\n".join(entries))
        registry._all_offered.cache_clear()

    registry._all_offered.cache_clear()
    yield installed
    for name in sys.modules.keys() - before:
        if name.startswith("toy"):
            del sys.modules[name]
    registry._all_offered.cache_clear()


def config(folder: Path, adapter: str = "toy") -> Path:
    path = folder / "run.toml"
    path.write_text(CONFIG.format(adapter))
    return path


def test_a_venue_of_another_package_is_found_and_loaded_when_named(install: Install) -> None:
    install("toy-venue", VENUE, "toy", "toy")
    assert "toy" in registry.names()
    assert "toy" in registry.simulated()
    assert registry.clash("toy") == ""
    assert "toy_venue" not in sys.modules
    registry.spec("oceanex")
    assert "toy_venue" not in sys.modules
    assert registry.spec("toy").name == "toy"
    assert registry.simulator("toy")(seed=1) == {"seed": 1}


def test_a_config_names_it(install: Install, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="E-CFG-035"):
        load(config(tmp_path))
    install("toy-venue", VENUE, "toy")
    loaded = load(config(tmp_path))
    assert loaded.options["toy"] == registry.spec("oceanex").options()
    codes = [problem.code for problem in resolve(loaded, None).problems]
    assert "E-CFG-044" not in codes


def test_a_venue_may_have_no_simulator_and_a_simulator_no_adapter(install: Install) -> None:
    install("toy-venue", VENUE, "toy")
    install("toy-simulator", VENUE, simulator="toys")
    with pytest.raises(KeyError):
        registry.simulator("toy")
    with pytest.raises(KeyError):
        registry.spec("toys")
    assert "toys" not in registry.names()


@pytest.mark.parametrize(
    ("text", "came"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("SPEC = (", "SyntaxError: "),
        ("raise SystemExit('no')", "SystemExit: no"),
        ("", "AttributeError: module 'toy_venue' has no attribute 'SPEC'"),
    ],
)
def test_a_package_that_does_not_load_is_named(
    install: Install, tmp_path: Path, text: str, came: str
) -> None:
    """Once it is asked for by name: no other venue suffers from it, nor the schema."""
    install("toy-venue", text, "toy", "toy")
    for ask in (registry.spec, lambda _: load(config(tmp_path))):
        with pytest.raises(FairleadError) as told:
            ask("toy")
        assert told.value.code == "E-ADAPTER"
        start = "adapter toy of the package toy-venue 1.0: expected toy_venue:SPEC; came "
        assert told.value.message.startswith(start + came)
    with pytest.raises(FairleadError, match=r"simulator toy of the package toy-venue 1\.0: exp"):
        registry.simulator("toy")
    assert registry.spec("oceanex").name == "oceanex"
    assert "toy" in json_schema()["$defs"]["Venue"]["properties"]["adapter"]["enum"]


@pytest.mark.parametrize(
    ("text", "came"),
    [
        ("SPEC = create = 1", "expected an AdapterSpec; came a int"),
        (VENUE.replace('name="toy"', 'name="boat"'), "a SPEC of this name; came one of 'boat'"),
    ],
)
def test_what_is_no_adapter_is_named(install: Install, text: str, came: str) -> None:
    install("toy-venue", text, "toy", "toy")
    with pytest.raises(FairleadError, match=r"toy of the package toy-venue 1\.0: ") as told:
        registry.spec("toy")
    assert came in told.value.message
    if "create = 1" in text:
        with pytest.raises(FairleadError, match=r"expected a function that makes one; came a int"):
            registry.simulator("toy")


def test_two_packages_of_one_name_are_both_named(install: Install, tmp_path: Path) -> None:
    install("toy-venue", VENUE, "toy", "toy")
    install("toy-other", VENUE, "toy", "toy")
    both = r"toy: expected one package that .*; came the packages toy-other 1\.0 and toy-venue 1\.0"
    for ask in (registry.spec, registry.simulator, lambda _: load(config(tmp_path))):
        with pytest.raises(FairleadError, match=both):
            ask("toy")
    assert registry.names().count("toy") == 1


@pytest.mark.parametrize("group", ["adapter", "simulator"])
def test_nobody_takes_the_place_of_ours(install: Install, tmp_path: Path, group: str) -> None:
    """What the config means is asked before a run; a kill goes on with ours."""
    install("toy-venue", VENUE, **{group: "oceanex"})
    assert registry.spec("oceanex").create.__module__.startswith("fairlead.adapters.oceanex")
    assert registry.simulator("oceanex").__module__.startswith("fairlead.adapters.oceanex")
    assert "toy_venue" not in sys.modules
    loaded = load(config(tmp_path, "oceanex"))
    (told,) = [one for one in resolve(loaded, None).problems if one.code == "E-CFG-044"]
    assert told.key == "venues.toy.adapter"
    assert told.came == '"oceanex": fairlead and the package toy-venue 1.0 offer it'


@pytest.mark.parametrize("name", ["base", "simulation", "recorded"])
def test_what_no_venue_can_be_called_is_none(install: Install, name: str) -> None:
    before = registry.names(), registry.simulated()
    install("toy-venue", VENUE, name, name)
    assert (registry.names(), registry.simulated()) == before
    assert "toy-venue 1.0" in registry.clash(name)
    with pytest.raises(KeyError):
        registry.spec(name)
    with pytest.raises(KeyError):
        registry.simulator(name)
