"""Every parser under mutated payloads: nothing but its own error gets out, and it stays quick.

`python benchmarks/fuzz.py --inputs 1000000` is the long run of the same.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.property.bombs import bombs
from tests.property.fuzzing import ROOT, Target, fuzz
from tests.property.targets import Session, targets

NAMES = (
    *("oceanex-stream", "oceanex-rest", "poloniex-public", "poloniex-private", "poloniex-rest"),
    *("piexgo-frame", "piexgo-stream", "piexgo-rest", "zerocap", "mudawyl"),
    *("poloniex-id", "raw-file", "redact", "gaps", "lines", "binance-wire", "exchange-info"),
    *("config", "toml-lines", "journal", "journal-check", "explain", "kill-file", "risk-state"),
    *("commit-plan", "own-file"),
    *("kill-config", "backtest-order", "explain-config", "parquet-footer", "secret-file", "plan"),
    *("kept-run", "set", "page-words", "telegram", "log-line"),
    *("import-tardis-book", "import-archive-depth", "import-archive-klines"),
    *("import-bybit-book", "import-table-bars", "import-hftbacktest"),
)
BOMB_SECS = 15.0  # of the processor; the worst, read by 13 readers, takes 4, a square of it minutes
P99_US_MAX = 100_000  # 1 to 3 ms; what grows out of proportion takes seconds (benchmarks/fuzz.py)
REPRODUCERS = sorted((ROOT / "tests" / "data" / "fuzz").glob("*/*.bin"))


@pytest.fixture(scope="module")
def found() -> Iterator[Mapping[str, Target]]:
    logging.disable(logging.CRITICAL)  # a market that is left out is a warning each time
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # the disk is not what is tested
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield {target.name: target for target in targets(Path(folder))}
    logging.disable(logging.NOTSET)


def test_every_target_is_tested(found: Mapping[str, Target]) -> None:
    assert tuple(found) == NAMES
    assert {path.parent.name for path in REPRODUCERS} <= set(NAMES)


@pytest.mark.parametrize("share", [4, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_escapes(found: Mapping[str, Target], name: str, share: int) -> None:
    """A quarter of each target's inputs; all of them in `make test-long`."""
    target = found[name]
    report = fuzz(target, inputs=target.inputs // share, seed=20_260_101)
    assert report.p99_us < P99_US_MAX, report
    assert report.corpus > len(target.corpus), "no input reached anything new: the fuzz is blind"


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("oceanex-stream", {"OrderBookDeltas", "TradeTick", "Gap", "Resynced", "StreamFault"}),
        (
            "poloniex-public",
            {"OrderBookDeltas", "TradeTick", "Gap", "Resynced", "InstrumentStatus"},
        ),
        ("poloniex-private", {"OrderPush", "BalancePush", "Ready", "StreamFault"}),
    ],
)
def test_the_fuzz_reaches_what_streams_tell(
    found: Mapping[str, Target], name: str, items: set[str]
) -> None:
    target = found[name]
    assert isinstance(target.feed, Session)
    fuzz(target, inputs=10_000, seed=7)
    assert items <= set(target.feed.items)


@pytest.mark.parametrize("name", NAMES)
def test_bombs_take_bounded_time(found: Mapping[str, Target], name: str) -> None:
    feed = found[name].feed
    for what, data in bombs(name).items():
        began = time.process_time()
        feed(data)
        took = time.process_time() - began
        assert took < BOMB_SECS, f"{what} ({len(data)} bytes) took {took:.1f} s"


@pytest.mark.parametrize("path", REPRODUCERS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_once_escaped(found: Mapping[str, Target], path: Path) -> None:
    found[path.parent.name].feed(path.read_bytes())
