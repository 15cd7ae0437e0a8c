"""Drawn latencies against what their names mean, reckoned by other ways than they are made by."""

from __future__ import annotations

import math
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.config.latency import parsed
from fairlead.engine.matching.delays import Drawn, Sent, quantiles

MS = 1_000_000
SENT = Sent("S-001", "submit", 0)
LOGNORMAL = "lognormal median=20 p99=80 max=500"


def drawn(text: str, count: int, seed: int = 1, venue: str = "TEST", **more: Any) -> list[int]:
    made = Drawn(quantiles(parsed(text), **more), seed, venue)
    return [made.next_ns(SENT) for _ in range(count)]


def below_lognormal(ms: float, median: float, p99: float) -> float:
    """The share below, by erf; z of 0.99 by halving."""
    low, high = 0.0, 10.0
    while high - low > 1e-12:
        z = (low + high) / 2
        low, high = (z, high) if (1 + math.erf(z / math.sqrt(2))) / 2 < 0.99 else (low, z)
    sigma = math.log(p99 / median) / low
    return (1 + math.erf(math.log(ms / median) / sigma / math.sqrt(2))) / 2


def test_lognormal_has_the_shares_that_its_name_says() -> None:
    count = 20_000
    found = sorted(drawn(LOGNORMAL, count))
    for ms in (5, 10, 20, 30, 50, 80, 150):
        share = sum(one <= ms * MS for one in found) / count
        wanted = below_lognormal(ms, 20, 80)
        # Four standard errors of a share, of a fixed seed
        assert abs(share - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / count) + 1e-9, ms
    assert quantiles(parsed(LOGNORMAL)).at(0.5) == 20 * MS
    assert quantiles(parsed(LOGNORMAL)).at(0.99) == 80 * MS


def test_no_draw_is_above_the_bound() -> None:
    found = drawn("lognormal median=20 p99=80 max=80", 5000)
    assert max(found) == 80 * MS
    assert 20 < sum(one == 80 * MS for one in found) < 90  # one of a hundred is cut
    assert min(found) > 0


def test_uniform_is_between_its_ends_and_as_dense_everywhere() -> None:
    found = drawn("uniform min=5 max=45", 8000)
    assert min(found) >= 5 * MS
    assert max(found) <= 45 * MS
    counts = [sum(lo * MS <= one < (lo + 10) * MS for one in found) for lo in (5, 15, 25, 35)]
    assert all(abs(count - 2000) < 200 for count in counts)


def test_what_was_measured_is_drawn_and_nothing_else() -> None:
    measured = [3 * MS, 9 * MS, 9 * MS, 40 * MS]
    found = drawn("journal:run", 4000, measured=measured)
    assert set(found) == set(measured)
    assert abs(found.count(9 * MS) - 2000) < 150
    assert set(drawn("journal:run times=2", 400, measured=measured)) == {6 * MS, 18 * MS, 80 * MS}


def test_a_seed_gives_the_same_draws_in_every_process() -> None:
    code = (
        "from tests.unit.matching.test_delays import *\n"
        "print(drawn(LOGNORMAL, 50, 7), drawn(LOGNORMAL, 50, 7, 'OTHER'))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = f"{drawn(LOGNORMAL, 50, 7)} {drawn(LOGNORMAL, 50, 7, 'OTHER')}"
    assert ended.stdout.strip() == told
    assert len({tuple(drawn(LOGNORMAL, 50, seed)) for seed in range(20)}) == 20
    assert drawn(LOGNORMAL, 50, 7) != drawn(LOGNORMAL, 50, 7, "OTHER")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quick",
        "lognormal",
        "lognormal median=0 p99=80 max=500",
        "lognormal median=80 p99=20 max=500",
        "lognormal median=20 p99=80 max=79",
        "lognormal median=20 p99=80 max=60001",
        "uniform min=5 max=5",
        "journal:",
        "journal:run times=-1",
        "lognormal median=-1 p99=80 max=500",
    ],
)
def test_a_latency_that_cant_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        parsed(text)


def test_half_and_double_are_the_same_distribution() -> None:
    assert parsed(LOGNORMAL).scaled(Decimal("0.5")) == "lognormal median=10.0 p99=40.0 max=250.0"
    assert parsed("journal:a/b times=2").scaled(Decimal(2)) == "journal:a/b times=4"
    for text in (LOGNORMAL, "uniform min=5 max=40", "journal:a b"):
        half = parsed(parsed(text).scaled(Decimal("0.5")))
        wanted = [one / 2 for one in drawn_of(parsed(text))]
        assert drawn_of(half) == pytest.approx(wanted, abs=1000)  # they are whole microseconds


def drawn_of(spec: Any) -> list[int]:
    of = quantiles(spec, [4 * MS, 8 * MS])
    return [of.at(share) for share in (0.1, 0.5, 0.9)]
