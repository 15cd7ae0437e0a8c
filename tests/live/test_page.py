"""A live run's page: figures are the journal's and the venue's, and acting leaves its record."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest

from fairlead.engine.errors import Exit
from tests.live.blocked_run import Run
from tests.support import configs
from tests.support.page import OBSERVE, PageOf
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import ROOT, wait_for

RESTS = 3


def shown(live: Run, more: str = OBSERVE) -> PageOf:
    """A run that has bought once and holds `RESTS` orders open."""
    live.more = configs.ROOMY + more
    live.start({"goes_on": False, "rests": RESTS, "buys": 1})
    page = PageOf(live.log, live.folder / "state")
    wait_for(lambda: is_up(page), f"what the strategy does; see {live.log}")
    return page


def is_up(page: PageOf) -> bool:
    status = page.get("status")
    is_traded = status["open_orders"] == RESTS and status["fills"] >= 1
    return bool(is_traded) and {one["state"] for one in page.get("orders")} == {"OPEN"}


def test_its_figures_are_the_journals_and_the_venues(live: Run) -> None:
    page = shown(live)
    rows = live.journaled(
        "SELECT client_order_id, venue_order_id, state, filled FROM orders "
        "WHERE state NOT IN ('FILLED', 'CANCELED', 'EXPIRED', 'REFUSED')"
    )
    orders = page.get("orders")
    assert {
        (one["client_order_id"], one["venue_order_id"], one["state"], Decimal(one["filled"]))
        for one in orders
    } == {(name, void, state, Decimal(filled)) for name, void, state, filled in rows}
    at_venue = {str(one["id"]) for one in live.open()}
    assert {one["venue_order_id"] for one in orders} == at_venue
    bodies = live.journaled("SELECT body FROM records WHERE kind = 'FILL'")
    fills = [json.loads(body) for (body,) in bodies]
    assert sorted((Decimal(f["quantity"]), Decimal(f["price"])) for f in page.get("fills")) == (
        sorted((Decimal(f["quantity"]), Decimal(f["price"])) for f in fills)
    )
    wait_for(
        lambda: Decimal(page.get("positions")[0]["venue"]) == live.btc(), "the venue's balance"
    )
    (position,) = page.get("positions")
    assert Decimal(position["journal"]) == live.held()
    assert abs(Decimal(position["engine"]) - live.held()) < Decimal("0.000001")
    assert not position["is_apart"]
    status = page.get("status")
    assert (status["mode"], status["state"], status["wrong"]) == ("live", "running", [])
    assert status["compared"][0]["ts_ns"] > status["started_ns"]
    assert {one["scope"] for one in status["budgets"]} >= {"orders", "private", "public"}
    (book,) = page.get("books")
    depth = page.get(f"books/{book['instrument']}")
    assert Decimal(depth["bids"][0][0]) < Decimal(depth["asks"][0][0])
    wait_for(lambda: page.get("equity"), "a sample of the equity")
    as_documented(page)
    measured(page)
    nothing_secret(live, page)
    assert live.end() == Exit.OK


def as_documented(page: PageOf) -> None:
    """Every answer has the shape that the OpenAPI document tells."""
    document = page.get("openapi.json")
    assert "/api/v1/stream` is a WebSocket" in document["info"]["description"]
    assert document["openapi"].startswith("3.1")
    names = {"instrument": "BTC_USDT.OCEANEX"}
    for path, methods in document["paths"].items():
        if "get" not in methods:
            continue
        schema = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        status, told = page.ask(path.format(**names))
        assert status == 200, (path, told)
        jsonschema.validate(told, {**schema, "components": document["components"]})


def measured(page: PageOf) -> None:
    """Prometheus' parser reads the figures, and the dashboard asks for none that is not told."""
    parser = pytest.importorskip("prometheus_client.parser")
    assert page.ask("/metrics", Authorization="")[0] == 401
    status, text = page.ask("/metrics")
    assert status == 200, text
    samples = [
        sample
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    ]
    found = {sample.name: sample.value for sample in samples}
    assert found["fairlead_open_orders"] == RESTS
    assert found["fairlead_fills_total"] == 1
    assert found["fairlead_wrong"] == 0
    for name in ("tick_to_order", "answer", "journal"):
        count = found[f"fairlead_{name}_seconds_count"]
        assert count or name == "tick_to_order", "this strategy answers to a timer"
        assert count == found[f"fairlead_{name}_seconds_bucket"], "the last bucket holds all"
    names = {sample for sample in found if sample.startswith("fairlead_")}
    names |= set(re.findall(r"^# TYPE (\w+) gauge$", text, re.M))
    names |= set(re.findall(r"^# TYPE (\w+) counter$", text, re.M))
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text())
    labels = {sample.name: {"job", *sample.labels} for sample in samples}  # job: by who collects
    for target in (one for panel in dashboard["panels"] for one in panel["targets"]):
        used = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        used |= set(re.findall(r"[{,](\w+)[=!]", target["expr"]))
        for name in set(re.findall(r"fairlead_\w+", target["expr"])) & set(labels):
            assert used <= labels[name], target
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [str(variable["query"]) for variable in dashboard["templating"]["list"]]
    asked = {name for query in queries for name in re.findall(r"fairlead_\w+", query)}
    assert len(asked) > 20
    assert not asked - names


