"""What one OceanEx book frame of 40 levels costs, from bytes to NautilusTrader deltas.

    python benchmarks/parse_oceanex.py

Prints medians in microseconds per frame on one core, for `data` as JSON text within JSON (what the
venue sends) and as an object, beside msgspec decoding the same frames and nothing else. Targets:
15 us with few changed levels, 45 us for any frame.
"""

from __future__ import annotations

import gc
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairlead.adapters.base.venue import Feed, FeedKind
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.instruments import instrument
from fairlead.adapters.oceanex.schemas import FeeRate, Market, PushBook, PushFrame, TradingFee
from fairlead.adapters.oceanex.websocket import OceanexStream

LEVELS = 20  # per side
FRAMES = 4_000
ROUNDS = 3
FEW_TARGET_US = 15.0
ANY_TARGET_US = 45.0
CHANNEL = "market-btcusdt-2-global"
GREETING = '{"event":"pusher:connection_established","data":"{\\"socket_id\\":\\"1.2\\"}"}'

Side = dict[int, int]


def stream() -> OceanexStream:
    """A stream subscribed to the book of a market with 2 and 6 decimals."""
    rate = FeeRate(type="relative", value=Decimal("0.001"))
    market = Market(
        id="btcusdt",
        name="BTC/USDT",
        price_precision=2,
        amount_precision=6,
        minimum_trading_amount=Decimal(10),
    )
    fees = [TradingFee(market="btcusdt", ask_fee=rate, bid_fee=rate)]
    built = instrument(market, fees, "OCEANEX", 1_700_000_000_000_000_000)
    made = OceanexStream(OceanexOptions(), {built.id: built})
    made.opened(0)
    made.subscribe(Feed(FeedKind.BOOK, built.id))
    list(made.received(GREETING, 1))
    return made


def text(value: int, decimals: int) -> str:
    """The venue's way: no trailing zeros but one decimal at least."""
    plain = f"{Decimal(value).scaleb(-decimals):.{decimals}f}".rstrip("0")
    return f"{plain}0" if plain.endswith(".") else plain


def frame(asks: Side, bids: Side, *, double: bool) -> bytes:
    data: object = {
        "asks": [[text(p, 2), text(asks[p], 6)] for p in sorted(asks)],
        "bids": [[text(p, 2), text(bids[p], 6)] for p in sorted(bids, reverse=True)],
    }
    if double:
        data = json.dumps(data, separators=(",", ":"))
    event = {"event": "update", "data": data, "channel": CHANNEL}
    return json.dumps(event, separators=(",", ":")).encode()


def few_changes(rng: random.Random, *, double: bool) -> list[bytes]:
    """Two to four changes a frame: sizes, and now and then a far level is another."""
    asks = {6_000_010 + 10 * n: rng.randrange(1, 10**7) for n in range(LEVELS)}
    bids = {6_000_000 - 10 * n: rng.randrange(1, 10**7) for n in range(LEVELS)}
    frames = []
    for _ in range(FRAMES):
        for side, step in rng.choices(((asks, 10), (bids, -10)), k=rng.randint(2, 4)):
            if rng.random() < 0.2:  # the far level goes and another comes behind it
                far = max(side) if step > 0 else min(side)
                size = side.pop(far)
                side[far + (step if far % 20 == 0 else -step // 2)] = size
            else:
                side[rng.choice(list(side))] = rng.randrange(1, 10**7)
        frames.append(frame(asks, bids, double=double))
    return frames


def moving(rng: random.Random, *, double: bool) -> list[bytes]:
    """Every size new in every frame, and the mid price walks: a busy market."""
    mid = 6_000_000
    frames = []
    for _ in range(FRAMES):
        mid += 10 * rng.randint(-5, 5)
        asks = {mid + 10 + 10 * n: rng.randrange(1, 10**7) for n in range(LEVELS)}
        bids = {mid - 10 * n: rng.randrange(1, 10**7) for n in range(LEVELS)}
        frames.append(frame(asks, bids, double=double))
    return frames


def strange(rng: random.Random, *, double: bool) -> list[bytes]:
    """No price and no size was ever seen before: the worst case of every cache."""
    frames = []
    for _ in range(FRAMES):
        mid = rng.randrange(1_000_000, 9_000_000)
        asks = {mid + 1 + rng.randrange(1, 9) + 10 * n: rng.randrange(1, 10**7) for n in range(20)}
        bids = {mid - rng.randrange(1, 9) - 10 * n: rng.randrange(1, 10**7) for n in range(20)}
        frames.append(frame(asks, bids, double=double))
    return frames


def median_us(work: Callable[[bytes], object], frames: Iterable[bytes]) -> float:
    """The median over frames, in the best of the rounds."""
    medians = []
    for _ in range(ROUNDS):
        times = []
        for each in frames:
            begun = time.perf_counter_ns()
            work(each)
            times.append(time.perf_counter_ns() - begun)
        medians.append(statistics.median(times) / 1e3)
    return min(medians)


def decode_only() -> Callable[[bytes], object]:
    outer, text_of, book = (
        msgspec.json.Decoder(PushFrame),
        msgspec.json.Decoder(str),
        msgspec.json.Decoder(PushBook),
    )

    def decode(data: bytes) -> PushBook:
        raw = outer.decode(data).data
        return book.decode(text_of.decode(raw) if memoryview(raw)[0] == 34 else raw)

    return decode


def main() -> int:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
    gc.freeze()
    print(f"{'frame of 40 levels':34}{'decode':>9}{'whole':>9}{'ratio':>7}{'target':>8}")
    missed = 0
    for double in (True, False):
        encoding = "text in JSON" if double else "object"
        for name, make, target in (
            ("few levels change", few_changes, FEW_TARGET_US),
            ("all change, price walks", moving, ANY_TARGET_US),
            ("all change, nothing seen before", strange, ANY_TARGET_US),
        ):
            frames = make(random.Random(1), double=double)
            alone = median_us(decode_only(), frames)
            feed = stream()
            whole = median_us(lambda data, feed=feed: feed.received(data, 1), frames)
            missed += whole > target
            print(
                f"{name:34}{alone:8.1f} {whole:8.1f} {whole / alone:6.1f} {target:7.0f}  {encoding}"
            )
    print("us per frame, median" + ("" if not missed else f"; {missed} above target"))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
