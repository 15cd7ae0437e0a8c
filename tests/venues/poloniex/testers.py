"""NautilusTrader's DataTester and ExecTester on the adapter and the simulated venue.

    python -m tests.venues.poloniex.testers data|exec|GROUP FOLDER

NautilusTrader's log goes to a JSON file in FOLDER, the adapter's own to standard error; the last
line of standard output is what the venue saw, as JSON. Logging is global per process, hence the
process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from nautilus_trader.config import ExecutionClientConfig
from nautilus_trader.model import (
    ClientId,
    InstrumentId,
    OrderType,
    Quantity,
    StrategyId,
    TimeInForce,
)
from nautilus_trader.testkit import ExecTesterConfig

from fairlead.adapters.base.account import Account
from fairlead.adapters.base.aiohttp_transport import AiohttpTransport, AiohttpWsTransport
from fairlead.adapters.base.execution_client import make_execution_factory
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.adapters.poloniex.simulator import PoloniexSimulator
from fairlead.adapters.poloniex.venue import PoloniexAdapter
from fairlead.adapters.simulation.server import Served, serve
from fairlead.engine.config import model
from fairlead.engine.orders.journal import Journal
from fairlead.engine.status import RunStatus
from tests.support.approving import ApproveAll
from tests.support.patience import PATIENCE_SECS, over
from tests.venues.poloniex.simulator_kit import BTC, context_of
from tests.venues.tester_nodes import builder, data_tester

POST_STOP_SECS = 5  # for the cancels of the stop


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE_SECS):
        while not condition():
            await asyncio.sleep(0.01)


def stopped(code: str, message: str) -> None:
    sys.exit(f"{code}: {message}")


def runtime_of(served: Served, http: Any, ws: Any, *, trading: bool) -> VenueRuntime:
    return VenueRuntime(
        adapter=PoloniexAdapter(context_of(served.describe(), http)),
        ws=ws,
        instruments=(BTC,),
        trading=trading,
        now_ns=time.time_ns,
        rng=random.Random(1),
        status=RunStatus(),
        on_fatal=stopped,
    )


async def data(served: Served, runtime: VenueRuntime, folder: Path) -> dict[str, Any]:
    node = builder(str(folder), runtime, "POLONIEX").build()
    node.add_builtin_actor("DataTester", data_tester("POLONIEX", BTC, "1-MINUTE"))
    running = asyncio.create_task(node.run_async())
    venue: Any = served.venue
    await until(lambda: runtime.status.book_is_valid(BTC))
    await until(lambda: any(s.wants("trades", "BTC_USDT") for s in venue.push.sessions))
    await asyncio.sleep(1.5)  # of market: real time, as the node's
    venue.control({"symbol": "BTC_USDT", "state": "PAUSE"})
    venue.control({"symbol": "BTC_USDT", "state": "NORMAL"})
    venue.faults.next("WS", "/ws/public", "drop")
    await until(lambda: runtime.status.reconnects == 1 and runtime.status.book_is_valid(BTC))
    node.handle().stop()
    await over(running)
    return {}


# Execution test cards beyond the smoke test: group (one node each) -> card -> its tester's config.
CARDS: dict[str, dict[str, dict[str, Any]]] = {
    "orders": {
        "E02": {"open_position_on_start_qty": "-0.002"},
        "E03": {
            "open_position_on_start_qty": "0.002",
            "open_position_time_in_force": TimeInForce.IOC,
        },
        "E04": {
            "open_position_on_start_qty": "0.002",
            "open_position_time_in_force": TimeInForce.FOK,
        },
        "E05": {"open_position_on_start_qty": "100", "use_quote_quantity": True},
        "E12": {"limits": True},
        "E62": {"limits": True, "order_display_qty": Quantity.from_str("0.000500")},
        "E70": {"limits": True, "use_post_only": True, "test_reject_post_only": True},
        "E72": {"stops": True, "stop_order_type": OrderType.STOP_MARKET},
    },
    "changes": {
        "E26": {"stops": True, "stop_order_type": OrderType.LIMIT_IF_TOUCHED},
        "E32": {"limits": True, "cancel_replace_orders_to_maintain_tob_offset": True},
        "E34": {"stops": True, "modify_stop_orders_to_maintain_offset": True},
        "E35": {"stops": True, "cancel_replace_stop_orders_to_maintain_offset": True},
        "E42": {"limits": True, "use_individual_cancels_on_stop": True},
        "E43": {"limits": True, "use_batch_cancel_on_stop": True},
    },
    "tif": {
        "E13": {
            "limits": True,
            "limit_time_in_force": TimeInForce.IOC,
            "limit_aggressive": True,
        },
        "E14": {"limits": True, "limit_time_in_force": TimeInForce.IOC},
        "E15": {
            "limits": True,
            "limit_time_in_force": TimeInForce.FOK,
            "limit_aggressive": True,
        },
        "E16": {"limits": True, "limit_time_in_force": TimeInForce.FOK},
        "E73": {"limits": True, "limit_time_in_force": TimeInForce.DAY},
    },
}
# Seconds of market: testers send an immediate order again with every quote.
MARKET_SECS = {"orders": 1.0, "changes": 2.0, "tif": 0.2}
SETTLE_SECS = 1.5  # without anything new: then what was on its way is over


def card_config(name: str, fields: dict[str, Any]) -> ExecTesterConfig:
    fields = dict(fields)
    limits, stops = fields.pop("limits", False), fields.pop("stops", False)
    base: dict[str, Any] = dict(
        strategy_id=StrategyId(f"CARD-{name}"),
        order_id_tag=name,
        use_uuid_client_order_ids=True,
        instrument_id=InstrumentId.from_str(BTC),
        client_id=ClientId("POLONIEX"),
        order_qty=Quantity.from_str("0.001000"),
        subscribe_quotes=True,
        subscribe_book=True,
        open_position_on_first_quote=True,
        enable_limit_buys=limits,
        enable_limit_sells=limits,
        enable_stop_buys=stops,
        enable_stop_sells=stops,
        stop_order_type=OrderType.STOP_LIMIT,
        stop_offset_ticks=20_000,
        stop_limit_offset_ticks=100,
        tob_offset_ticks=2_000,
        reduce_only_on_stop=False,
        close_positions_on_stop=False,
        log_data=False,
    )
    return ExecTesterConfig(**(base | fields))


def smoke_config() -> ExecTesterConfig:
    return ExecTesterConfig(
        strategy_id=StrategyId("EXEC-001"),
        use_uuid_client_order_ids=True,
        instrument_id=InstrumentId.from_str(BTC),
        client_id=ClientId("POLONIEX"),
        order_qty=Quantity.from_str("0.001000"),
        subscribe_quotes=True,
        subscribe_trades=True,
        subscribe_book=True,
        open_position_on_start_qty="0.002",  # type: ignore[arg-type]
        open_position_on_first_quote=True,
        tob_offset_ticks=2_000,
        enable_stop_buys=True,
        enable_stop_sells=True,
        stop_order_type=OrderType.STOP_LIMIT,
        stop_offset_ticks=20_000,
        stop_limit_offset_ticks=100,
        modify_orders_to_maintain_tob_offset=True,
        reduce_only_on_stop=True,
        use_post_only=True,
        log_data=False,
    )


def trading_of(runtime: VenueRuntime, folder: Path) -> Account:
    config = model.Config(
        name="tester", venues={"poloniex": model.Venue(adapter="poloniex", instruments=[BTC])}
    )
    return Account(
        runtime=runtime,
        account="main",
        journal=Journal(folder / "journal.sqlite", fsync=False, now_ns=time.time_ns),
        approvals=ApproveAll(),  # the testers are not of fairlead: no gate stands before them
        config=config,
        on_recovered=lambda _: None,
        on_halt=stopped,
        on_sent=lambda _: None,
        on_over=lambda _: None,
    )


async def execution(
    served: Served, runtime: VenueRuntime, folder: Path, group: str
) -> dict[str, Any]:
    venue: Any = served.venue
    trading = trading_of(runtime, folder)
    node = (
        builder(str(folder), runtime, "POLONIEX", post_stop_secs=POST_STOP_SECS)
        .add_exec_client("POLONIEX", make_execution_factory(trading), ExecutionClientConfig())
        .build()
    )
    cards = CARDS.get(group, {})
    configs = [card_config(*item) for item in cards.items()] or [smoke_config()]
    for config in configs:
        node.add_builtin_strategy("ExecTester", config)
    cache = node.cache  # while the node runs it gives none
    running = asyncio.create_task(node.run_async())
    entries = venue.exchange.ledger.entries
    if cards:
        await until(
            lambda: placed(entries, stops=False) + placed(entries, stops=True) >= len(cards)
        )
        await asyncio.sleep(MARKET_SECS[group])  # real time, as the node's
    else:
        await until(lambda: placed(entries, stops=True) >= 2 and placed(entries, stops=False) >= 3)
        await until(lambda: placed(entries, stops=False) >= 5)  # modified as the market moved
    venue.driver.paused = True
    await settled(entries, cache)
    node.handle().stop()
    await over(running)
    await trading.close()
    orders = venue.exchange.orders("spot")
    return {
        "orders": dict(Counter(o.status.value for o in orders)),
        "stops": sum(o.trigger_price is not None for o in orders),
        "fills": len(venue.exchange.ledger.fills(venue.account)),
        "open": len(venue.exchange.open_orders("spot")),
    }


async def settled(entries: list[Any], cache: Any) -> None:
    """Until nothing is on its way, and nothing more comes: the stop cancels what is open then.

    An order that is being changed at the stop is not, and NautilusTrader warns of what it leaves.
    """
    count, since = -1, 0.0
    async with asyncio.timeout(PATIENCE_SECS):
        while count != len(entries) or time.monotonic() - since < SETTLE_SECS:
            if count != len(entries) or cache.orders_inflight():
                count, since = len(entries), time.monotonic()
            await asyncio.sleep(0.01)


def placed(entries: list[Any], *, stops: bool) -> int:
    return sum(
        (entry.order.trigger_price is not None) == stops
        for entry in entries
        if getattr(entry, "event", "") == "accepted"
    )


async def main(what: str, folder: Path) -> None:
    served = await serve(PoloniexSimulator(now_ns=time.time_ns(), seed=11))
    tape = served.venue.exchange.markets["BTC_USDT"].tape
    await until(lambda: len(tape.trades) >= 3)  # a history for the requests
    http, ws = AiohttpTransport(), AiohttpWsTransport()
    runtime = runtime_of(served, http, ws, trading=what != "data")
    if what == "data":
        told = await data(served, runtime, folder)
    else:
        told = await execution(served, runtime, folder, what)
    for transport in (http, ws):
        await transport.close()
    await served.stop()
    print(json.dumps(told))


if __name__ == "__main__":
    logging.basicConfig(format="%(levelname)s %(name)s %(message)s", level=logging.INFO)
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
