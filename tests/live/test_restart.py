"""What happened while no process ran: booked once, seen by the strategy, named to the person."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from decimal import Decimal

import pytest

from fairlead.adapters.base.aiohttp_transport import AiohttpTransport
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.http import NewOrder, OceanexHttp
from fairlead.adapters.oceanex.signing import Signer, load_key
from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal
from fairlead.engine.research.runs import Run, newest
from fairlead.engine.secrets import Secret
from tests.live.desk import INSTRUMENT, QUICK, Desk, summary
from tests.support.processes import command, wait_for

KEEP = '[run]\non_stop = "keep"\n' + QUICK


@pytest.fixture
def kept(desk: Desk) -> Desk:
    """A run that bought at the market, left one order open, and ended."""
    process = desk.start("live", desk.config("buy", more=KEEP))
    desk.wait_resting(process)
    wait_for(lambda: "FILLED" in desk.states(), "the market order to fill")
    assert desk.stop(process) == 0, desk.log.read_text()[-2000:]
    assert sorted(desk.states()) == ["FILLED", "OPEN"]
    return desk


def test_fills_while_away_are_booked_and_seen(kept: Desk) -> None:
    (order,) = kept.open_orders()
    told = [e["order"] for e in kept.entries("order") if str(e["order"]["id"]) == order][-1]
    price, half = told["price"], "0.0005"
    kept.served.post("market", action="pause")
    try:
        # Someone sells half of it down to our price, which is under the market.
        kept.served.post("market", market="btcusdt", price=price, quantity=half, aggressor="SELL")
        kept.served.post("market", market="btcusdt", side="SELL", price=price, size=half)
    finally:
        kept.served.post("market", market="btcusdt", side="SELL", price=price, size="0")
        kept.served.post("market", action="resume")
    true = sum(
        (Decimal(f["quantity"]) - Decimal(f["fee"]) for f in kept.entries("fill")), Decimal(0)
    )
    ended = kept.run_until("live", kept.config("see", more=KEEP), kept.seen.exists, "its start")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert kept.position() == true
    seen = json.loads(kept.seen.read_text())
    increment = Decimal("0.000001")
    assert abs(Decimal(seen["net"]) - true) <= increment
    assert Decimal(seen["gate"]) == true
    booked = _fills(kept, order)
    at_venue = [f for f in kept.entries("fill") if str(f["order_id"]) == order]
    assert at_venue, "nothing filled while the process was away"
    assert sum(f["quantity"] for f in booked) == sum(Decimal(f["quantity"]) for f in at_venue)
    assert {f["price"] for f in booked} == {Decimal(f["price"]) for f in at_venue}
    worth = summary(ended)["equity"]["OCEANEX"]["USDT"]
    last = Run.at(next(newest(kept.folder / "state"))).rows("equity")[-1]
    assert abs(Decimal(last["equity"]) - Decimal(worth["end"])) < Decimal("0.01"), "once"
    assert Decimal(last["pnl"]) == Decimal(worth["change"])


def _fills(desk: Desk, venue_order_id: str) -> list[dict[str, Decimal]]:
    with sqlite3.connect(desk.journal) as db:
        rows = [json.loads(row[0]) for row in db.execute("SELECT body FROM fills")]
    return [
        {"quantity": Decimal(row["quantity"]), "price": Decimal(row["price"])}
        for row in rows
        if row["venue_order_id"] == venue_order_id
    ]


@pytest.fixture
async def other(desk: Desk) -> AsyncIterator[OceanexHttp]:
    """Someone else with the account's key."""
    line = desk.served.line
    http = AiohttpTransport()
    key = load_key(Secret(desk.served.credential("private_key"), "test"))
    signer = Signer(str(line["uid"]), str(line["key_id"]), key, time.time_ns, 60)
    yield OceanexHttp(OceanexOptions(http_url=str(line["rest"])), http, signer)
    await http.close()


