"""What goes wrong with an order at the wire: the payload, the code, and the state it ends in.

The desk sends one order through the adapter to the simulated venue. The venue's own book says
whether the order exists; the journal must say the same. (Bad input of books: `test_book.py`.)
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.adapters.base.transport import HttpRequest, HttpResponse
from fairlead.engine.orders.model import Intent, Side, TriggerCondition
from tests.support.approving import approved
from tests.venues.poloniex.simulator_kit import Memory, in_memory, intent, stop
from tests.venues.poloniex.test_against_simulator_desk import Session, still

Ask = Callable[[HttpRequest], Awaitable[HttpResponse]]
SECOND_NS = 1_000_000_000


class Case(msgspec.Struct, frozen=True):
    """`payload`: what the answer holds. `end`: refused with `code`, or open at the venue."""

    name: str
    status: int
    payload: str
    code: str
    end: str = "REFUSED"
    control: dict[str, Any] | None = None
    fault: str = ""
    clock_secs: float = 0.0
    fields: dict[str, Any] | None = None
    order: Intent | None = None
    instead: tuple[int, str] | None = None  # of the venue's answer, after it acted
    executed: bool = True


ABSENT = "ABSENT-PROVEN"
FOUND = ""  # UNKNOWN first, then proven to exist: no refusal
STOP = stop(1, Side.BUY, TriggerCondition.GTE, "65000", "65100")
CASES = [
    Case("clock 2 s fast", 400, '"code":400', "POLONIEX-400", clock_secs=2),
    Case("clock 2 s slow", 400, '"code":400', "POLONIEX-400", clock_secs=-2),
    Case("revoked key", 401, "", "POLONIEX-HTTP-401", control={"revoked": True}),
    Case(
        "symbol paused",
        400,
        '"code":10041',
        "POLONIEX-10041",
        control={"symbol": "BTC_USDT", "state": "PAUSE"},
    ),
    Case(
        "price scale", 400, '"code":21335', "POLONIEX-21335", fields={"price": Decimal("50000.001")}
    ),
    Case(
        "quantity scale",
        400,
        '"code":21336',
        "POLONIEX-21336",
        fields={"quantity": Decimal("0.0010001")},
    ),
    Case(
        "below minimum",
        400,
        '"code":21322',
        "POLONIEX-21322",
        fields={"quantity": Decimal("0.00001")},
    ),
    Case("balance short", 400, '"code":21709', "POLONIEX-21709", fields={"quantity": Decimal(99)}),
    Case("maintenance", 400, '"code":21340', "POLONIEX-21340", control={"maintenance": True}),
    Case("429", 429, "", "POLONIEX-429", fault="too_many"),
    Case("429 of a stop", 429, "", "POLONIEX-429", fault="too_many", order=STOP),
    Case("HTML 503, not executed", 503, "<html", ABSENT, fault="unavailable"),
    Case("HTML 503 of a stop", 503, "<html", ABSENT, fault="unavailable", order=STOP),
    Case("HTML 502, executed", 502, "<html", FOUND, "OPEN", fault="bad_gateway"),
    Case("HTML 502 of a stop", 502, "<html", FOUND, "WAITING", fault="bad_gateway", order=STOP),
    Case("half an answer", 200, '"id"', FOUND, "OPEN", fault="truncated"),
    Case("500, executed", 500, "500", FOUND, "OPEN", instead=(500, '{"code":500,"message":"x"}')),
    Case(
        "500, not executed",
        500,
        "500",
        ABSENT,
        instead=(500, '{"code":500,"message":"x"}'),
        executed=False,
    ),
    Case("200 with HTML", 200, "<html", FOUND, "OPEN", instead=(200, "<html></html>")),
    Case("an undocumented code", 400, "31337", FOUND, "OPEN", instead=(400, '{"code":31337}')),
]


def watched(ask: Ask, case: Case, answers: list[tuple[int, str]]) -> Ask:
    """Keeps the answers to creates; gives another one instead where the case says so."""

    async def request(call: HttpRequest) -> HttpResponse:
        is_create = call.method == "POST" and call.url.endswith(("/orders", "/smartorders"))
        if not is_create:
            return await ask(call)
        response = await ask(call) if case.executed else None
        if case.instead is not None:
            response = HttpResponse(status=case.instead[0], body=case.instead[1].encode())
        assert response is not None
        answers.append((response.status, response.body.decode(errors="replace")))
        return response

    return request


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_order_ends_in_the_state_that_the_venue_has(case: Case, tmp_path: Path) -> None:
    venue = still()
    answers: list[tuple[int, str]] = []
    told: list[tuple[str, str]] = []

    async def main(memory: Memory) -> None:
        session = Session(memory, tmp_path / "journal.sqlite")
        await session.start()
        http: Any = memory.adapter.http
        http._transport.request = watched(http._transport.request, case, answers)
        exchange = venue.exchange
        exchange.print_trade("BTC_USDT", Decimal(60000), Decimal(1), Side.BUY, exchange.now_ns)
        one = case.order or intent(1, **(case.fields or {}))
        if case.control is not None:
            venue.control(case.control)
        if case.fault:
            venue.faults.next("POST", "/smartorders" if case.order else "/orders", case.fault)
        real = http.clock._now_ns
        http.clock._now_ns = lambda: real() + int(case.clock_secs * SECOND_NS)
        await session.desk.submit(approved(one))
        http.clock._now_ns = real
        ended = ("order_refused", "order_accepted")
        await session.stream.until(lambda: set(ended) & set(session.sink.names()))
        live = session.desk.get(one.client_order_id)
        assert ("REFUSED" if live is None else str(live.state)) == case.end
        told.extend((n, d[1]) for n, _, d in session.sink.events if n in ended)
        assert len(exchange.open_orders("spot")) == (case.end != "REFUSED")
        assert len(answers) == 1, "sent once"
        if case.control is not None:
            venue.control({"revoked": False, "maintenance": False})
        await session.stop()

    in_memory(main, venue)
    ((status, body),) = answers
    assert status == case.status
    assert case.payload in body.replace(" ", "")
    ((name, detail),) = told
    assert name == ("order_refused" if case.code else "order_accepted")
    assert not case.code or detail == case.code


def test_a_duplicate_client_id_is_the_order_that_exists(tmp_path: Path) -> None:
    """Ours, of a process that died before it journaled the answer; never a second one."""
    venue = still()

    async def main(memory: Memory) -> None:
        session = Session(memory, tmp_path / "journal.sqlite")
        await session.start()
        (first,) = await memory.adapter.orders.submit([intent(1)])
        answers: list[tuple[int, str]] = []
        http: Any = memory.adapter.http
        case = Case("duplicate", 400, "", "")
        http._transport.request = watched(http._transport.request, case, answers)
        await session.desk.submit(approved(intent(1)))
        await session.stream.until(lambda: "order_accepted" in session.sink.names())
        ((status, body),) = answers
        assert (status, json.loads(body)["code"]) == (400, 21312)
        live = session.desk.get(intent(1).client_order_id)
        assert live is not None
        assert live.venue_order_id == getattr(first, "venue_order_id", None)
        assert len(venue.exchange.orders("spot")) == 1
        await session.stop()

    in_memory(main, venue)
    db = sqlite3.connect(tmp_path / "journal.sqlite")
    assert db.execute("SELECT state FROM orders").fetchall() == [("CANCELED",)]
    db.close()
