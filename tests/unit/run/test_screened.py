"""`fairlead sweep --screen`: what a screen sees of a config, what runs, what counts as tried."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import Price, Quantity, QuoteTick
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.strategy_params import build_strategy_config
from fairlead.engine.errors import FairleadError
from fairlead.engine.research.holdout import Held, hold, time_of
from fairlead.engine.research.luck import Curve, luck
from fairlead.engine.research.screening import Screened, Screening, positions_of
from fairlead.engine.research.search import Plan
from fairlead.engine.research.space import param_of
from fairlead.engine.research.study import words
from fairlead.engine.research.sweep import Sweep
from fairlead.engine.research.trials import Registry
from fairlead.engine.run.config import load
from fairlead.engine.run.prepared import Shared
from fairlead.engine.run.screened import _Lane, chosen, screening
from fairlead.engine.run.trial import Forms, basis
from tests.unit import backtest_kit as kit

np = pytest.importorskip("numpy")
pytest.importorskip("pandas")
TREND = {"order_quantity": "0.010", "bar": "1-SECOND-LAST", "allow_short": True}
TREND |= {"fast": 2, "slow": 8, "atr": 3, "channel_atr": "0.1"}
FAST, SLOW = "strategies[0].params.fast", "strategies[0].params.slow"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> LoadedConfig:
    folder: Path = tmp_path_factory.mktemp("screened")
    catalog = kit.write_catalog(folder / "catalog", kit.perpetual("BTCUSDT.TEST"), seconds=60)
    return kit.loaded(folder, catalog, kit.TREND, TREND)


def _plan(**more: Any) -> Plan:
    params = (param_of(f"{FAST}=2..4:1", ()), param_of(f"{SLOW}=4..8:2", ()))
    return Plan(**{"params": params, "screen": 3, **more})


def _changed(config: LoadedConfig, **changes: Any) -> LoadedConfig:
    return load(config.path, {key.replace("__", "."): one for key, one in changes.items()})


# -- the same market and the same decisions as a backtest's


@pytest.mark.parametrize(
    ("channel", "bar", "late_ms"),
    [
        ("0", "1-SECOND-LAST", 0),
        ("0.1", "1-SECOND-LAST", 2500),  # the first bar is half a one
        ("1", "1-SECOND-LAST", 0),
        ("0.5", "200-MILLISECOND-LAST", 0),  # some without a trade
    ],
)
def test_decisions_are_those_of_a_backtest_at_the_same_bars(
    config: LoadedConfig, channel: str, bar: str, late_ms: int
) -> None:
    """Each order is decided at a close where the screen's position changes, and moves as much."""
    params, start = "strategies[0].params", kit.START_NS + late_ms * 10**6
    changes = {f"{params}.channel_atr": channel, f"{params}.bar": bar}
    given = load(config.path, {**changes, "backtest.start": time_of(start)})
    plan = Plan(params=(param_of(f"{FAST}=2", ()),), screen=1)
    with Shared() as shared:
        lane = _Lane(given, plan, shared)
        found = lane.looked_at(chosen(screening(given, plan), plan)[0])
        (bars,) = lane.bars.values()
        (strategy,) = given.config.strategies
        fitted = build_strategy_config(lane._cls, strategy)
        positions = positions_of(lane._signal, "S", bars, fitted)
    moves = np.diff(positions, prepend=0.0)
    wanted = [(int(bars.ts[at]), round(float(moves[at]), 9)) for at in np.flatnonzero(moves)]
    result = kit.run_backtest(given)
    try:
        orders = sorted(result.cache.orders(), key=lambda one: one.ts_init)
        did = [
            (one.ts_init, float(one.quantity.as_decimal()) * (1 if one.side.name == "BUY" else -1))
            for one in orders
        ]
        net = float(result.summary.net["USDT"])
    finally:
        result.dispose()
    assert len(did) > 3
    assert did == wanted[: len(did)]
    assert len(wanted) - len(did) <= 1, "the run may end at the last close"
    assert found.net == pytest.approx(net, abs=0.05 * len(did))


def test_the_spread_is_the_books(config: LoadedConfig) -> None:
    found = screening(config, _plan())
    assert found.spread == "the book's touch at each close"
    assert (found.currency, found.bar) == ("USDT", "1-SECOND-LAST")
    with Shared() as shared:
        lane = _Lane(config, _plan(), shared)
        lane.looked_at(chosen(found, _plan())[0])
        (bars,) = lane.bars.values()
    assert np.allclose(bars.ask - bars.bid, 0.2)