def nothing_secret(live: Run, page: PageOf) -> None:
    secrets = [page.token, page.control]
    secrets += [
        path.read_text().strip()
        for path in (live.folder / "venue").iterdir()
        if path.is_file() and len(path.read_text().strip()) >= 8
    ]
    document = page.get("openapi.json")
    told = json.dumps(
        [
            page.get(p.removeprefix("/api/v1/"))
            for p in document["paths"]
            if "get" in document["paths"][p] and "{" not in p
        ]
    )
    assert len(secrets) > 2
    for text in (told, live.log.read_text()):
        assert not [one for one in secrets if json.dumps(one)[1:-1] in text or one in text]


def test_who_has_no_token_or_comes_from_elsewhere_sees_nothing(live: Run) -> None:
    page = shown(live)
    for path in (*page.get("openapi.json")["paths"], "/api/v1/nothing", "/nothing"):
        for token in ("", "Bearer", f"Bearer {page.control}", f"Basic {page.token}", "Bearer \xe9"):
            status, told = page.ask(path, Authorization=token)
            assert (status, told["code"]) == (401, "PAGE-TOKEN"), (path, token)
        assert page.ask(path, method="POST", Authorization="")[0] == 401
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Sec_Fetch_Site": "cross-site"},
    ):
        assert page.ask("/api/v1/status", **headers)[0] == 403, headers
        assert page.ask("/", **headers)[0] == 403, headers
    assert page.ask("/api/v1/status", Origin=page.base)[0] == 200
    for path in ("orders?limit=5", "status?x=1", "nothing?x=1", "stream?token=t"):
        status, told = page.ask(f"/api/v1/{path}")
        assert (status, told["code"]) == (400, "PAGE-QUERY"), path
    assert "came limit: /api/v1/orders" in page.ask("/api/v1/orders?limit=5")[1]["message"]
    kill = {"scope": "all"}
    assert page.ask("/api/v1/kill", body=kill)[0] == 403, "without the second token"
    assert page.ask("/api/v1/kill", body=kill, Fairlead_Control=page.token)[0] == 403
    for body, status in (
        (b"{", 422),
        (b"x" * 70_000, 413),
        ({"scope": "strategy", "key": "Nobody-1"}, 404),
        ({"scope": "all", "action": "sell"}, 422),
        ({"scope": "all", "more": 1}, 422),
    ):
        assert page.ask("/api/v1/kill", body=body, control=True)[0] == status, body
    status, told = page.ask("/api/v1/kill", body={"scope": "all", "action": "sell"}, control=True)
    assert told["message"].endswith("expected one of cancel, flatten, halt")
    status, told = page.ask("/api/v1/clear", body={"scope": "run", "reason": "x"}, control=True)
    assert told["message"].endswith("expected one of account, all, strategy, venue")
    assert page.ask("/api/v1/orders/nothing/cancel", method="POST", control=True)[0] == 404
    assert page.get("status")["kills"] == []
    assert page.ask("/healthz", Authorization="") == (200, "ok\n")
    assert page.ask("/readyz", Authorization="") == (200, "ready\n")
    asyncio.run(_sockets(page))
    assert live.end() == Exit.OK


