"""What `fairlead kill` says of a venue that answers, and of the journal beside it."""

from __future__ import annotations

import gc
import json
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlead.adapters import registry
from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit
from fairlead.engine.kill.account import Market, Markets
from fairlead.engine.kill.command import VenueKill
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import (
    CancelAccepted,
    Intent,
    Kind,
    OrderRef,
    OrderState,
    Role,
    Side,
    VenueFill,
    VenueOrder,
)

BTC = "BTC_USDT.OCEANEX"
CONFIG = """
name = "kill"
[venues.oceanex]
adapter = "oceanex"
account = "main"
instruments = ["BTC_USDT.OCEANEX"]
[venues.oceanex.credentials]
uid = "env:NO_SUCH_UID"
private_key = "file:nowhere.pem"
[venues.oceanex.options]
http_url = "http://127.0.0.1:1"
"""


class Orders:
    """Cancels what it is asked to; `books` is what a run that lives does then."""

    def __init__(self, journal: Path, *, is_booked: bool) -> None:
        self._journal, self._is_booked = journal, is_booked

    async def cancel(self, refs: list[OrderRef]) -> list[CancelAccepted]:
        if self._is_booked:
            with closing(Journal(self._journal, fsync=False, now_ns=time.time_ns)) as journal:
                for ref in refs:
                    journal.state(str(ref.client_order_id), OrderState.CANCELED)
        return [CancelAccepted() for _ in refs]

    async def open_orders(self, _: object) -> list[VenueOrder]:
        return []

    async def orders(self, refs: list[OrderRef]) -> list[VenueOrder]:
        return [
            VenueOrder(
                venue_order_id=str(ref.venue_order_id),
                client_order_id=ref.client_order_id,
                instrument=ref.instrument,
                side=Side.BUY,
                kind=Kind.LIMIT,
                quantity=Decimal(1),
                filled=Decimal(0),
                price=Decimal(100),
                state=OrderState.CANCELED,
            )
            for ref in refs
        ]


class Answering:
    capabilities = registry.spec("oceanex").capabilities

    def __init__(self, orders: Orders) -> None:
        self.orders = orders

    async def connect(self) -> None: ...
    async def close(self) -> None: ...

    def markets(self) -> Markets:
        market = Market(
            base="BTC",
            quote="USDT",
            step=Decimal("0.001"),
            min_quantity=Decimal("0.01"),
            tick=Decimal("0.01"),
        )
        return Markets({BTC: market}, touch)


async def touch(name: str) -> tuple[Decimal, Decimal]:
    raise LookupError(name)


@pytest.mark.parametrize("is_booked", [False, True])
def test_a_kill_says_what_is_open_in_the_journal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_booked: bool
) -> None:
    """Without a run that books it, and with one."""
    config, state = tmp_path / "run.toml", tmp_path / "state"
    config.write_text(CONFIG)
    state.mkdir()
    path = state / "oceanex-main.journal.sqlite"
    with closing(Journal(path, fsync=False, now_ns=time.time_ns)) as journal:
        for name in ("A", "B"):
            one = Intent(
                client_order_id=name,
                strategy="S-1",
                instrument=BTC,
                side=Side.BUY,
                kind=Kind.LIMIT,
                quantity=Decimal(1),
                price=Decimal(100),
            )
            journal.intend([one])
            journal.accepted(name, f"V{name}", instrument=BTC)
    reached = Answering(Orders(path, is_booked=is_booked))
    monkeypatch.setattr(VenueKill, "_reached", lambda _: reached)
    done = CliRunner().invoke(app, ["kill", "all", "--config", str(config)])
    gc.enable()
    assert done.exit_code == Exit.OK, done.output
    told = "oceanex: 2 orders gone, 0 left"
    more = " (2 of them open in the journal until the run, or the next start, books the end)"
    assert f"{told}{'' if is_booked else more}; first cancel" in done.output
    asked = CliRunner().invoke(app, ["kill", "all", "--json", "--config", str(config)])
    gc.enable()
    (report,) = json.loads(asked.stdout)["venues"]
    assert report["unbooked"] == (0 if is_booked else 2)


