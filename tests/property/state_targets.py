"""What the project reads back from its own disk, and what a person puts there, as fuzz targets."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from nautilus_trader.model import (
    AggressorSide,
    InstrumentId,
    Price,
    Quantity,
    TradeId,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.adapters.base.venue import VenueError
from fairlead.adapters.oceanex.signing import load_key
from fairlead.adapters.simulation.mutation import BINARY, TEXT, TOML, Mutator
from fairlead.engine import secrets
from fairlead.engine.cli import killing
from fairlead.engine.cli.explain import _folders
from fairlead.engine.cli.simulate import _plan
from fairlead.engine.errors import FairleadError
from fairlead.engine.files import decoded
from fairlead.engine.kill.state import ALL, Action, Kill, KillState, Scope
from fairlead.engine.observe.backtest_story import explain_backtest
from fairlead.engine.observe.explain import explain
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.journal_check import all_problems, start_problem
from fairlead.engine.orders.model import Intent, Kind, OrderState, Side, VenueFill
from fairlead.engine.recording.commit import JOURNAL, redo
from fairlead.engine.recording.coverage import Seen
from fairlead.engine.recording.journal import AboutRun
from fairlead.engine.recording.parquet_rows import ParquetFault, parquet_rows
from fairlead.engine.recording.promote import Promoted
from fairlead.engine.risk.state import (
    CurrencyEquity,
    Halt,
    Held,
    RiskState,
    RiskStateError,
    RiskStateFile,
)
from fairlead.engine.risk.states import Clearing
from fairlead.engine.sessions.plan import draw
from tests.property.fuzzing import ROOT, Target
from tests.support.spy import sitecustomize as spy

_INSTRUMENT = "BTC_USDT.POLONIEX"


def quiet(call: Callable[[], Any], *errors: type[Exception]) -> Any:
    """The answer, or None where the parser refuses in its own words."""
    with contextlib.suppress(*errors):
        return call()
    return None


# -- journal --------------------------------------------------------------------------------------


def _journal(path: Path) -> tuple[Journal, list[bytes]]:
    """A journal with one order that is open and has one execution, and what it holds as JSON."""
    journal = Journal(path, fsync=False, now_ns=lambda: 1)
    intent = Intent(
        client_order_id="c1",
        strategy="s",
        instrument=_INSTRUMENT,
        side=Side.BUY,
        kind=Kind.LIMIT,
        quantity=Decimal("1.5"),
        price=Decimal("2"),
    )
    fill = VenueFill(
        venue_order_id="v1",
        trade_id="t1",
        instrument=_INSTRUMENT,
        side=Side.BUY,
        quantity=Decimal("0.5"),
        price=Decimal("2"),
        fee=Decimal("0.001"),
        fee_currency="BTC",
        ts_event=5,
    )
    journal.intend([intent])
    journal.accepted("c1", "v1", instrument=_INSTRUMENT, state=OrderState.OPEN)
    journal.fill(intent, fill, Decimal(0))
    return journal, [msgspec.json.encode(intent), msgspec.json.encode(fill), b"UNKNOWN", b"0.5"]


class JournalBodies:
    """A journal whose stored JSON was damaged: reading it gives orders or JournalError."""

    def __init__(self, folder: Path) -> None:
        self._journal, self.corpus = _journal(folder / "orders.db")
        self._db = sqlite3.connect(folder / "orders.db", isolation_level=None)
        self._db.execute("PRAGMA synchronous=OFF")

    def __call__(self, data: bytes) -> None:
        text = data.decode(errors="replace")
        column = ("intent", "state", "filled", "cost")[len(data) % 4]
        old = self._db.execute(f"SELECT {column} FROM orders").fetchone()[0]
        body = self._db.execute("SELECT body FROM fills").fetchone()[0]
        value = data if column == "intent" else text
        try:
            self._db.execute(f"UPDATE orders SET {column} = ?", (value,))
            self._db.execute("UPDATE fills SET body = ?", (data,))
            quiet(self._journal.open_orders, JournalError)
            quiet(lambda: self._journal.order("c1"), JournalError)
            quiet(lambda: self._journal.fills_of("c1"), JournalError)
            kind = ("REPLACE", "ACCEPTED", "REPLACED")[len(data) % 3]
            self._db.execute("UPDATE records SET kind = ?, body = ?", (kind, data))
            quiet(lambda: self._journal.replacements("c1"), JournalError)
        finally:
            self._db.execute(f"UPDATE orders SET {column} = ?", (old,))
            self._db.execute("UPDATE fills SET body = ?", (body,))


class DamagedJournal:
    """Any value in any column: the checks tell what is wrong and `explain` tells its story."""

    _COLUMNS = (
        *("records.body", "records.kind", "records.ts", "records.crc", "records.client_order_id"),
        *("orders.intent", "orders.state", "orders.filled", "orders.cost", "orders.ts_sent"),
        *("fills.body", "positions.quantity", "positions.crc", "meta.value"),
        *("venue_ids.venue_order_id", "orders.venue_order_id"),
    )

    def __init__(self, folder: Path) -> None:
        self._path = folder / "damaged.db"
        journal, self.corpus = _journal(self._path)
        journal.close()
        self._db = sqlite3.connect(self._path, isolation_level=None)
        self._db.execute("PRAGMA synchronous=OFF")
        rows = "SELECT body FROM records"
        self.corpus += [bytes(body) for (body,) in self._db.execute(rows)]
        assert start_problem(self._db) is None
        assert not all_problems(self._db, self._path)

    def __call__(self, data: bytes) -> None:
        table, _, column = self._COLUMNS[sum(data[:64]) % len(self._COLUMNS)].partition(".")
        value = (data, data.decode(errors="replace"), len(data))[len(data) % 3]
        self._db.execute("BEGIN")
        try:
            with contextlib.suppress(sqlite3.IntegrityError):
                self._db.execute(f"UPDATE {table} SET {column} = ?", (value,))
            quiet(lambda: start_problem(self._db), sqlite3.Error)
            all_problems(self._db, self._path)
        finally:
            self._db.execute("ROLLBACK")


class ToldOrder:
    """The story of an order out of a journal whose records hold anything."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "told.db"
        journal, self.corpus = _journal(self._path)
        journal.close()
        self._db = sqlite3.connect(self._path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=MEMORY")
        self._db.execute("PRAGMA synchronous=OFF")
        self._intent = self.corpus[0]

    def __call__(self, data: bytes) -> None:
        intent = data if len(data) % 2 else self._intent
        self._db.execute("UPDATE orders SET intent = ?", (intent,))
        self._db.execute("UPDATE records SET body = ?", (data,))
        name = "c1" if len(data) % 8 else data[:40].decode(errors="replace")
        quiet(lambda: explain(name, [self._path], None), FairleadError)


# -- kill switch, gate ----------------------------------------------------------------------------


def kill_files() -> list[bytes]:
    scopes = (ALL, Scope("venue", "oceanex"), Scope("strategy", "Maker-001"))
    return [
        msgspec.json.encode(Kill(scope=scope, action=action, reason="why", by="me", ts_ns=1))
        + b"\n"
        for scope in scopes
        for action in Action
    ]


class KillFile:
    """Whatever a kill file holds, something is in force: it is never taken for no kill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "kills"
        self._folder.mkdir()

    def __call__(self, data: bytes) -> None:
        (self._folder / ALL.file_name).write_bytes(data)
        state = KillState(self._folder, {"oceanex": "main"})
        assert state.in_force()
        if state.in_force()[0].scope.kind == "all":
            assert state.of_order("Maker-001", "BTC_USDT.OCEANEX") is not None


def risk_file(folder: Path, data: bytes) -> None:
    path = folder / "risk.json"
    path.write_bytes(data)
    quiet(lambda: RiskStateFile(path).load(), RiskStateError)


def risk_corpus() -> list[bytes]:
    held = Held(quantity=Decimal("-0.5"), mark=Decimal(100), currency="USDT")
    full = RiskState(
        halt=Halt(reason="loss", ts_ns=5, code="R-LOSS"),
        equity={"USDT": CurrencyEquity(cash=Decimal("1.5"), peak=Decimal(3))},
        held={_INSTRUMENT: held},
        losses={"s": [1, 2]},
        cooldowns={"s": 9},
    )
    return [msgspec.json.encode(full), msgspec.json.encode(RiskState())]


def own_file(data: bytes) -> None:
    """The small files that a recording and a halt's end keep: damage is none of them."""
    for kind in (dict[str, int], Seen, AboutRun, Promoted, Clearing):
        assert decoded(data, kind) is None or data


class CommitPlan:
    """A plan of file changes that was damaged: nothing outside its catalog is touched."""

    def __init__(self, folder: Path) -> None:
        self._catalog = folder / "within" / "catalog"
        self._outside = folder / "within" / "outside"
        (self._catalog / JOURNAL).mkdir(parents=True)
        self._outside.write_bytes(b"x")

    def __call__(self, data: bytes) -> None:
        (self._catalog / JOURNAL / "commit.json").write_bytes(data)
        quiet(lambda: redo(self._catalog), OSError, ValueError)
        assert self._outside.exists()

    corpus: ClassVar[list[bytes]] = [
        b'{"moves":[["journal/stage/a","data/a"]],"deletes":["data/b"]}',
        b'{"moves":[["../outside","data/a"]],"deletes":["../outside"]}',
        b'{"moves":[],"deletes":[]}',
    ]


def kill_config(folder: Path, data: bytes) -> None:
    """`fairlead kill` reads what it needs of a config that may be wrong elsewhere."""
    path = folder / "killing.toml"
    path.write_bytes(data)
    quiet(lambda: killing._read(path), FairleadError)


def backtest_corpus() -> list[bytes]:
    """Rows as a run writes them, of an order and of a refusal."""
    top = {"bid": "1", "bid_size": "2", "ask": "3", "ask_size": "4"}
    order = {
        "client_order_id": "X",
        "strategy": "S-1",
        "instrument": _INSTRUMENT,
        "side": "BUY",
        "kind": "LIMIT",
        "role": "quote",
        "quantity": "1",
        "price": "2",
        "trigger_price": None,
        "time_in_force": "GTC",
        "status": "CANCELED",
        "filled": "0.5",
        "ts_init": 1,
        "ts_accepted": 2,
        "ts_last": 5,
        "reason": "r",
        "market": top,
        "market_at_end": top,
        "changes": [{"quantity": "1", "price": "2", "trigger_price": None, "ts_event": 3}] * 2,
        "fills": [
            {
                "trade_id": "T",
                "quantity": "0.5",
                "price": "2",
                "fee": "1 USDT",
                "liquidity": "MAKER",
                "ts_event": 4,
                "market": top,
            }
        ],
    }
    return [
        msgspec.json.encode(row) for row in (order, {**order, "code": "C", "message": "m", "ts": 6})
    ]


def backtest_order(folder: Path, data: bytes) -> None:
    """The order is asked for by the id that its row has, whatever else is in it."""
    for name, other in (("orders.jsonl", "denials.jsonl"), ("denials.jsonl", "orders.jsonl")):
        (folder / name).write_bytes(data)
        (folder / other).unlink(missing_ok=True)
        quiet(lambda: explain_backtest("X", folder), FairleadError)
    (folder / "summary.json").write_bytes(data)


def explain_config(folder: Path, data: bytes) -> None:
    """`fairlead explain` needs only two tables of it."""
    path = folder / "explain.toml"
    path.write_bytes(data)
    quiet(lambda: _folders(path), FairleadError)


# -- credentials ----------------------------------------------------------------------------------


class SecretFile:
    """A damaged key file gives a secret or an error that holds none of it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "key"
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        formats = (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
        self.corpus = [key.private_bytes(Encoding.PEM, form, NoEncryption()) for form in formats]
        self.corpus.append(b"ABCDEFGH-IJKLMNOP\n")
        self._lines = {line for pem in self.corpus for line in pem.decode().splitlines()[1:-1]}

    def __call__(self, data: bytes) -> None:
        with spy.muted():
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        self._path.write_bytes(data)
        self._path.chmod(0o600)
        known = set(secrets._known)
        try:
            for kind in ("text", "pem"):
                try:
                    secret = secrets.read_secret("file:key", self._path.parent, kind=kind)
                    if kind == "pem" and len(data) % 256 == 0:  # it signs: that takes 1 ms
                        load_key(secret)
                except (secrets.SecretError, VenueError) as error:
                    told = str(error)
                    assert not any(line in told for line in self._lines), "it tells the key"
        finally:
            secrets._known.clear()  # what it has read stays in the list for the process' life
            secrets._known.update(known)


# -- catalog --------------------------------------------------------------------------------------


def parquet_files(folder: Path) -> list[bytes]:
    """The files of a catalog as NautilusTrader writes it."""
    root = folder / "catalog"
    root.mkdir()
    instrument = InstrumentId.from_str(_INSTRUMENT)
    side = AggressorSide.BUY
    tick = TradeTick(instrument, Price(1, 0), Quantity(1, 0), side, TradeId("1"), 1, 1)
    ParquetDataCatalog(str(root)).write_trade_ticks([tick])
    return [path.read_bytes() for path in root.rglob("*.parquet")]


_LISTS = (b"\xf1\xff\xff\xff\xff\xff\x7f", b"\xf7\xff\xff\xff\x0f", b"\x19", b"\x1c", b"\xff", b"")


def footer(m: Mutator, data: bytes) -> bytes:
    """Damage inside of the footer, whose length stays true."""
    length = int.from_bytes(data[-8:-4], "little")
    inner = bytearray(data[-8 - length : -8] or b"\x00")
    for _ in range(1 + m.below(3)):
        at = m.below(len(inner))
        inner[at : at + m.below(3)] = m.pick(_LISTS)
        inner = inner or bytearray(b"\x00")
    return b"PAR1" + bytes(inner) + len(inner).to_bytes(4, "little") + b"PAR1"


def parquet_file(folder: Path, data: bytes) -> None:
    path = folder / "one.parquet"
    path.write_bytes(data)
    rows = quiet(lambda: parquet_rows(path), ParquetFault)
    assert rows is None or rows >= 0


# -- plans ----------------------------------------------------------------------------------------


def plan_file(folder: Path, data: bytes) -> None:
    import typer

    path = folder / "plan.json"
    path.write_bytes(data)
    quiet(lambda: _plan(path, [], []), typer.BadParameter)


def plan_corpus() -> list[bytes]:
    drawn = [msgspec.json.encode(draw(seed, "oceanex")) for seed in range(6)]
    return [*drawn, *(p.read_bytes() for p in sorted((ROOT / "tests/data/seeds").glob("*.json")))]


def state_targets(folder: Path) -> Iterator[Target]:
    bodies, damaged, told = JournalBodies(folder), DamagedJournal(folder), ToldOrder(folder)
    yield Target(name="journal", corpus=bodies.corpus, feed=bodies, inputs=4_000)
    yield Target(name="journal-check", corpus=damaged.corpus, feed=damaged, inputs=2_000)
    yield Target(name="explain", corpus=told.corpus, feed=told, inputs=2_000)
    yield Target(name="kill-file", corpus=kill_files(), feed=KillFile(folder), inputs=10_000)
    yield Target(
        name="risk-state", corpus=risk_corpus(), feed=partial(risk_file, folder), inputs=10_000
    )
    plans = CommitPlan(folder)
    yield Target(name="commit-plan", corpus=plans.corpus, feed=plans, inputs=4_000)
    yield Target(
        name="own-file",
        corpus=[
            msgspec.json.encode(one)
            for one in (
                {"a": 1},
                Seen(instruments={_INSTRUMENT: 5}),
                Clearing(halt_ts_ns=1, reason="r", by="b", ts_ns=2),
            )
        ],
        feed=own_file,
        inputs=10_000,
    )
    tables = [b'[run]\nstate_dir = "state"\n[venues.oceanex]\naccount = "main"\n']
    yield Target(
        name="kill-config",
        corpus=tables,
        feed=partial(kill_config, folder),
        mutations=TOML,
        inputs=4_000,
    )
    yield Target(
        name="backtest-order",
        corpus=backtest_corpus(),
        feed=partial(backtest_order, folder),
        inputs=2_000,
    )
    yield Target(
        name="explain-config",
        corpus=[*tables, b'[record]\ndir = "data"\nraw = true\n'],
        feed=partial(explain_config, folder),
        mutations=TOML,
        inputs=2_000,
    )
    yield Target(
        name="parquet-footer",
        corpus=parquet_files(folder),
        feed=partial(parquet_file, folder),
        mutations=(footer, *BINARY),
        inputs=10_000,
    )
    key = SecretFile(folder)
    yield Target(name="secret-file", corpus=key.corpus, feed=key, mutations=TEXT, inputs=2_000)
    yield Target(name="plan", corpus=plan_corpus(), feed=partial(plan_file, folder), inputs=10_000)