async def _sockets(page: PageOf) -> None:
    url = f"{page.base}/api/v1/stream".replace("http", "ws")
    async with aiohttp.ClientSession() as session:
        for word in ('{"token": "wrong"}', "{}", "\x00", json.dumps({"token": page.control})):
            async with session.ws_connect(url) as one:
                await one.send_str(word)
                told = await one.receive(PATIENCE_SECS)
                assert told.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED), told
                assert one.close_code == 4401
        async with session.ws_connect(url) as one:  # a slow one, which does not lose its token
            told = await one.receive(PATIENCE_SECS)
            assert told.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED), told
            assert one.close_code == 4408
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url, headers={"Origin": "http://evil.example"})
        assert refused.value.status == 403
        for _ in range(2):  # one that comes again is told everything again
            async with session.ws_connect(url) as one:
                await one.send_str(json.dumps({"token": page.token}))
                first = json.loads((await one.receive(PATIENCE_SECS)).data)
                assert first["type"] == "whole"
                assert len(first["changed"]["orders"]) == RESTS
                await one.send_str(json.dumps({"depth": "BTC_USDT.OCEANEX"}))
                told: dict[str, Any] = {}
                while not told.get("depth"):
                    told = json.loads((await one.receive(PATIENCE_SECS)).data)
                assert told["type"] == "change"
                assert "orders" not in told.get("changed", {}), "what is as it was is not told"


def test_cancel_kill_and_clear_go_the_way_that_is_there(live: Run) -> None:
    page = shown(live)
    first = page.get("orders")[0]["client_order_id"]
    page.do(f"orders/{first}/cancel")
    wait_for(lambda: page.get("status")["open_orders"] == RESTS - 1, "the cancel")
    kinds = [
        kind
        for (kind,) in live.journaled(
            f"SELECT kind FROM records WHERE client_order_id = '{first}' ORDER BY seq"
        )
    ]
    assert kinds.index("CANCEL_ASKED") < kinds.index("CANCELED")
    told = page.do("kill", scope="strategy", key="B-1", reason="a test")
    assert told["text"].startswith("in force: kill switch (strategy B-1, cancel) by the page")
    assert "KILLED" in page.wrong()
    wait_for(lambda: not live.open() and page.get("status")["open_orders"] == 0, "the cancels")
    (kill,) = live.kill("--status", code=Exit.KILLED)["in_force"]
    assert (kill["reason"], kill["scope"]["key"]) == ("a test", "B-1")
    wait_for(lambda: _noted(live) == ["KILL"], "the kill in the journal")
    page.do("clear", scope="strategy", key="B-1", reason="looked at")
    wait_for(lambda: _noted(live) == ["KILL", "KILL-CLEARED"], "the clear in the journal")
    wait_for(lambda: "KILLED" not in page.wrong(), "the page to be well again")
    assert live.kill("--status")["in_force"] == []
    assert live.end() == Exit.OK


def _noted(live: Run) -> list[str]:
    rows = live.journaled("SELECT kind FROM records WHERE client_order_id = 'kill' ORDER BY seq")
    return [kind for (kind,) in rows]