@pytest.mark.parametrize("has_quotes", [True, False])
def test_without_a_book_the_spread_is_the_quotes_or_none(tmp_path: Path, has_quotes: bool) -> None:
    instrument = kit.perpetual("BTCUSDT.TEST")
    prices = [Decimal(60_000 + (at * at) % 17) for at in range(40)]
    catalog = ParquetDataCatalog(str(tmp_path))
    catalog.write_instruments([instrument])
    times = [kit.START_NS + at * kit.SECOND_NS + 1 for at in range(40)]
    trades = [
        kit.trade(instrument, price, ts, at, "0.100")
        for at, (price, ts) in enumerate(zip(prices, times, strict=True))
    ]
    catalog.write_trade_ticks(trades)
    if has_quotes:
        size = Quantity.from_str("1.000")
        sides = [(Price.from_str(f"{one - 2}.0"), Price.from_str(f"{one + 3}.0")) for one in prices]
        quotes = [
            QuoteTick(instrument.id, *both, size, size, ts, ts)
            for both, ts in zip(sides, times, strict=True)
        ]
        catalog.write_quote_ticks(quotes)
    given = kit.loaded(tmp_path, tmp_path, kit.TREND, TREND)
    with Shared() as shared:
        lane = _Lane(given, plan := _plan(), shared)
        found = lane.looked_at(chosen(screening(given, plan), plan)[0])
        (bars,) = lane.bars.values()
    assert found.net is not None
    assert [*bars.close] == [float(one) for one in prices[: len(bars)]]
    if has_quotes:
        assert lane.spread == "the last quote at each close"
        assert [*(bars.ask - bars.bid)] == [5.0] * len(bars)
        assert [*bars.bid] == [*(bars.close - 2)]
    else:
        assert lane.spread.startswith("nothing (0")
        assert np.isnan(bars.ask).all()


