"""What earlier runs had left to a kept run: orders, and what of them was executed before it traded.

Its start books what was executed while nothing ran, and its strategies begin with that: so does a
replay, which plays none of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import InstrumentId

from fairlead.engine.observe.account import Account
from fairlead.engine.observe.table import shown
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.research.columns import Row
from fairlead.engine.research.merged import before
from fairlead.engine.research.runs import Run

OVER = frozenset({"CANCELED", "EXPIRED", "FILLED", "REJECTED"})
ZERO = Decimal(0)
Key = tuple[str, str]  # strategy, instrument


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """`opening`: what each strategy held, signed base units, when the start began to book. Rows of
    orders with executions that no replay plays: `booked` by the start, as of whose they are; and
    those that the run booked later of `over`, orders that it did not begin with at rest. `handed`:
    what went to a strategy otherwise, and when."""

    opening: Mapping[Key, Decimal] = {}
    booked: Sequence[Row] = ()
    over: Sequence[Row] = ()
    handed: Sequence[tuple[int, Key, Decimal]] = ()

    def unplayed(self) -> Iterator[tuple[Row, Row]]:
        """Each order with each of its executions."""
        for row in (*self.booked, *self.over):
            for fill in row["fills"]:
                yield row, fill

    def balance(self, instrument: str, base: str) -> Decimal:
        """What the start's executions brought to a cash account, signed base units."""
        rows = (row for row in self.booked if row["instrument"] == instrument)
        return sum((moved(row, fill, base) for row in rows for fill in row["fills"]), ZERO)

    def nets(self, marks: Mapping[str, Decimal], cache: Any) -> dict[str, tuple[str, Decimal, int]]:
        """By instrument the currency, what these executions brought of the run's net, and their
        count."""
        found: dict[str, Account] = {}
        for row, fill in self.unplayed():
            if (name := row["instrument"]) not in found:
                found[name] = Account(cache.instrument(InstrumentId.from_str(name)))
            amount, _, currency = (fill["fee"] or "0").partition(" ")
            size, price = Decimal(fill["quantity"]), Decimal(fill["price"])
            found[name].book(row["side"] == "BUY", size, price, Decimal(amount), currency)
        return {
            name: (one.quote, one.summary(marks.get(name)).net, one.fills)
            for name, one in found.items()
        }


def moved(row: Row, fill: Row, base: str | None) -> Decimal:
    """Signed base units; `base` is the currency whose fees are taken off, None: there is none."""
    amount, _, currency = (fill["fee"] or "0").partition(" ")
    size = Decimal(fill["quantity"])
    signed = size if row["side"] == "BUY" else -size
    return signed - (Decimal(amount) if currency == base else ZERO)


def sent(run: Run, names: Collection[str], unsent: Collection[str]) -> tuple[list[Row], Earlier]:
    """Those to compare, of the instruments in the config, and what is not of earlier runs."""
    start_ns = run.summary["start_ns"]
    rows, booked, over = list[Row](), list[Row](), list[Row]()
    for row in run.rows("orders"):
        if row["status"] in unsent or row["instrument"] not in names:
            continue
        whole = _whole(row)
        if row["ts_init"] >= start_ns:
            rows.append(whole)
            continue
        fills = [fill for fill in row["fills"] if _is_before(row, fill, start_ns)]
        booked.append({**whole, "fills": fills})
        left = _left(whole, fills)
        is_over = "changes" not in row or whole["ts_last"] < start_ns or _is_unknown(row)
        is_over = (is_over and row["status"] in OVER) or not Decimal(left["quantity"])
        (over if is_over else rows).append(left)
    shares = _shares(run) if any(one["strategy"] == KILL_STRATEGY for one in booked) else {}
    earlier = Earlier(
        opening=_openings(run.summary, names),
        booked=[part for row in booked for part in _by_strategy(row, shares)],
        over=over,
        handed=list(_handed(run, names)),
    )
    return rows, earlier


def _is_before(row: Row, fill: Row, start_ns: int) -> bool:
    """Whether an execution of an order of an earlier run was before this one traded. The start
    books it now where a venue tells a sum alone; of a run that was kept before that was told it is
    one of an order that it never had at rest."""
    is_told = fill.get("at_start", "changes" not in row)
    return bool(is_told) or fill["ts_event"] < start_ns


