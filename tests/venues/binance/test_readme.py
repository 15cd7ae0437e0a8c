"""The config on the page of the simulated Binance is taken by the engine, and fits the venue."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from fairlead.engine.run.config import load
from tests.support.processes import ROOT
from tests.venues.binance.kit import quiet

PAGE = ROOT / "adapters" / "binance" / "README.md"
STRATEGY = """
[[strategies]]
id = "Maker-001"
path = "fairlead.strategies.imbalance_maker:ImbalanceMaker"

[strategies.params]
instrument_id = "BTCUSDT-PERP.BINANCE"
order_quantity = "0.010"
max_inventory = "0.050"
"""


def test_the_config_is_taken_and_its_addresses_are_the_venues(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.S)
    path = tmp_path / "binance.toml"
    path.write_text(f'name = "page"\n\n{text}{STRATEGY}')
    assert load(path).config.venues["binance"].adapter == "nautilus:binance"
    options = tomllib.loads(text)["venues"]["binance"]["options"]
    told = quiet().describe("http://127.0.0.1:8610", "ws://127.0.0.1:8610")
    fields = {"base_url_http": "usdm_rest", "base_url_ws": "usdm_ws"}
    fields["base_url_ws_trading"] = "usdm_ws_api"
    assert {name: options[name] for name in fields} == {n: told[f] for n, f in fields.items()}
    assert f'"{told["ws"]}"' in PAGE.read_text()