class Account:
    """Its journal: each strategy has bought, and one of them has a stop under it."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "run.toml"
        self.config.write_text(CONFIG)
        (folder / "state").mkdir()
        self.path = folder / "state" / "oceanex-main.journal.sqlite"
        with closing(self.journal()) as journal:
            self.executed(journal, "S-1", Side.BUY, "0.5")
            self.executed(journal, "S-2", Side.BUY, "0.25")
            self.executed(journal, "S-3", Side.BUY, "0.0001")  # dust
            self.sent(journal, "STOP", "S-1", Side.SELL, "0.5", Role.STOP)

    def journal(self) -> Journal:
        return Journal(self.path, fsync=False, now_ns=time.time_ns)

    def sent(
        self, journal: Journal, name: str, strategy: str, side: Side, quantity: str, role: Role
    ) -> Intent:
        one = Intent(
            client_order_id=name,
            strategy=strategy,
            instrument=BTC,
            side=side,
            kind=Kind.LIMIT,
            quantity=Decimal(quantity),
            price=Decimal(100),
            role=role,
        )
        journal.intend([one])
        journal.accepted(name, f"V{name}", instrument=BTC)
        return one

    def executed(self, journal: Journal, strategy: str, side: Side, quantity: str) -> None:
        name = f"{strategy}-{side}-{quantity}"
        order = self.sent(journal, name, strategy, side, quantity, Role.NONE)
        fill = VenueFill(
            venue_order_id=f"V{name}",
            trade_id=name,
            instrument=BTC,
            side=side,
            quantity=Decimal(quantity),
            price=Decimal(100),
            fee=Decimal(0),
            fee_currency="USDT",
        )
        assert journal.fill(order, fill, Decimal(0))
        journal.state(name, OrderState.FILLED)

    def run_is_first(self, *, closes: bool) -> Answering:
        """What it does once the kill is in force, and before the command looks."""
        with closing(self.journal()) as journal:
            journal.state("STOP", OrderState.CANCELED)
            for strategy, held in (("S-1", "0.5"), ("S-2", "0.25"), ("S-3", "0.0001")):
                if closes:
                    journal.hand_over(strategy, KILL_STRATEGY, BTC, Decimal(100))
                    self.executed(journal, KILL_STRATEGY, Side.SELL, held)
        return Answering(Orders(self.path, is_booked=True))


def kill(account: Account, *more: str) -> str:
    done = CliRunner().invoke(app, ["kill", *more, "--config", str(account.config)])
    gc.enable()
    assert done.exit_code == Exit.OK, done.output
    return done.output


@pytest.mark.parametrize("is_first", [False, True])
def test_what_stays_without_its_stop_is_named_whoever_cancelled_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    account = Account(tmp_path)

    def reached(_: VenueKill) -> Answering:
        if is_first:
            return account.run_is_first(closes=False)
        return Answering(Orders(account.path, is_booked=True))

    monkeypatch.setattr(VenueKill, "_reached", reached)
    *lines, last = kill(account, "all").splitlines()
    assert f"{BTC} position 0.5 of S-1 stays: ITS STOP IS GONE" in lines
    assert f"{BTC} position 0.25 of S-2 stays" in lines
    assert not [line for line in lines if "S-3" in line], "no order is so small"
    told = "oceanex: 1 orders gone, 0 left"
    assert last.startswith(f"{told}; the run itself cancelled 1 of them" if is_first else told)
    assert "; 2 positions stay, 1 WITHOUT A STOP" in last
    again = kill(account, "all")
    assert "; 2 positions stay, 1 WITHOUT A STOP" in again, "whoever took it, and when"


def test_what_the_run_closed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account(tmp_path)
    monkeypatch.setattr(VenueKill, "_reached", lambda _: account.run_is_first(closes=True))
    *_, last = kill(account, "all", "--action", "flatten").splitlines()
    assert last == (
        "oceanex: 1 orders gone, 0 left; the run itself cancelled 1 of them; "
        f"the run itself sold 0.7501 of {BTC}"
    )


def test_what_the_kill_before_has_done_is_not_told_as_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(tmp_path)
    monkeypatch.setattr(VenueKill, "_reached", lambda _: account.run_is_first(closes=True))
    kill(account, "all", "--action", "flatten")
    again = Answering(Orders(account.path, is_booked=True))
    monkeypatch.setattr(VenueKill, "_reached", lambda _: again)
    assert "the run itself" not in kill(account, "all", "--action", "flatten")


def test_what_one_strategy_holds_is_not_told_of_another_s_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(tmp_path)
    account.config.write_text(f'{CONFIG}[[strategies]]\nid = "S-2"\npath = "x:Y"\n')
    monkeypatch.setattr(VenueKill, "_reached", lambda _: account.run_is_first(closes=False))
    output = kill(account, "strategy", "S-2")
    assert "oceanex: 0 orders gone, 0 left; 1 positions stay" in output
    assert "S-1" not in output