async def test_a_trade_by_hand_is_a_named_difference(desk: Desk, other: OceanexHttp) -> None:
    limit = QUICK + 'max_drift = ["0.005 BTC"]\n'
    first = desk.run("live", desk.config("nothing", more=limit), 3)
    assert first.returncode == 0, first.stderr[-3000:]
    await other.create_order(
        NewOrder(market="btcusdt", side="buy", volume="0.01", ord_type="market")
    )
    refused = desk.run("live", desk.config("nothing", more=limit), 60)
    assert refused.returncode == Exit.DRIFT, refused.stderr[-3000:]
    assert "BALANCE-DRIFT" in refused.stderr
    assert " BTC, execution.max_drift allows less" in refused.stderr
    assert "accept_drift" in refused.stderr
    config = desk.config("nothing", more=limit + "accept_drift = true\n")
    both = lambda: desk.told().count("BALANCE-DRIFT") >= 2  # noqa: E731
    accepted = desk.run_until("live", config, both, "both differences")
    assert accepted.returncode == 0, accepted.stderr[-3000:]
    named = [note.split(":")[0] for note in summary(accepted)["notes"]]
    assert named == ["BALANCE-DRIFT OCEANEX BTC", "BALANCE-DRIFT OCEANEX USDT"]
    after = desk.run("live", desk.config("nothing", more=limit), 3)
    assert after.returncode == 0, after.stderr[-3000:]
    assert summary(after)["notes"] == []


async def test_a_trade_by_hand_is_a_strategys_by_a_persons_word(
    desk: Desk, other: OceanexHttp
) -> None:
    limit = QUICK + 'max_drift = ["0.001 BTC"]\n'
    config = desk.config("nothing", more=limit)
    assert desk.run("live", config, 3).returncode == 0
    held = Decimal(0)
    for side, volume in (("buy", "0.01"), ("sell", "0.004")):
        order = NewOrder(market="btcusdt", side=side, volume=volume, ord_type="market")
        await other.create_order(order)
        refused = desk.run("live", config, 60)
        assert refused.returncode == Exit.DRIFT, refused.stderr[-3000:]
        difference = re.search(r"by ([+-][0-9.]+) BTC", refused.stderr)
        assert difference is not None
        held += Decimal(difference[1])
        price = str(desk.entries("fill")[-1]["price"])
        said = ("--price", price, "--reason", "by hand", "--config", config)
        named = ("resolve", "BTC_USDT.OCEANEX", "--strategy", "Scripted-1", *said)
        wrong = command(*named, "--held", f"{held + Decimal('0.001'):f}")
        assert wrong.returncode == Exit.DRIFT, wrong.stderr
        assert "RESOLVE-HELD" in wrong.stderr
        settled = command(*named, "--held", f"{held:f}")
        assert settled.returncode == Exit.OK, settled.stderr
        after = desk.run("live", config, 3)
        assert after.returncode == 0, after.stderr[-3000:]
        assert "DRIFT" not in after.stderr
        with closing(Journal.reading(desk.journal)) as journal:
            assert [one.quantity for one in journal.positions()] == [held]
            assert journal.problems() == []


def test_own_fills_and_fees_are_no_difference(kept: Desk) -> None:
    """A buy whose fee is paid in BTC, a restart with an order open, and another restart."""
    for _ in range(2):
        ended = kept.run("live", kept.config("see", more=KEEP), 3)
        assert ended.returncode == 0, ended.stderr[-3000:]
        (held,) = summary(ended)["notes"]  # what it holds, and no difference
        assert held.startswith("HELD ")


async def test_someone_elses_order_is_adopted_as_external(desk: Desk, other: OceanexHttp) -> None:
    order = NewOrder(market="btcusdt", side="buy", volume="0.002", price="50000", ord_type="limit")
    placed = await other.create_order(order)
    try:
        ended = desk.run_until("live", desk.config("see"), desk.seen.exists, "its start")
        assert ended.returncode == 0, ended.stderr[-3000:]
        notes = summary(ended)["notes"]
        assert [n for n in notes if n.startswith(f"ORDER-EXTERNAL {INSTRUMENT} {placed.id}")], notes
        assert str(placed.id) in desk.open_orders()  # it is not ours to cancel
        assert json.loads(desk.seen.read_text())["open"] == []  # nor the strategy's
    finally:
        await other.cancel_order(placed.id)


def test_an_order_that_was_given_up_is_cancelled_when_it_shows_up(desk: Desk) -> None:
    process = desk.start("live", desk.config(more=KEEP))
    desk.wait_resting(process)
    assert desk.stop(process) == 0
    with sqlite3.connect(desk.journal) as db:
        db.execute("UPDATE orders SET state = 'REFUSED'")  # as after a proof that proved wrong
    config = desk.config("nothing", more=KEEP)
    ended = desk.run_until("live", config, lambda: not desk.is_resting(), "the cancel")
    assert ended.returncode == 0, ended.stderr[-3000:]
    (note,) = summary(ended)["notes"]
    assert note.startswith("ORDER-LATE ")
    assert not desk.is_resting()
