"""Screens: bars of trades, what a signal would have earned a step later, and signals of no use."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from fairlead.engine.errors import FairleadError
from fairlead.engine.research.screening import (
    Costs,
    ScreenBars,
    bars_of,
    earned,
    positions_of,
    scored,
    with_tops,
)

np = pytest.importorskip("numpy")
SECOND = 10**9
START = 1_700_000_000 * SECOND  # 22:13:20 UTC
COSTS = Costs(buy=0.0003, sell=0.0005, multiplier=2.0)


def _trades(count: int = 600, seed: int = 3) -> tuple[Any, Any, Any]:
    """At odd times, with long silences, on a walk in tenths."""
    rng, at, price = random.Random(seed), START + 1, 60_000.0
    rows = []
    for _ in range(count):
        at += rng.choice((0, 1, SECOND // 3, SECOND, 2 * SECOND, 17 * SECOND))
        price = round(price + rng.choice((-0.3, -0.1, 0.1, 0.2)), 1)
        rows.append((at, price, rng.randint(1, 9) / 1000))
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def _bars(step_ns: int = 5 * SECOND, *, tops: bool = True) -> ScreenBars:
    trades = _trades()
    bars = bars_of(*trades, step_ns, int(trades[0][-1]))
    if not tops:
        return bars
    rng = random.Random(9)
    ts = bars.ts - 3 * SECOND
    half = np.array([rng.choice((0.1, 0.4, math.nan)) for _ in ts])
    return with_tops(bars, ts, bars.close - half, bars.close + half)


def _walk(bars: ScreenBars, seed: int = 1) -> Any:
    rng = random.Random(seed)
    return np.array([rng.choice((-0.02, 0.0, 0.01, 0.01)) for _ in range(len(bars))])


# -- bars


def test_bars_are_those_of_a_slow_loop() -> None:
    (ts, price, size), step = _trades(), 5 * SECOND
    end = int(ts[-1])
    bars = bars_of(ts, price, size, step, end)
    whole: dict[int, list[int]] = {}
    for n in range(len(ts)):
        whole.setdefault((int(ts[n]) // step + 1) * step, []).append(n)
    whole = {at: mine for at, mine in whole.items() if at <= end}
    assert [int(at) for at in bars.ts] == list(whole)
    for at, mine in enumerate(whole.values()):
        prices = [float(price[n]) for n in mine]
        assert (bars.open[at], bars.close[at]) == (prices[0], prices[-1])
        assert (bars.high[at], bars.low[at]) == (max(prices), min(prices))
        assert bars.volume[at] == pytest.approx(sum(float(size[n]) for n in mine))
    assert max(np.diff(bars.ts)) > step, "some had no trade"
    assert np.isnan(bars.bid).all()


def test_no_bars_are_told() -> None:
    ts, price, size = _trades(2)
    for trades in ((ts, price, size), (ts[:0], price[:0], size[:0])):
        with pytest.raises(FairleadError, match=r"SCREEN-DATA: expected bars.*no bar has closed"):
            bars_of(*trades, 3600 * SECOND, START + 60 * SECOND)


def test_a_best_price_is_the_last_that_was_known_at_the_close() -> None:
    bars = _bars(tops=False)
    close = bars.ts
    ts = np.array([close[2], close[3] + 1, close[6]])
    found = with_tops(bars, ts, np.array([1.0, 2.0, math.nan]), np.array([3.0, 4.0, 5.0]))
    assert np.isnan(found.bid[:2]).all()
    assert [*found.bid[2:8]] == [1, 1, 2, 2, 2, 2]
    assert [*found.ask[2:8]] == [3, 3, 4, 4, 4, 4]
    assert np.isnan(with_tops(bars, ts[:0], ts[:0] * 1.0, ts[:0] * 1.0).bid).all()


# -- scores


def test_a_score_is_that_of_a_slow_loop() -> None:
    bars, span, parts = _bars(), (START, 0), 24
    span = (START, int(bars.ts[-1]) + SECOND)
    positions = _walk(bars)
    net, ratio, changes = scored(bars, positions, COSTS, span, parts)

    total, held, before, count, curve = 0.0, 0.0, None, 0, []
    for at in range(len(bars)):
        known = not (math.isnan(bars.bid[at]) or math.isnan(bars.ask[at]))
        price = (bars.bid[at] + bars.ask[at]) / 2 if known else bars.close[at]
        half = (bars.ask[at] - bars.bid[at]) / 2 if known else 0.0
        if before is not None:
            total += 2.0 * held * (price - before)
        wanted = float(positions[at])
        if wanted != held:
            rate = 0.0003 if wanted > held else 0.0005
            total -= 2.0 * abs(wanted - held) * (half + rate * price)
            count += 1
        held, before = wanted, price
        curve.append((int(bars.ts[at]), total))
    ends = []
    for part in range(1, parts + 1):
        edge = span[0] + (span[1] - span[0]) * part // parts
        ends.append(next((worth for ts, worth in reversed(curve) if ts <= edge), 0.0))
    moves = [after - one for one, after in zip([0.0, *ends], ends, strict=False)]
    mean = sum(moves) / parts
    deviation = math.sqrt(sum((one - mean) ** 2 for one in moves) / (parts - 1))

    assert net == pytest.approx(total)
    assert ratio == pytest.approx(mean / deviation)
    assert changes == count > 100
    assert np.isfinite(bars.bid).any()


def test_a_position_earns_from_the_next_bar_on() -> None:
    """A signal of the bar's own move is worth nothing on a walk; with its own bar's move in it, it
    would never lose."""
    bars, free = _bars(tops=False), Costs(buy=0, sell=0)
    own = np.sign(np.diff(bars.close, prepend=bars.close[0]))
    perfect = float((own * np.diff(bars.close, prepend=bars.close[0])).sum())
    net, _, _ = scored(bars, own, free, (START, int(bars.ts[-1])), 10)
    assert perfect == pytest.approx(float(np.abs(np.diff(bars.close)).sum()))
    assert net < perfect / 4
    late = np.concatenate((own[1:], [0.0]))  # the next bar's move: what no signal may know
    ahead, _, _ = scored(bars, late, free, (START, int(bars.ts[-1])), 10)
    assert ahead == pytest.approx(perfect)


def test_the_last_decision_pays_and_earns_nothing() -> None:
    bars = _bars(tops=False)
    positions = np.zeros(len(bars))
    positions[-1] = 1.0
    curve = earned(bars, positions, COSTS)
    assert [*curve[:-1]] == [0.0] * (len(bars) - 1)
    assert curve[-1] == pytest.approx(-2 * bars.close[-1] * 0.0003)
    net, ratio, changes = scored(bars, positions * 0, COSTS, (START, int(bars.ts[-1])), 10)
    assert (net, ratio, changes) == (0.0, None, 0)


# -- signals that are no good


def _raises(_bars: ScreenBars, _config: Any) -> Any:
    raise ZeroDivisionError("of the user")


def _exits(_bars: ScreenBars, _config: Any) -> Any:
    raise SystemExit(0)


def _nan(bars: ScreenBars, _config: Any) -> Any:
    found = np.zeros(len(bars))
    found[7:] = math.nan
    return found


def _writes(bars: ScreenBars, _config: Any) -> Any:
    bars.close[0] = 1.0
    return bars.close


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        (_raises, r"SCREEN-RAISED: S raised ZeroDivisionError: of the user \(.*\.py:\d+\)"),
        (_exits, r"SCREEN-RAISED: S raised SystemExit: 0 \("),
        (_writes, "SCREEN-RAISED: S raised ValueError: assignment destination is read-only"),
        (lambda bars, _: [0.0] * len(bars), "SCREEN-POSITIONS.*came list"),
        (lambda bars, _: np.ma.array(bars.close, mask=True), "SCREEN-POSITIONS.*came MaskedArray"),
        (lambda bars, _: None, "SCREEN-POSITIONS.*came NoneType"),
        (lambda bars, _: np.zeros(len(bars) - 1), r"SCREEN-POSITIONS.*came one of shape \(\d+,\)"),
        (lambda bars, _: np.zeros((len(bars), 1)), r"SCREEN-POSITIONS.*shape \(\d+, 1\)"),
        (lambda bars, _: bars.close > 0, "SCREEN-POSITIONS.*came one of dtype bool"),
        (lambda bars, _: bars.close.astype(object), "SCREEN-POSITIONS.*came one of dtype object"),
        (lambda bars, _: bars.close.astype(complex), "SCREEN-POSITIONS.*dtype complex128"),
        (_nan, "SCREEN-POSITIONS.*came nan at bar 7"),
        (lambda bars, _: -bars.close * 1e300, r"SCREEN-POSITIONS.*came -5\.9\d+e\+304 at bar 0"),
        (lambda bars, _: bars.close / 0.0, "SCREEN-POSITIONS.*came inf at bar 0"),
        (lambda bars, _: bars.close - bars.close.mean(), "SCREEN-LOOKAHEAD: S: .* after bar 0 of"),
        (lambda bars, _: np.append(bars.close[1:], 0.0), "SCREEN-LOOKAHEAD: S: .* after bar "),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_signal_that_is_no_good_is_told(signal: Callable[..., Any], says: str) -> None:
    with pytest.raises(FairleadError, match=says):
        positions_of(signal, "S", _bars(), None)


def test_positions_are_float64_whatever_numbers_they_were() -> None:
    bars = _bars()
    for kind in ("float32", "int8", "uint16"):
        found = positions_of(lambda b, kind: np.ones(len(b), dtype=kind), "S", bars, kind)
        assert found.dtype == np.float64
        assert found.sum() == len(bars)
    one = bars.first(1)
    assert [*positions_of(lambda b, _: np.ones(len(b)), "S", one, None)] == [1.0]
