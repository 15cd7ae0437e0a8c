"""The gate's cases of tests/unit/test_gate_modes.py in live runs: the same codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from adapters.oceanex.simulator_markets import OceanexSimOptions, SimMarket
from engine.config.model import Risk
from tests.live import hosted
from tests.support import configs
from tests.support.processes import Venue, run
from tests.unit.test_gate_modes import CASES

# The cases trade a BTC_USDT of about 100 USDT on a venue named TEST; OceanEx has the precisions.
MARKET = SimMarket(
    id="btcusdt",
    base="BTC",
    quote="USDT",
    price_precision=2,
    amount_precision=6,
    ask_fee=Decimal("0.001"),
    bid_fee=Decimal("0.001"),
    minimum_trading_amount=Decimal("0.01"),
    start_price=Decimal(101),  # it moves, and must stay above 100
)
FUNDS = {"USDT": Decimal(1_000_000), "BTC": Decimal(1000)}
ONE_RUN = (
    "unknown instrument",
    "execution algorithm",
    "emulated",
    "time in force the venue lacks",
    "post-only the venue lacks",
    "quote quantity",
    "price off the grid",
    "quantity off the grid",
    "reduce-only without position",
    "no market data",
    "list with one bad order",
    "duplicate id",
)
# Not possible here: OceanEx has every kind of stop, and its book can't be cleared on demand.
ALONE = (
    "kill switch",
    "modify the venue lacks",
    "reduce-only beyond position",
    "notional of a limit order",
    "notional of a market order",
    "notional in another currency",
    "position with open orders",
    "open orders",
    "order rate",
    "halted",
)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    options = OceanexSimOptions(
        markets=(MARKET,), balances=FUNDS, active_markets=("btcusdt",), settle_ms=0
    )
    with hosted.simulated(tmp_path_factory.mktemp("keys"), options) as line:
        yield Venue(None, line)  # type: ignore[arg-type]  # it has no process of its own


def codes(market: Venue, folder: Path, names: tuple[str, ...], risk: Risk) -> dict[str, list[str]]:
    """Run the cases as strategies of one live run; what each was denied."""
    told = folder / "told"
    told.mkdir()
    strategies = [
        {
            "id": f"Case-{number}",
            "path": "tests.live.gate_cases:CaseScript",
            "params": {"instrument_id": "BTC_USDT.TEST", "case": name, "folder": str(told)},
        }
        for number, name in enumerate(names)
    ]
    limits = msgspec.structs.replace(risk, kill_switch_file=str(told / "KILL"))
    more = "\n".join(
        ["[execution]", "poll_ms = 100", "settle_timeout_secs = 2.0", *_section(limits)]
    )
    config = configs.write(folder, market, strategies=strategies, more=more)
    text = config.read_text().replace("[venues.oceanex]", "[venues.test]")
    config.write_text(text.replace("BTC_USDT.OCEANEX", "BTC_USDT.TEST"))
    ended = run("live", config, "--for", "2", "--json")
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-3000:]
    assert "NOT_APPROVED" not in json.loads(ended.stdout)["denials"]
    return {name: (told / name).read_text().split() for name in names}


def _section(risk: Risk) -> Iterator[str]:
    yield "[risk]"
    default = msgspec.to_builtins(Risk())
    for key, value in msgspec.to_builtins(risk).items():
        if value != default[key] and value is not None:
            text = configs.inline(value) if isinstance(value, dict) else json.dumps(value)
            yield f"{key} = {text}"


def test_cases_with_the_default_limits(market: Venue, tmp_path: Path) -> None:
    assert all(CASES[name].risk == Risk() for name in ONE_RUN)
    came = codes(market, tmp_path, ONE_RUN, Risk(max_orders_per_second=100))
    assert came == {name: CASES[name].codes for name in ONE_RUN}


@pytest.mark.parametrize("name", ALONE)
def test_case_with_its_own_limits(market: Venue, tmp_path: Path, name: str) -> None:
    assert codes(market, tmp_path, (name,), CASES[name].risk) == {name: CASES[name].codes}
