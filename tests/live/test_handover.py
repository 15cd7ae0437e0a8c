"""After a `kill -9` a strategy gets its orders and its position back, before its `on_start`."""

from __future__ import annotations

import json
import signal
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import OrderState, Role
from tests.live.desk import INSTRUMENT, QUICK, Desk
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import wait_for

KEEP = '[run]\non_stop = "keep"\n' + QUICK


def table(desk: Desk, cls: str, number: int, *, rests: bool) -> dict[str, Any]:
    seen = desk.seen if number == 1 else desk.seen.with_name(f"seen{number}.json")
    params = {"instrument_id": INSTRUMENT, "seen": str(seen), "rests": rests}
    if cls == "Silent":
        del params["instrument_id"]
    return {"id": f"Taking-{number}", "path": f"tests.live.taking:{cls}", "params": params}


def config(
    desk: Desk,
    *classes: str,
    rests: bool = False,
    more: str = QUICK,
) -> Path:
    strategies = [
        table(desk, cls, number, rests=rests)
        for number, cls in enumerate(classes or ("Taking",), start=1)
    ]
    return configs.write(desk.folder, desk.served, strategies=strategies, more=more)


@pytest.fixture
def killed(desk: Desk) -> Desk:
    """A run that was killed while a stop and a quote of it rested."""
    process = desk.start("live", config(desk, rests=True))
    rested = ["FILLED", "OPEN", "WAITING"]
    wait_for(
        lambda: sorted(desk.states()) == rested or process.poll() is not None,
        "both orders to rest",
    )
    assert process.poll() is None, desk.log.read_text()[-3000:]
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_SECS)
    desk.seen.unlink()
    return desk


def seen(desk: Desk) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(desk.seen.read_text())
    return found


def journaled(desk: Desk) -> dict[str, Any]:
    journal = Journal.reading(desk.journal)
    try:
        return {order.intent.client_order_id: order for order in journal.open_orders()}
    finally:
        journal.close()


def test_orders_roles_and_position_come_back_before_on_start(killed: Desk) -> None:
    known = journaled(killed)
    assert sorted(order.intent.role for order in known.values()) == [Role.QUOTE, Role.STOP]
    ended = killed.run("live", config(killed, more=KEEP), 1.0)
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = seen(killed)
    assert told["events"][:2] == ["recovered", "start"]
    assert {order["id"]: order for order in told["orders"]} == {
        name: {
            "id": name,
            "side": order.intent.side.value,
            "kind": order.intent.kind.value,
            "role": order.intent.role.value,
            "quantity": str(order.intent.quantity),
            "filled": "0",
            "price": str(order.intent.price),
            "trigger": str(order.intent.trigger_price),
            "proven": True,
        }
        for name, order in known.items()
    }
    assert {name: Decimal(held) for name, held in told["positions"].items()} == {
        INSTRUMENT: killed.position()
    }


def test_a_plain_strategy_finds_them_in_the_cache_and_cancels_them(killed: Desk) -> None:
    known = sorted(journaled(killed))
    ended = killed.run("live", config(killed, "Plain", more=KEEP), 1.5)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = seen(killed)
    assert found["orders"] == known
    assert [Decimal(held) for held in found["positions"]] == [Decimal("0.000999")]
    assert not killed.is_resting()


def test_one_whose_params_name_no_instrument_finds_them_too(killed: Desk) -> None:
    """The journal tells who has orders in an instrument."""
    known = sorted(journaled(killed))
    ended = killed.run("live", config(killed, "Silent", more=KEEP), 1.5)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert seen(killed)["orders"] == known
    assert not killed.is_resting()


def test_two_strategies_of_one_instrument_get_each_their_own(desk: Desk) -> None:
    """NautilusTrader gives all to one of them; orders, position and events go to their owner."""
    process = desk.start("live", config(desk, "Taking", "Taking", rests=True))
    rested = sorted(["FILLED", "OPEN", "WAITING"] * 2)
    wait_for(
        lambda: sorted(desk.states()) == rested or process.poll() is not None, "orders to rest"
    )
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_SECS)
    owners = {name: order.intent.strategy for name, order in journaled(desk).items()}
    assert sorted(owners.values()) == ["Taking-1"] * 2 + ["Taking-2"] * 2
    ended = desk.run("live", config(desk, "Cancelling", "Cancelling", more=KEEP), 2.0)
    assert ended.returncode == 0, ended.stderr[-3000:]
    for number in (1, 2):
        made = table(desk, "Cancelling", number, rests=False)
        told = json.loads(Path(made["params"]["seen"]).read_text())
        mine = sorted(name for name, owner in owners.items() if owner == f"Taking-{number}")
        assert sorted(order["id"] for order in told["orders"]) == mine
        assert list(map(Decimal, told["positions"].values())) == [Decimal("0.000999")]
        assert sorted(e for e in told["events"] if "canceled" in e) == [
            f"canceled {name}" for name in mine
        ]
    assert not desk.is_resting()


def test_a_stop_of_unknown_outcome_is_handed_over_and_counts(killed: Desk) -> None:
    """This venue lists no waiting stops: one whose answer was lost stays unknown."""
    (stop,) = (o for o in journaled(killed).values() if o.intent.role is Role.STOP)
    name = "5d9a2f52-0000-4000-8000-000000000001"
    lost = msgspec.structs.replace(stop.intent, client_order_id=name, quantity=Decimal("0.0008"))
    journal = Journal(killed.journal, fsync=False, now_ns=lambda: stop.ts_sent)
    journal.intend([lost])
    journal.state(name, OrderState.UNKNOWN, {"reason": "the process ended"})
    journal.close()
    process = killed.start("live", config(killed, more=KEEP))
    wait_for(lambda: killed.seen.exists() or process.poll() is not None, "the start")
    assert killed.stop(process) == Exit.UNRESOLVED, killed.log.read_text()[-3000:]
    told = {order["id"]: order for order in seen(killed)["orders"]}
    assert (told[name]["proven"], told[name]["role"]) == (False, "stop")
    assert (told[name]["quantity"], told[name]["trigger"]) == ("0.0008", str(lost.trigger_price))
    assert len(told) == 3
    journal = Journal(killed.journal, fsync=False, now_ns=time.time_ns)
    journal.state(name, OrderState.REFUSED, {"reason": "this test made it up"})
    journal.close()
