"""How much of the best of many trials is luck: deflated Sharpe ratio, probability of overfitting.

Statistics are of the package trialgate, behind `luck` alone. Bailey and Lopez de Prado, "The
Deflated Sharpe Ratio" (2014); Bailey, Borwein, Lopez de Prado and Zhu, "The Probability of Backtest
Overfitting" (2015), by CSCV.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean, pvariance, stdev
from typing import Any

import msgspec

from fairlead.engine.research.extra import has, need

BLOCKS = 12  # of time: 924 ways to part them in two halves
COLUMNS_MAX = 500  # trials that the probability of overfitting is of, the first
WANTED = 0.95  # of a deflated Sharpe ratio
UNSPLIT = (
    "a probability of overfitting: a screen chose what ran by all of the time, both halves of it"
)


class Curve(msgspec.Struct, frozen=True):
    """A trial: its orders' digest, and its profit and loss after each of equal parts of its time,
    all in one currency, from 0."""

    orders: str
    pnl: list[float]

    def moves(self) -> list[float]:
        return [after - before for before, after in pairwise([0.0, *self.pnl])]


class Luck(msgspec.Struct, frozen=True, kw_only=True):
    """`tried` trials of which `effective` traded differently; those that traded alike are one.
    `screened` of both did not run: a screen has looked at them, and each counts as different.

    Sharpe ratios are mean / deviation of the parts of the time. `expected` is what the best of so
    many without any skill shows, `deflated` the probability that the best one's is above it, `pbo`
    the probability that what was best in one half of the time is below the median in the other.
    `parts_needed`: of time like these, until `deflated` is 0.95; None: no time is enough. A number
    that can't be said is None, and `why` says so.
    """

    tried: int
    effective: int
    parts: int = 0
    sharpe: float | None = None
    expected: float | None = None
    deflated: float | None = None
    parts_needed: int | None = None
    pbo: float | None = None
    splits: int = 0
    screened: int = 0
    why: str = ""


def luck(
    best: Curve | None, trials: Iterable[Curve], screened: Sequence[float | None] = ()
) -> Luck:
    """Of the best of `trials`, itself among them.

    The number of trials is not made less for their correlation: their Sharpe ratios, whose spread
    counts too, are the nearer for it already. `screened` are the ratios of variants that a screen
    has looked at and that did not run: tried all the same. What ran after a screen is alike, so
    the spread is that of all together where it is the wider; and since it was chosen by all of the
    time, no probability of overfitting is said of it.
    """
    found = list(trials)
    apart = list({one.orders: one for one in found if any(one.pnl)}.values())
    told = Luck(
        tried=len(found) + len(screened),
        effective=len(apart) + len(screened),
        screened=len(screened),
    )
    why = ""
    if told.effective < 2:
        why = "fewer than two trials traded differently"
    elif best is None:
        why = "no trial is best"
    elif not any(best.pnl):
        why = (
            "the best trial has no profit or loss in the currency looked at: as if it never traded"
        )
    elif not has("trialgate"):
        why = "the package trialgate is not installed: pip install 'fairlead[search]'"
    if why or best is None:
        return msgspec.structs.replace(told, why=why)
    return _reckoned(told, best, apart, [one for one in screened if one is not None])


def _reckoned(told: Luck, best: Curve, apart: Sequence[Curve], screened: Sequence[float]) -> Luck:
    gate = need("trialgate.validation", "a deflated Sharpe ratio")
    moves = [one.moves() for one in apart]
    mine = best.moves()
    ran = [sharpe for one in moves if (sharpe := _sharpe(one)) is not None]
    # One part of the time is one period: nothing is made a year of.
    scale: dict[str, Any] = {
        "trial_sharpes": _spread(ran, screened),
        "periods_per_year": 1,
        "effective_trials": told.effective,
    }
    found: dict[str, Any] = {"parts": len(mine), "sharpe": _sharpe(mine)}
    try:
        deflated = gate.deflated_sharpe_ratio(mine, autocorrelation="ignore", **scale)
        found["expected"] = deflated.expected_max_sharpe
        found["deflated"] = deflated.deflated_sharpe_ratio
        needed = gate.observations_required_for_dsr(
            mine, target_dsr=WANTED, autocorrelation="ignore", **scale
        )
        found["parts_needed"] = needed.observations_required
        if told.screened:
            return msgspec.structs.replace(told, **found, why=UNSPLIT)
        some = [one for one in moves if len(one) == len(mine)][:COLUMNS_MAX]
        matrix = [list(row) for row in zip(*some, strict=True)]
        pbo = gate.probability_of_backtest_overfitting(matrix, block_count=BLOCKS)
        found |= {"pbo": pbo.pbo, "splits": pbo.combinations_evaluated}
    except gate.ValidationInputError as error:
        found["why"] = str(error)
    return msgspec.structs.replace(told, **found)


def _spread(ran: list[float], screened: Sequence[float]) -> list[float]:
    """Of those that ran or of all, whichever has the wider: no trial's is taken for another's."""
    every = [*ran, *screened]
    return every if len(ran) < 2 or pvariance(every) > pvariance(ran) else ran


def _sharpe(moves: Sequence[float]) -> float | None:
    if len(moves) < 2 or pvariance(moves) == 0:
        return None
    return fmean(moves) / stdev(moves)