def _is_unknown(row: Row) -> bool:
    """Whether nobody could tell as the run began what became of it: nor when, afterwards, where a
    venue tells a sum alone."""
    return bool(row.get("unknown_at_start"))


def _left(row: Row, done: Sequence[Row]) -> Row:
    """Of an order of an earlier run what was left of it when this one began."""
    row = {**row, "fills": [fill for fill in row["fills"] if fill not in done]}
    size = before(row)
    left, *changes = (
        {**one, "quantity": format((Decimal(one["quantity"]) - size).normalize(), "f")}
        for one in (row, *row["changes"])
    )
    return {**left, "changes": changes}


def _whole(row: Row) -> Row:
    """Also of an order of an earlier run which ended while none ran: of that the journal alone
    knows, and not what NautilusTrader's cache knows of the others."""
    if "changes" in row:
        return row
    last = [row["ts_init"], row["ts_cancelled"] or 0, *(one["ts_event"] for one in row["fills"])]
    triggered = None if row["trigger_price"] is None else "LAST_PRICE"
    more = {"changes": [], "asked": [], "trigger_type": triggered, "ts_last": max(last)}
    return {**row, **more}


def _openings(summary: Mapping[str, Any], names: Collection[str]) -> dict[Key, Decimal]:
    rows = summary.get("strategies") or ()  # an older run told none
    return {
        (one["strategy"], one["instrument"]): quantity
        for one in rows
        if one["instrument"] in names and (quantity := Decimal(one.get("opening_position", 0)))
    }


def _shares(run: Run) -> dict[tuple[str, str], list[Row]]:
    """Whose each execution is, by order and trade: `parts` has them in the order of `fills`."""
    found: dict[tuple[str, str], list[Row]] = {}
    parts = iter([row for row in run.rows("parts") if row["is_fill"]])
    for fill in run.rows("fills"):
        shares = found.setdefault((fill["client_order_id"], fill["trade_id"]), [])
        left = Decimal(fill["quantity"])
        while left > 0 and (part := next(parts, None)) is not None:
            shares.append(part)
            left -= Decimal(part["quantity"])
    return found


def _by_strategy(row: Row, shares: Mapping[tuple[str, str], Sequence[Row]]) -> Iterator[Row]:
    """An order's executions, each of whoever had what it closed."""
    for fill in row["fills"]:
        parts = shares.get((row["client_order_id"], fill["trade_id"]))
        for part in parts or ():
            fee = f"{part['fee']} {part['fee_currency']}" if part["fee"] else None
            mine = {**fill, "quantity": part["quantity"], "fee": fee}
            yield {**row, "strategy": part["strategy"], "fills": [mine]}
        if not parts:
            yield {**row, "fills": [fill]}


def _handed(run: Run, names: Collection[str]) -> Iterator[tuple[int, Key, Decimal]]:
    if "parts.jsonl" not in run.manifest.files:  # an older run told none
        return
    for row in run.rows("parts"):
        if not row["is_fill"] and row["ts_event"] is not None and row["instrument"] in names:
            yield row["ts_event"], (row["strategy"], row["instrument"]), Decimal(row["moved"])


def notes(
    run: Run, earlier: Earlier, nets: Mapping[str, tuple[str, Decimal, int]], names: Iterable[str]
) -> Iterator[str]:
    """What is not compared of what was before the run, and how the run's net is told without it."""
    for one in run.summary["instruments"]:
        gain = Decimal(one.get("opening_gain", 0))
        if gain and one["instrument"] in names:
            yield (
                f"net: the run's is its net PnL less {shown(gain, signed=True)} {one['quote']}, "
                f"which the position in {one['instrument']} that it took over won beyond its cost"
            )
    unknown = sum(map(_is_unknown, earlier.over))
    if over := len(earlier.over) - unknown:
        yield f"{over} orders had ended when the run began: they are not compared"
    if unknown:
        yield f"{unknown} orders were of unknown outcome when the run began: they are not compared"
    for name, (quote, net, count) in nets.items():
        yield (
            f"net: the run's is its net PnL less {shown(net, signed=True)} {quote} of "
            f"{count} execution{'s' if count > 1 else ''} of orders of earlier runs in {name}, "
            "which no backtest plays: the replay begins with what they brought"
        )
