"""Poloniex frames to events: this adapter beside ccxt.pro and cryptofeed, same messages, one run.

    python benchmarks/parse_poloniex.py [--recording FILE] [--markets FILE] [--rounds N]
                                        [--cryptofeed-python PYTHON]

Each contender gets the text of each frame, decodes it its own way, and holds the book afterwards; a
round starts with the snapshots, which aren't timed. Printed: microseconds a frame; the mean over
all rounds, the median round, and the first round (cold caches). The limits are on the mean and,
against others, on mean and median alike. It is CPU time of the one thread at work; the
contenders take turns in PASSES passes, and of each the quietest pass counts, so that a machine
that is busy for a while does not change the verdict. cryptofeed runs where it can be imported, here
or in the interpreter that is named. Exit code 1 when a promised limit is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data" / "poloniex"
RECORDED = ROOT / ".." / "shared" / "venues" / "samples" / "recorded"
MAX_UPDATE_US = 8.0
MAX_TRADE_US = 2.0
MIN_RATIO = 3.0
PASSES = 4
TRADE_REPEATS = 40  # the recording holds few trades

Frames = dict[str, list[str]]
Result = tuple[float, float, float]  # mean, median round, first round
Handle = Callable[[str], Any]


def read_frames(path: Path) -> Frames:
    """Frames by kind: snapshot, update, trade."""
    kinds: Frames = {"snapshot": [], "update": [], "trade": []}
    for line in path.read_text().splitlines():
        _, _, frame = line.partition(": ")
        if line.startswith("wss") or not frame.startswith("{"):
            continue
        message = json.loads(frame)
        if "data" in message:
            kinds[message.get("action", "trade")].append(frame)
    kinds["trade"] *= TRADE_REPEATS
    return kinds


def read_markets(path: Path) -> str:
    """JSON of a list of markets; a recording's first line holds one after its address."""
    text = path.read_text()
    return text if text.startswith("[") else text.splitlines()[0].partition(": ")[2]


def measure(begin: Callable[[], None], handle: Handle, frames: list[str], rounds: int) -> Result:
    means = []
    for _ in range(rounds):
        begin()
        started = time.thread_time_ns()
        for frame in frames:
            handle(frame)
        means.append((time.thread_time_ns() - started) / len(frames) / 1000)
    return summed(means)


def summed(means: list[float]) -> Result:
    return statistics.fmean(means), statistics.median(means), means[0]


def ours(markets: str, frames: Frames, rounds: int) -> dict[str, Result]:
    sys.path.insert(0, str(ROOT))
    import msgspec

    from fairlead.adapters.base.venue import Feed, FeedKind
    from fairlead.adapters.poloniex.instruments import venue_instruments
    from fairlead.adapters.poloniex.schemas import Market
    from fairlead.adapters.poloniex.websocket import PublicStream

    rows = msgspec.json.decode(markets, type=list[Market])
    instruments = venue_instruments(rows, "POLONIEX", None)

    def make() -> tuple[Callable[[], None], Handle]:
        stream = PublicStream(url="", venue="POLONIEX", instruments=instruments)
        for name in instruments:
            stream.subscribe(Feed(FeedKind.BOOK, name))
            stream.subscribe(Feed(FeedKind.TRADES, name))

        def begin() -> None:
            stream.opened(0)
            for frame in frames["snapshot"]:
                stream.received(frame, 1)

        return begin, lambda frame: stream.received(frame, 1)

    results = {kind: measure(*make(), frames[kind], rounds) for kind in ("update", "trade")}
    decode = msgspec.json.decode
    results["update, decoded only"] = measure(lambda: None, decode, frames["update"], rounds)
    return results


async def ccxt_pro(markets: str, frames: Frames, rounds: int) -> dict[str, Result]:
    """From text through ccxt's own websocket client to `handle_message`."""
    import ccxt.pro

    exchange = ccxt.pro.poloniex()
    exchange.set_markets(exchange.parse_markets(json.loads(markets)))
    client = exchange.client("wss://ws.poloniex.com/ws/public")
    handle = client.handle_text_or_binary_message

    def begin() -> None:
        for frame in frames["snapshot"]:
            handle(frame)

    results = {kind: measure(begin, handle, frames[kind], rounds) for kind in ("update", "trade")}
    assert len(exchange.orderbooks) == len(frames["snapshot"]), "ccxt has not kept the books"
    await exchange.close()
    return results


