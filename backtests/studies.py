"""Studies from their data to a verdict, each by one command, with every step told.

    python -m fairlead.backtests.studies maker --recording binance_usdm_btcusdt.gz
    python -m fairlead.backtests.studies breakout
    python -m fairlead.backtests.studies crossing

The commands that are run are printed as one would type them. Without a recording the market is
made, from a seed (`fairlead.backtests.synthetic`): the same everywhere.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIG = "study.toml"
INSTRUMENT = "BTCUSDT-PERP.BINANCE"
PARAMS = {
    "maker": ["half_spread_bps=2..5:0.5", "skew_bps=0,2,4"],
    "breakout": ["lookback=6,12,24", "stop_bps=1..4:1", "buffer_bps=0,0.5"],
    "crossing": ["fast=2..6:1", "slow=8..20:2", "channel_atr=0,0.5"],
}
SCREENED = {"crossing": 10}  # how many of the grid run


def main(argv: Sequence[str] | None = None) -> int:
    """0, or the exit code of the first command that fails."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("study", choices=list(PARAMS))
    parser.add_argument("--recording", type=Path, help="raw stream file of Binance USD-M BTCUSDT")
    parser.add_argument("--seconds", type=int, default=600, help="of a market that is made")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for all of it")
    told = parser.parse_args(argv)
    folder = told.out / f"study-{told.study}"
    catalog = folder / "catalog"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text((HERE / f"{told.study}_study.toml").read_text())
    if not catalog.exists():
        if told.recording is None:
            _made(catalog, told.seconds)
        elif code := _fairlead(
            folder, "import", str(told.recording.resolve()), "--catalog", "catalog"
        ):
            return code
    for words in _steps(told.study, catalog):
        if code := _fairlead(folder, *words):
            return code
    _say(f"\npages: {folder}/grid/sweep.html, {folder}/walk/sweep.html")
    return 0


def _steps(study: str, catalog: Path) -> Iterator[list[str]]:
    """As `fairlead` takes them, in the study's folder."""
    begin, end = _span(catalog)
    second = 1_000_000_000
    train, test = (end - begin) * 3 // 10 // second, (end - begin) * 3 // 20 // second
    given = [word for one in PARAMS[study] for word in ("--param", one)]
    held, before = (_utc(begin + (end - begin) * 4 // 5 - back) for back in (0, second))
    if not (catalog.parent / "state").exists():  # once, before the first trial
        yield ["study", "hold", study, CONFIG, "--from", held]
    search = [CONFIG, "--study", study, *given]
    yield ["check", CONFIG, "--lookahead", "--set", f"backtest.end={before}Z"]
    screen = ["--screen", str(SCREENED[study])] if study in SCREENED else []
    yield ["sweep", *search, *screen, "--out", "grid"]
    walk = ["--walk-forward", f"{train}s/{test}s", "--embargo", "2s"]
    yield ["sweep", *search, *walk, "--out", "walk"]


def _span(catalog: Path) -> tuple[int, int]:
    from nautilus_trader.model import NautilusDataType
    from nautilus_trader.persistence import ParquetDataCatalog

    spans = ParquetDataCatalog(str(catalog)).get_intervals(
        NautilusDataType.OrderBookDelta, INSTRUMENT
    )
    return min(first for first, _ in spans), max(last for _, last in spans)


def _utc(ns: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%S}"


def _made(catalog: Path, seconds: int) -> None:
    from fairlead.backtests.synthetic import perpetual, write_catalog

    _say(f"a market of {seconds} s is made in {catalog}")
    write_catalog(catalog, perpetual(INSTRUMENT), seconds=seconds, seed=8)


def _fairlead(folder: Path, *words: str) -> int:
    _say(f"\n$ {shlex.join(['fairlead', *words])}")
    command = [sys.executable, "-m", "fairlead.engine.cli.main", *words]
    return subprocess.run(command, cwd=folder, check=False).returncode  # noqa: S603


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