def test_a_halt_is_cleared(live: Run) -> None:
    """As `fairlead kill venue oceanex --clear` does it."""
    live.more = configs.ROOMY.replace("[risk]", '[risk]\nmax_daily_loss = ["0.01 USDT"]') + OBSERVE
    live.start({"goes_on": False, "rests": 0, "buys": 1})
    page = PageOf(live.log, live.folder / "state")
    wait_for(lambda: "HALTED" in page.wrong(), "the loss of the fee")
    (halt,) = page.get("status")["halts"]
    assert (halt["venue"], halt["account"], halt["code"]) == ("oceanex", "main", "DAILY_LOSS")
    told = page.do("clear", scope="venue", key="oceanex", reason="looked at")
    assert told["text"] == "cleared: the halt of oceanex main"
    kinds = "SELECT kind FROM records WHERE client_order_id = 'halt' ORDER BY seq"
    taken = [("HALT",), ("HALT-CLEARED",)]  # a new loss may halt it again, in a moment
    wait_for(lambda: live.journaled(kinds)[:2] == taken, "the run to take it")
    assert "by the page, with its second token" in live.log.read_text()
    assert live.end() in (Exit.OK, Exit.KILLED)


@pytest.mark.parametrize("latency_ms", ["0", "1500"])
def test_on_paper(live: Run, latency_ms: str) -> None:
    """The same, of simulated orders, on their way too; of a recorder there is nothing to kill."""
    live.verb = "paper"
    live.more = f'{configs.ROOMY}{OBSERVE}\n[simulated]\nlatency_ms = "{latency_ms}"\n'
    live.start({"goes_on": False, "rests": RESTS})
    page = PageOf(live.log, live.folder / "state")
    wait_for(lambda: page.get("status")["open_orders"] == RESTS, "the orders")
    (position,) = page.get("positions")
    assert position["journal"] is None
    assert page.get("status")["accounts"] == ["main", "paper"]
    assert page.get("status")["worth"]
    page.do(f"orders/{page.get('orders')[0]['client_order_id']}/cancel")
    wait_for(lambda: page.get("status")["open_orders"] == RESTS - 1, "the cancel")
    page.do("kill", scope="all")
    wait_for(lambda: page.get("status")["open_orders"] == 0, "the kill")
    page.do("clear", scope="all", reason="looked at")
    assert page.wrong() == set()
    assert live.orders() == {}, "nothing was sent"
    assert live.end() == Exit.OK


@pytest.mark.long
def test_of_a_recorder(live: Run) -> None:
    live.verb = "record"
    live.more = OBSERVE
    live.start()
    page = PageOf(live.log, live.folder / "state")
    wait_for(lambda: page.get("books"), "a book")
    status = page.get("status")
    assert (status["mode"], status["strategies"], status["accounts"]) == ("record", [], [])
    for path in ("kill", "clear"):
        body = {"scope": "all", "reason": "why"}
        assert page.ask(f"/api/v1/{path}", body=body, control=True)[0] == 409
    assert live.end() == Exit.OK


@pytest.mark.long
def test_nothing_that_fits_the_document_makes_it_stumble(live: Run) -> None:
    """schemathesis makes requests from the document: no 5xx, nothing without a token, no answer
    of another shape. It kills and clears, too."""
    pytest.importorskip("schemathesis")
    page = shown(live)
    document = live.folder / "openapi.json"
    document.write_text(json.dumps(page.get("openapi.json")))
    command = [Path(sys.executable).with_name("schemathesis"), "run", document, "--url", page.base]
    command += ["-H", f"Authorization: Bearer {page.token}"]
    command += ["-H", f"Fairlead-Control: {page.control}"]
    command += ["--rate-limit", "40/s", "--max-examples", "50", "--no-color", "--seed", "1"]
    ended = subprocess.run(
        [str(word) for word in command],
        cwd=live.folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECS,
        check=False,
    )
    shutil.rmtree(live.folder / ".schemathesis", ignore_errors=True)  # the token is in it
    told, code = ended.stdout.replace(page.control, "[token]"), ended.returncode
    assert code == 0, told[-4000:]
    assert "PAGE-DEFECT" not in live.log.read_text()
    page.do("clear", scope="all", reason="the end")
    assert live.end() in (Exit.OK, Exit.KILLED)
