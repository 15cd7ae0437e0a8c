"""Paper and backtest decide alike: the same orders on the same market, by the seed, without a node.

python -m tests.parity.alike --seeds 1..50

Paper's exchange trades a recorded market; its commands go once more through a backtest of that
recording, as `fairlead parity` has it, and every difference has to have a class.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from nautilus_trader.model import OrderBookDelta, OrderBookDeltas, RecordFlag, TradeTick
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.matching.native import levels_of, print_of
from fairlead.engine.matching.orders import NewOrder
from fairlead.engine.matching.tape import ordered
from fairlead.engine.orders.model import Side
from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.research.parity import UNEXPLAINED, Difference, compared
from fairlead.engine.run import parity
from fairlead.engine.run.config import load
from fairlead.engine.run.replayed import commands
from tests.parity import generate
from tests.parity.oracle import MS_NS
from tests.parity.played import Play, _row
from tests.parity.tape import Event, Print, Tape, Told

QUIET_NS = 500_000_000  # at the end: nothing is on its way when the data ends
LEAVES = 0.15  # of what is done
OVER = frozenset({"FILLED", "CANCELED", "REJECTED"})
UNENDED = frozenset({"SUBMITTED"})


class Alike(NamedTuple):
    orders: int
    fills: int
    found: list[Difference]
    waited: frozenset[str] = frozenset()

    @property
    def odd(self) -> list[Difference]:
        """What no class explains, and queues: both reckon them by the same rule. An exit that
        waited for the end of own orders is given to the replay at the moment of its decision."""
        odd = (one for one in self.found if one.kind in (UNEXPLAINED, "queue", "latency"))
        return [one for one in odd if one.kind != "latency" or one.order not in self.waited]


class Recorded(Play):
    """Random orders on a catalog's market."""

    def __init__(self, seed: int, tapes: dict[str, Tape]) -> None:
        super().__init__(seed)
        self.tapes = tapes
        # A replay gives each command a nanosecond later: the next event may be in that
        self.latency_ns = self.latency_ns or MS_NS
        self.until = max(tape[-1].ts for tape in tapes.values()) - QUIET_NS

    def act(self, name: str, ts: int, bid: Decimal, ask: Decimal) -> None:
        if ts >= self.until:
            return
        if self.rng.random() < LEAVES and (left := self.to_leave(name)) is not None:
            self.leave(name, ts, bid, ask, *left)
        else:
            super().act(name, ts, bid, ask)

    def to_leave(self, name: str) -> tuple[Side, Decimal] | None:
        """The side that reduces the position, and by how much no order does yet."""
        held = self.account.positions.quantity("S-001", name)
        going = [
            row
            for row in self.rows.values()
            if row["reduce_only"] and row["instrument"] == name and row["status"] not in OVER
        ]
        left = abs(held) - sum((Decimal(row["quantity"]) for row in going), Decimal(0))
        return (Side.SELL if held > 0 else Side.BUY, left) if left > 0 else None

    def leave(
        self, name: str, ts: int, bid: Decimal, ask: Decimal, side: Side, most: Decimal
    ) -> None:
        near = bid if side is Side.BUY else ask
        new = NewOrder(
            id=f"o-{len(self.rows)}",
            strategy="S-001",
            instrument=name,
            side=side,
            quantity=min(self.size(), most),
            price=None if self.rng.random() < 0.5 else self.near(near, -2, 2),
            reduce_only=True,
        )
        self.rows[new.id] = _row(new, ts)
        self.send(ts, lambda now: self.exchange.submit([new], now))


def tape_of(catalog: Path, name: str) -> Tape:
    """As a paper run is shown it."""
    known = ParquetDataCatalog(str(catalog))
    rows: list[Any] = list(known.query_trade_ticks([name]))
    batch: list[OrderBookDelta] = []
    for delta in known.query_order_book_deltas([name]):
        batch.append(delta)
        if delta.flags & RecordFlag.F_LAST.value:
            rows.append(OrderBookDeltas(delta.instrument_id, batch))
            batch = []
    return [_event(one) for one in ordered(rows)]


def _event(one: Any) -> Event:
    if isinstance(one, TradeTick):
        seen = print_of(one)
        taker = "" if seen.aggressor is None else seen.aggressor.value
        return Print(one.ts_init, seen.price, seen.size, taker)
    levels, is_whole = levels_of(one)
    bids, asks = ({price: size for side, price, size in levels if side is mine} for mine in Side)
    kind = "levels" if not is_whole else "snapshot" if levels else "clear"
    return Told(one.ts_init, kind, bids, asks)