async def cryptofeed(markets: str, frames: Frames, rounds: int) -> dict[str, Result]:
    """Raises ImportError where it isn't installed."""
    from cryptofeed.defines import L2_BOOK, TRADES
    from cryptofeed.exchanges import Poloniex
    from cryptofeed.symbols import Symbols

    mapping, info = Poloniex._parse_symbol_data(json.loads(markets))
    Symbols.set(Poloniex.id, mapping, info)
    seen = 0

    async def callback(*_: Any) -> None:
        nonlocal seen
        seen += 1

    feed = Poloniex(
        symbols=list(mapping),
        channels=[L2_BOOK, TRADES],
        callbacks={L2_BOOK: callback, TRADES: callback},
    )
    feed._Poloniex__reset()
    results: dict[str, Result] = {}
    for kind in ("update", "trade"):
        means = []
        for _ in range(rounds):
            for frame in frames["snapshot"]:
                await feed.message_handler(frame, None, 1.0)
            started = time.thread_time_ns()
            for frame in frames[kind]:
                await feed.message_handler(frame, None, 1.0)
            means.append((time.thread_time_ns() - started) / len(frames[kind]) / 1000)
        results[kind] = summed(means)
    assert seen, "cryptofeed called nobody back"
    return results


def run_cryptofeed(arguments: argparse.Namespace, here: Callable[[], Awaitable[Any]]) -> Any:
    """Here, else in the interpreter that was named; None when it is in neither."""
    if arguments.cryptofeed_python is None:
        try:
            return asyncio.run(here())  # type: ignore[arg-type]
        except ImportError:
            return None
    command = [
        *(arguments.cryptofeed_python, __file__, "--only-cryptofeed"),
        *("--recording", str(arguments.recording), "--markets", str(arguments.markets)),
        *("--rounds", str(arguments.rounds)),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(name: str, results: dict[str, Result] | None) -> None:
    if results is None:
        print(f"{name:<12} not installed")
        return
    for kind, (mean, median, first) in results.items():
        print(
            f"{name:<12} {kind:<22} mean {mean:7.2f} us  median {median:7.2f}  first {first:7.2f}"
        )


def quieter(one: dict[str, Result], other: dict[str, Result]) -> dict[str, Result]:
    """Of each kind, the pass with the lower mean."""
    return {kind: min(one.get(kind, found), found) for kind, found in other.items()}


def against(
    name: str, mine: dict[str, Result], other: dict[str, Result], least: float
) -> tuple[str, str, bool]:
    """How many times faster an update is, by mean and by median; both must be enough."""
    mean, median = (other["update"][i] / mine["update"][i] for i in (0, 1))
    told = f"{mean:.1f} times {name} by mean, {median:.1f} by median"
    return told, f"more than {least}", min(mean, median) > least


def parse_arguments() -> argparse.Namespace:
    full = (RECORDED / "cryptofeed_POLONIEX.ws.1.0").exists()
    folder = RECORDED if full else DATA
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--recording",
        type=Path,
        default=folder / ("cryptofeed_POLONIEX.ws.1.0" if full else "recorded_small.txt"),
    )
    parser.add_argument(
        "--markets",
        type=Path,
        default=folder / ("cryptofeed_POLONIEX.0" if full else "recorded_markets.json"),
    )
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--cryptofeed-python", default=None)
    parser.add_argument("--only-cryptofeed", action="store_true")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    frames, markets = read_frames(arguments.recording), read_markets(arguments.markets)
    rounds = arguments.rounds
    if arguments.only_cryptofeed:
        print(json.dumps(asyncio.run(cryptofeed(markets, frames, rounds))))
        return 0
    counts = {kind: len(found) for kind, found in frames.items()}
    print(f"{arguments.recording.name}: {counts}, {PASSES} passes of {rounds} rounds")
    mine: dict[str, Result] = {}
    theirs: dict[str, Result] = {}
    other: dict[str, Result] | None = {}
    for _ in range(PASSES):
        mine = quieter(mine, ours(markets, frames, rounds))
        theirs = quieter(theirs, asyncio.run(ccxt_pro(markets, frames, rounds)))
        if other is not None:
            found = run_cryptofeed(arguments, lambda: cryptofeed(markets, frames, rounds))
            other = None if found is None else quieter(other, found)
    show("fairlead", mine)
    show("ccxt.pro", theirs)
    show("cryptofeed", other)
    update, trade = mine["update"][0], mine["trade"][0]
    checks = [
        (f"update {update:.2f} us", f"at most {MAX_UPDATE_US} us", update <= MAX_UPDATE_US),
        (f"trade {trade:.2f} us", f"at most {MAX_TRADE_US} us", trade <= MAX_TRADE_US),
        against("ccxt.pro", mine, theirs, MIN_RATIO),
    ]
    if other is not None:
        checks.append(against("cryptofeed", mine, other, 1.0))
    for told, wanted, is_met in checks:
        print(f"{'ok  ' if is_met else 'MISS'} {told} ({wanted})")
    return 0 if all(is_met for *_, is_met in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
