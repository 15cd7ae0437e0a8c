"""One option has one name at every venue, and a name of before leads to the one of today."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fairlead.adapters import registry
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.run.config import load

CONFIG = """
name = "names"
[venues.poloniex]
adapter = "poloniex"
instruments = ["BTC_USDT.POLONIEX"]
options.{option} = "http://127.0.0.1:9"
[[strategies]]
class = "fairlead.strategies.trend_follower:TrendFollower"
"""


@pytest.mark.parametrize("adapter", registry.names())
def test_where_a_venue_is_has_the_same_names_everywhere(adapter: str) -> None:
    spec = registry.spec(adapter)
    names = {field.name for field in msgspec.structs.fields(spec.options)}
    streams = set() if spec.capabilities.ticker else {"ws_url"}
    assert names >= {"http_url", "request_timeout_secs"} | streams


@pytest.mark.parametrize(("old", "new"), [("rest_url", "http_url"), ("public_ws_url", "ws_url")])
def test_a_name_of_before_is_refused_with_the_name_of_today(
    tmp_path: Path, old: str, new: str
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(CONFIG.format(option=old))
    with pytest.raises(ConfigError) as caught:
        load(path)
    (found,) = [p for p in caught.value.problems if "options" in str(p)]
    assert f"venues.poloniex.options.{old}" in str(found)
    assert f"{old} is now {new}: write {new}" in str(found)