def config_of(play: Play, names: list[str], catalog: Path) -> str:
    exchange, listed = play.exchange, ", ".join(f'"{name}"' for name in names)
    return f"""
name = "alike"
[venues.binance]
adapter = "recorded"
instruments = [{listed}]
account_type = "{"margin" if play.is_margin else "cash"}"
fees = "none"
[[strategies]]
id = "S-001"
path = "tests.parity.random_orders:RandomOrders"
params = {{ instrument_ids = "{" ".join(names)}", seed = 1 }}
[risk]
max_orders_per_second = 100000
max_open_orders = 100000
off = ["SELF_CROSS", "STALE_REFERENCE", "PRICE_COLLAR", "STOP_SIDE"]
[simulated]
balances = ["1000000000 USDT", "1000000 AAA", "1000000 BBB", "1000000 CCC"]
latency_ms = "{play.latency_ns // 1_000_000}"
queue_position = {str(exchange.queue_position).lower()}
liquidity_consumption = {str(exchange.liquidity_consumption).lower()}
[backtest]
catalog = "{catalog}"
"""


def alike(seed: int, folder: Path) -> Alike:
    """One market, without best quotes, which no paper run is shown."""
    lines = [one for one in generate.lines(seed) if b"@bookTicker" not in one]
    source, catalog = folder / "market.txt", folder / "catalog"
    source.write_bytes(b"\n".join(lines) + b"\n")
    import_binance(source, catalog)
    names = sorted({str(one.id) for one in ParquetDataCatalog(str(catalog)).instruments()})
    tapes = {name: tape_of(catalog, name) for name in names}
    play = Recorded(seed, tapes)
    play.run()
    rows = [json.loads(json.dumps(row, default=str)) for row in play.rows.values()]
    rows = [_last(row) for row in rows if row["status"] not in UNENDED]
    (config := folder / "alike.toml").write_text(config_of(play, names, catalog))
    return compared_with(load(config), rows, tapes, catalog)


def _last(row: dict[str, Any]) -> dict[str, Any]:
    """With the terms that it had at last."""
    return row | {
        name: row["changes"][-1][name] for name in ("quantity", "price") if row["changes"]
    }


def compared_with(
    loaded: LoadedConfig, rows: list[dict[str, Any]], tapes: dict[str, Tape], catalog: Path
) -> Alike:
    played = commands(rows, 1, max(play_latency(loaded), 1))
    summary = {"start_ns": 0, "instruments": []}
    case = parity._Case(summary=summary, loaded=loaded, rows=rows, others=None, slack_ns=1)
    again = parity._replayed(case, played, "again")
    span = (min(one[0].ts for one in tapes.values()), max(one[-1].ts for one in tapes.values()))
    more: dict[str, Any] = {
        "lacking": parity._gaps(catalog, loaded, span),
        "slack_ns": 1,
        "until_ns": span[1],
        "cuts_at_fills": True,
        "denied": again.denied,
        "unchanged": again.unchanged,
    }
    found = compared(rows, again.rows, **more)
    if any(one.kind in (UNEXPLAINED, "queue") for one in found):
        others = parity.as_refused(rows, again.rows, found, played)
        more |= parity._variants(case, (played, others), lambda _: None)
        found = compared(rows, again.rows, **more)
    waited = frozenset(row["client_order_id"] for row in rows if _waited(row, rows))
    return Alike(len(rows), sum(len(row["fills"]) for row in rows), found, waited)


def _waited(row: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether a resting order of the other side ended between its decision and its arrival."""
    return row["ts_accepted"] is not None and any(
        (one["instrument"], one["kind"]) == (row["instrument"], "LIMIT")
        and one["side"] != row["side"]
        and one["ts_init"] <= row["ts_init"] <= one["ts_last"] <= row["ts_accepted"]
        for one in rows
    )


def play_latency(loaded: LoadedConfig) -> int:
    return int(loaded.config.simulated.latency_ms * 1_000_000)


def main() -> int:
    parser = argparse.ArgumentParser(description="Paper beside a backtest, on seeded markets.")
    parser.add_argument("--seeds", default="1..20", help="FIRST..LAST, or one")
    parser.add_argument("--show", type=int, default=20, help="differences shown")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("..")
    kinds, orders, fills, odd = Counter[str](), 0, 0, 0
    for seed in range(int(first), int(last or first) + 1):
        with tempfile.TemporaryDirectory(prefix="fairlead-alike-") as folder:
            one = alike(seed, Path(folder))
        orders, fills = orders + one.orders, fills + one.fills
        kinds.update(each.kind for each in one.found)
        for each in one.odd:
            odd += 1
            if odd <= given.show:
                print(f"seed {seed}: {each}")
    print(f"{odd} odd of {orders} orders, {fills} fills: {dict(kinds)}")
    return 1 if odd else 0


if __name__ == "__main__":
    raise SystemExit(main())