# -- what a screen can't be of


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"kind": "tpe", "trials": 9}, "SCREEN-SEARCH: expected --search grid or random .* tpe"),
        ({"metric": "fees"}, "SCREEN-SEARCH: a screen ranks by --metric net or ratio; came fees"),
        (
            {"params": (param_of("simulated.latency_ms=1,2", ()),)},
            "SCREEN-CONFIG: .*parameters of the strategy alone.*came simulated.latency_ms",
        ),
        (
            {"params": (param_of("strategies[0].params.bar=100-TICK-LAST", ()),)},
            "SCREEN-CONFIG: .*5-SECOND-LAST; came 100-TICK-LAST",
        ),
        (
            {"params": (param_of("strategies[0].params.bar=1-SECOND-MID", ()),)},
            "SCREEN-CONFIG: .*of trades.*came 1-SECOND-MID",
        ),
        (
            {"params": (param_of("strategies[0].params.bar=1-HOUR-LAST", ()),)},
            "SCREEN-DATA: .*no bar has closed",
        ),
    ],
)
def test_what_a_screen_does_not_see_is_refused(
    config: LoadedConfig, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(FairleadError, match=says):
        screening(config, _plan(**more))


def test_a_strategy_without_a_screen_is_told(config: LoadedConfig, tmp_path: Path) -> None:
    catalog = Path(config.config.backtest.catalog)
    maker = kit.loaded(tmp_path, catalog, kit.MAKER, {**kit.MAKER_PARAMS, "allow_short": True})
    plan = Plan(params=(param_of("strategies[0].params.skew_bps=1,2", ()),), screen=1)
    with pytest.raises(FairleadError, match=r"SCREEN-NONE: .*ImbalanceMaker has no `screen"):
        screening(maker, plan)


def test_parameters_that_do_not_fit_are_a_row_and_not_tried(
    config: LoadedConfig, tmp_path: Path
) -> None:
    plan = _plan(params=(param_of(f"{FAST}=2,9,x", ()),))
    found = screening(config, plan)
    assert [one.error is None for one in found.variants] == [True, False, False]
    assert "1 <= fast < slow" in (found.variants[1].error or "")
    assert [one.number for one in found.best(plan)] == [0]
    with Registry(tmp_path / "s") as registry:
        Sweep(registry, plan, "b", {}).screened(found)
        assert len(next(registry.entries("screen")).body["variants"]) == 1


# -- what is tried


def test_the_best_by_either_metric_and_either_way() -> None:
    rows = [(1.0, 0.1), (3.0, None), (2.0, 0.3), (2.0, 0.2)]
    variants = tuple(
        Screened(number=at, values={}, net=net, ratio=ratio) for at, (net, ratio) in enumerate(rows)
    )
    found = Screening(
        variants=variants, span_ns=(0, 1), currency="USDT", bar="", bars=1, spread="", secs=0
    )
    for metric, minimize, best in (
        ("net", False, [1, 2, 3, 0]),
        ("net.USDT", True, [0, 2, 3, 1]),
        ("ratio", False, [2, 3, 0]),
    ):
        plan = Plan(params=(), metric=metric, minimize=minimize, screen=2)
        assert [one.number for one in found.best(plan)] == best
        ran = [row["trial"] for row in found.told(plan)["rows"] if row["ran_exactly"]]
        assert ran == sorted(best[:2])


def _curves(count: int, skill: float = 0.02) -> list[Curve]:
    rng, found = random.Random(5), []
    for number in range(count):
        total, pnl = 0.0, []
        for _ in range(240):
            total += rng.gauss(skill * number, 1)
            pnl.append(total)
        found.append(Curve(str(number), pnl))
    return found


def test_what_was_screened_alone_deflates_as_what_ran() -> None:
    pytest.importorskip("trialgate")
    curves = _curves(8)
    plain = luck(curves[7], curves)
    ratios = [0.001 * at for at in range(92)]
    found = luck(curves[7], curves, ratios)
    assert (found.tried, found.effective, found.screened) == (100, 100, 92)
    assert found.expected is not None
    assert plain.expected is not None
    assert found.expected > plain.expected * 1.5
    assert (found.deflated or 0) < (plain.deflated or 0)
    assert found.pbo is None
    assert "a screen chose what ran by all of the time" in found.why
    assert any("100 variants tried over this time: 8 ran, 92 were" in line for line in words(found))
    wide = luck(curves[7], curves, [*ratios, 5.0, None])
    assert (wide.expected or 0) > found.expected * 2, "the wider spread"
    one = luck(curves[7], curves[7:], ratios)
    assert one.deflated is not None, "one alone ran, and 92 others were tried"


def test_a_screen_counts_in_its_study_and_is_no_trial(config: LoadedConfig, tmp_path: Path) -> None:
    pytest.importorskip("trialgate")
    plan, rests = _plan(), basis(config)
    with Registry(tmp_path / "studies" / "s") as registry:
        sweep = Sweep(registry, plan, rests.key, {"name": "n"}, forms=Forms(config))
        found = screening(config, plan)
        sweep.screened(found)
        sweep.screened(found)
        assert registry.count("screen") == 1
        assert registry.count("trial") == 0
        body = next(registry.entries("screen")).body
        assert len(set(body["variants"])) == sum(not one.error for one in found.variants) == 8
        end, names = found.span_ns[1], {"study": "s", "catalog": "/c", "instruments": ("A.B",)}
        held = Held(**names, start_ns=end - 1, end_ns=end)
        with pytest.raises(FairleadError, match="HELD-SEEN: 8 trials"):
            hold(registry, held)


def _sweep(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "fairlead.engine.cli.main", "sweep", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_the_command_says_what_is_screened_and_what_is_exact(
    config: LoadedConfig, tmp_path: Path
) -> None:
    pytest.importorskip("trialgate")
    params = ["--param", "fast=2..4:1", "--param", "slow=4..8:2"]
    where = ["--set", f"run.state_dir={tmp_path / 'state'}", "--jobs", "1"]
    asked = [str(config.path), *params, *where, "--screen", "3", "--out", str(tmp_path / "out")]
    text = _sweep(*asked)
    assert text.returncode == 0, text.stderr
    assert "9 variants screened on" in text.stdout
    assert "the best 3 by screened_net ran exactly" in text.stdout
    assert "screened_net is no result" in text.stdout
    assert "variant 6 could not be screened" in text.stdout
    assert "3 trials and 5 screened in all" in text.stdout

    done = _sweep(*asked, "--json")
    told = json.loads(done.stdout)
    assert [len(told["screened"]["rows"]), len(told["trials"])] == [9, 3]
    ran = [row["trial"] for row in told["screened"]["rows"] if row["ran_exactly"]]
    assert ran == [row["trial"] for row in told["trials"]]
    assert not any(name.startswith("screened") for row in told["trials"] for name in row)
    assert (told["study_trials"], told["study_screened"]) == (3, 5)
    assert (told["luck"]["tried"], told["luck"]["screened"]) == (8, 5)
    assert told["luck"]["pbo"] is None

    folder = tmp_path / "out"
    assert json.loads((folder / "screened.json").read_bytes()) == told["screened"]
    assert b"screened_" not in (folder / "trials.json").read_bytes()
    if (page := folder / "sweep.html").exists():
        assert "Screened, no results" in page.read_text()

    # A search without a screen runs the rest: what was screened alone is now exact
    whole = json.loads(_sweep(*asked[:-4], "--json").stdout)
    assert (whole["study_trials"], whole["study_screened"]) == (9, 0)
    assert (whole["luck"]["tried"], whole["luck"]["screened"]) == (8, 0)
    assert whole["luck"]["pbo"] is not None
    assert "screened" not in whole

    none = _sweep(str(config.path), "--param", "fast=9,10", *where, "--screen", "1")
    assert none.returncode == 1
    assert "variant 0 could not be screened: E-CFG-057" in none.stdout
    assert "the best 0 by screened_net ran exactly" in none.stdout

    walk = _sweep(*asked, "--walk-forward", "10s/5s")
    assert walk.returncode == 2
    assert "SCREEN-SEARCH: expected --walk-forward or --screen; came both" in walk.stderr
