"""The role of an order: told by its tags, kept in the journal, shown where orders are shown."""

from __future__ import annotations

import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import OrderSide

from fairlead.adapters.base.translate import intent_of
from fairlead.engine.observe.explain import explain
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_schema import record_crc
from fairlead.engine.orders.model import Role, Side, role_of, with_role
from fairlead.engine.risk.view import order_facts
from tests.support.order_lines import order_lines
from tests.unit.guard.test_guarded import Plain, plain_config
from tests.unit.nautilus_harness import IID, MODES, Run, px, qty
from tests.unit.orders.conftest import intent

ROLES = [role for role in Role if role is not Role.NONE]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_told_by_its_tag(role: Role) -> None:
    assert role_of(["VENUE", role.tag], reduce_only=False) is role
    assert with_role(["mine"], role) == ["mine", role.tag]
    assert with_role([Role.STOP.tag], role) == [Role.STOP.tag]


@pytest.mark.parametrize("tags", [None, [], ["role:"], ["role:other"], ["RECONCILIATION"]])
def test_without_a_role_only_reduce_only_orders_are_exits(tags: list[str] | None) -> None:
    assert role_of(tags, reduce_only=True) is Role.EXIT
    assert role_of(tags, reduce_only=False) is Role.NONE
    assert with_role(tags, Role.NONE) == (tags or None)


def test_exits_are_those_that_may_only_reduce() -> None:
    assert {role for role in Role if role.is_exit} == {Role.EXIT, Role.STOP, Role.TARGET}


@pytest.mark.parametrize("mode", MODES)
def test_the_role_goes_from_the_strategy_to_order_gate_intent_and_file(mode: str) -> None:
    """Every way in which a strategy may give one, and the plain order without."""
    rows: list[dict[str, Any]] = []
    told: dict[str, tuple[Role, Role]] = {}

    class Giving(Plain):
        def on_book_deltas(self, deltas: Any) -> None:
            self.books += 1
            if self.books != 3:
                return
            factory = self.order_factory
            self.stop_limit(IID, OrderSide.BUY, qty(1), px(105), px(106), role=Role.ENTRY)
            self.submit_order(
                factory.limit(IID, OrderSide.BUY, qty(1), px(98), tags=[Role.QUOTE.tag])
            )
            self.submit_order(factory.limit(IID, OrderSide.BUY, qty(1), px(97)))
            for order in self.cache.orders():
                live = self._guard.gate.ledger.live[str(order.client_order_id)]
                sent = intent_of(order, 0)
                assert order_facts(order).role is live.role
                told[str(order.client_order_id)] = (live.role, sent.role)
            rows.extend(json.loads(line) for line in order_lines(self.cache).splitlines())

    run = MODES[mode](Run(Giving, plain_config(), steps=6))
    assert (run.codes(), run.state.faults) == ([], [])
    assert sorted(row["role"] for row in rows) == ["", "entry", "quote"]
    assert {row["client_order_id"]: (row["role"],) * 2 for row in rows} == told


@pytest.mark.parametrize("mode", MODES)
def test_a_closed_position_is_left_by_an_exit(mode: str) -> None:
    seen: list[str] = []

    class Closing(Plain):
        def on_book_deltas(self, deltas: Any) -> None:
            self.books += 1
            if self.books == 3:
                self.submit_order(self.order_factory.market(IID, OrderSide.BUY, qty(1)))
            if self.books == 6:
                self.market_exit()
                seen[:] = [json.loads(x)["role"] for x in order_lines(self.cache).splitlines()]

    run = MODES[mode](Run(Closing, plain_config(), steps=8))
    assert (run.codes(), run.state.faults) == ([], [])
    assert seen == ["", "exit"]


def test_the_journal_keeps_it_and_explain_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    journal = Journal(path, fsync=False, now_ns=lambda: 5_000)
    journal.intend([intent("A", ts_init=4_000, role=Role.STOP), intent("B", ts_init=4_000)])
    journal.close()
    assert [o.intent.role for o in Journal.reading(path).open_orders()] == [Role.STOP, Role.NONE]
    assert "as its stop; the risk gate" in explain("A", [path], None).lines[0].text
    assert "as its" not in explain("B", [path], None).lines[0].text


def test_a_journal_from_before_roles_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    journal = Journal(path, fsync=False, now_ns=lambda: 5_000)
    journal.intend([intent("A", side=Side.SELL, quantity=Decimal(2))])
    journal.close()
    with sqlite3.connect(path) as db:
        ((body,),) = db.execute("SELECT body FROM records WHERE kind = 'INTENT'").fetchall()
        fields = json.loads(body)
        assert fields.pop("role") == ""
        old = json.dumps(fields).encode()
        crc = record_crc(5_000, "INTENT", "A", old)
        db.execute("UPDATE records SET body = ?, crc = ? WHERE kind = 'INTENT'", (old, crc))
        db.execute("UPDATE orders SET intent = ?", (old,))
    db.close()
    journal = Journal(path, fsync=False, now_ns=lambda: 6_000)
    assert journal.problems() == []
    (order,) = journal.open_orders()
    assert order.intent == intent("A", side=Side.SELL, quantity=Decimal(2))
    journal.close()
