"""The gate's cases of tests/unit/risk/test_gate_modes.py in live runs: the same codes."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions, SimMarket
from fairlead.adapters.poloniex.simulator import PoloniexSimOptions
from fairlead.adapters.poloniex.simulator_markets import SimMarket as PoloniexMarket
from fairlead.engine.config.model import Risk
from tests.live import hosted
from tests.support import configs
from tests.support.forks import COMMAND
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, run_until, start, wait_for
from tests.unit.risk.test_gate_modes import CASES

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
ALONE = (
    "kill switch",
    "modify the venue lacks",
    "reduce-only beyond position",
    "notional of a limit order",
    "notional of a market order",
    "position with open orders",
    "open orders",
    "order rate",
    "halted",
)
# OceanEx replaces no orders; Poloniex does.
REPLACING = ("position by a modify", "position by modifies")
POLONIEX = PoloniexSimOptions(
    markets=(
        PoloniexMarket(
            symbol="BTC_USDT",
            price_scale=2,
            quantity_scale=6,
            amount_scale=2,
            min_quantity=Decimal("0.000001"),
            min_amount=Decimal(1),
            start_price=MARKET.start_price,
        ),
    ),
    balances=FUNDS,
    active_markets=("BTC_USDT",),
)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    options = OceanexSimOptions(
        markets=(MARKET,), balances=FUNDS, active_markets=("btcusdt",), settle_ms=0
    )
    with hosted.simulated(tmp_path_factory.mktemp("keys"), options) as line:
        yield Venue(None, line)  # type: ignore[arg-type]  # it has no process of its own


@pytest.fixture
def replacing(tmp_path: Path) -> Iterator[Venue]:
    with hosted.simulated(tmp_path / "keys", POLONIEX) as line:
        yield Venue(None, line)  # type: ignore[arg-type]  # it has no process of its own


def prepared(
    market: Venue, folder: Path, names: tuple[str, ...], risk: Risk, script: str = "CaseScript"
) -> Path:
    """The config of a live run with the cases as strategies, on the venue as TEST."""
    said = folder / "told"
    said.mkdir()
    strategies = [
        {
            "id": f"Case-{number}",
            "path": f"tests.live.gate_cases:{script}",
            "params": {"instrument_id": "BTC_USDT.TEST", "case": name, "folder": str(said)},
        }
        for number, name in enumerate(names)
    ]
    limits = msgspec.structs.replace(risk, kill_switch_file=str(said / "KILL"))
    more = "\n".join(
        ["[execution]", "poll_ms = 100", "settle_timeout_secs = 2.0", *_section(limits)]
    )
    config = configs.write(folder, market, strategies=strategies, more=more)
    key = str(market.line["venue"])
    text = config.read_text().replace(f"[venues.{key}]", "[venues.test]")
    config.write_text(text.replace(f"BTC_USDT.{key.upper()}", "BTC_USDT.TEST"))
    return config


def codes(market: Venue, folder: Path, names: tuple[str, ...], risk: Risk) -> dict[str, list[str]]:
    """Run the cases as strategies of one live run; what each was denied."""
    ended = run_cases(prepared(market, folder, names, risk), folder, names)
    assert ended.returncode == (8 if names == ("halted",) else 0), (
        ended.stdout[-2000:] + ended.stderr[-3000:]
    )
    assert "NOT_APPROVED" not in json.loads(ended.stdout)["denials"]
    return told(folder, names)


def run_cases(
    config: Path, folder: Path, names: tuple[str, ...], program: str = COMMAND
) -> subprocess.CompletedProcess[str]:
    """A live run until every case has done all that it does."""
    done = [(folder / "told" / name).with_suffix(".done") for name in names]

    def all_done() -> bool:
        return all(one.exists() for one in done)

    return run_until("live", config, all_done, "every case", folder=folder, program=program)


def told(folder: Path, names: tuple[str, ...]) -> dict[str, list[str]]:
    return {name: (folder / "told" / name).read_text().split() for name in names}


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


@pytest.mark.parametrize("name", REPLACING)
def test_case_of_a_modify_on_a_venue_that_replaces(
    replacing: Venue, tmp_path: Path, name: str
) -> None:
    assert codes(replacing, tmp_path, (name,), CASES[name].risk) == {name: CASES[name].codes}
    orders = [e["order"] for e in replacing.ledger()["entries"] if e["type"] == "order"]
    ours = {str(order["quantity"]) for order in orders if order["account"] == "spot"}
    assert {Decimal(quantity) for quantity in ours} == {Decimal(1)}, "nothing larger went out"


def test_case_of_a_kind_that_the_venue_lacks(market: Venue, tmp_path: Path) -> None:
    name = "kind the venue lacks"
    config = prepared(market, tmp_path, (name,), CASES[name].risk)
    config.write_text(config.read_text().replace('adapter = "oceanex"', 'adapter = "nostops"'))
    ended = run_cases(config, tmp_path, (name,), "tests.live.restricted:main")
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-3000:]
    assert told(tmp_path, (name,)) == {name: CASES[name].codes}


def test_case_of_a_book_that_a_lost_connection_clears(market: Venue, tmp_path: Path) -> None:
    name = "cleared book"
    config = prepared(market, tmp_path, (name,), CASES[name].risk, "ClearedScript")
    log = tmp_path / "run.log"
    process = start("live", config, log=log)
    try:
        said = tmp_path / "told" / name
        wait_for(said.with_suffix(".whole").exists, f"a book; see {log}")
        market.post("faults", method="WS", path="/app", kind="drop")
        wait_for(said.with_suffix(".acted").exists, f"the cleared book; see {log}")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECS) == 0, log.read_text()[-3000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE_SECS)
    assert told(tmp_path, (name,)) == {name: CASES[name].codes}
    assert CASES[name].codes == ["INVALID_BOOK"] * 2
