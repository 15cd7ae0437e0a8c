"""Whether a reduce-only order was cut to another position in one of run and replay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from fairlead.engine.research.columns import Row

AT_ONCE = frozenset({"IOC", "FOK"})
GIVEN_NS = 1000  # a replay gives commands so much later at most, one after another


def cut_of(row: Row, other: Row | None, rows: Sequence[Row]) -> str | None:
    """Why a reduce-only order that rests is smaller in one of both; None: it is not for that.

    `rows` are all of a run that cuts what fills.
    """
    is_one = row.get("reduce_only") and row["kind"] != "MARKET"
    if other is None or not is_one or row["time_in_force"] in AT_ONCE:
        return None
    cancels = [one["ts"] for one in row.get("asked") or () if one["what"] == "cancel"]
    # One of later has ended nothing, here or there
    is_ended, is_asked = (any(ts <= one["ts_last"] for ts in cancels) for one in (row, other))
    is_met = any(fill["ts_event"] == row["ts_last"] for fill in other["fills"])  # by no command
    is_its_own = row["status"] == "FILLED" and not is_asked
    if other["status"] == "CANCELED" and (is_its_own or _ended_itself(row, other)):
        return "the backtest ended it by a command: its position was smaller"
    if Decimal(other["quantity"]) < Decimal(row["quantity"]):
        return "the backtest cut it to its position by a command"
    is_cut = row["status"] == "CANCELED" and (is_met or not is_ended)
    if is_cut and rows and not _reducible(row, rows):
        return "the run cut it when it filled: its position was closed"
    return None


def _ended_itself(row: Row, other: Row) -> bool:
    """Whether the backtest gave a cancel that the run has not given."""
    given = [one["ts"] for one in row.get("asked") or () if one["what"] == "cancel"]
    given.append(row["ts_last"])  # of one that ended without
    return any(
        all(abs(one["ts"] - ts) > GIVEN_NS for ts in given)
        for one in other.get("asked") or ()
        if one["what"] == "cancel"
    )


def held_other(row: Row, other: Row, rows: Sequence[Row], others: Sequence[Row]) -> str | None:
    """Why a reduce-only order that takes at once got less in one of both: its strategy held just so
    much when it came, by orders that differ themselves. None: it is not for that."""
    if not row.get("reduce_only"):
        return None
    if row["kind"] != "MARKET" and row["time_in_force"] not in AT_ONCE:
        return None
    both = []
    for one, all_of in ((row, rows), (other, others)):
        before = [each for each in all_of if each is not one]
        held, unit = held_by(one, before, one["ts_accepted"] or one["ts_last"])
        both.append((filled_by(one, one["ts_last"]), held - held % unit, held))
    (less, most, held), (more, most_there, held_there) = sorted(both)
    if less == more or less != max(most, Decimal(0)) or most_there <= most:
        return None
    told = (f"{each.normalize():f}" for each in sorted((held, held_there)))
    return f"of {' and '.join(told)} in run and backtest that it was to reduce, by other orders"


def _reducible(row: Row, rows: Sequence[Row]) -> bool:
    """Whether its strategy held a whole unit for it to close when it ended, before that's fee."""
    held, unit = held_by(row, rows, row["ts_last"])
    return held >= unit


def held_by(row: Row, rows: Iterable[Row], until: int) -> tuple[Decimal, Decimal]:
    """What its strategy held for it to close at a time, before the fee of its own last fill then;
    and a unit of that."""
    held, unit = Decimal(0), Decimal(1)
    for one in rows:
        if (one["strategy"], one["instrument"]) != (row["strategy"], row["instrument"]):
            continue
        sign = 1 if one["side"] == "BUY" else -1
        for fill in (fill for fill in one["fills"] if fill["ts_event"] <= until):
            size = Decimal(fill["quantity"])
            held += sign * size
            unit = min(unit, Decimal(1).scaleb(int(size.as_tuple().exponent)))
            amount, _, currency = (fill["fee"] or "").partition(" ")
            is_last = one is row and fill["ts_event"] == until
            if currency and row["instrument"].startswith(currency) and not is_last:
                held -= Decimal(amount)  # in base currency: it is held no more
    return -held if row["side"] == "BUY" else held, unit


def filled_by(row: Row, ts: int) -> Decimal:
    sizes = (Decimal(one["quantity"]) for one in row["fills"] if one["ts_event"] <= ts)
    return sum(sizes, Decimal(0))
