"""The story of one order of a backtest or a paper run, from the files that the run wrote.

Read as plain JSON lines: that needs no venue, no journal, and no NautilusTrader.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fairlead.engine.errors import FairleadError

SUMMARY_FILE, ORDERS_FILE, DENIALS_FILE = "summary.json", "orders.jsonl", "denials.jsonl"
UNANSWERED = (
    "sent; the run ended before it was accepted: what the engine holds is, when its trigger fires"
)
_FAILED = 1  # exit code
_NO_DATA = 4  # exit code: not found


class Moment(msgspec.Struct, frozen=True):
    """What happened to the order, at UNIX nanoseconds of the recorded time."""

    ts_ns: int
    text: str


class BacktestStory(msgspec.Struct, frozen=True, kw_only=True):
    """`what` is the order in words; `run` names the run, `file` has the order's row."""

    client_order_id: str
    strategy: str
    what: str
    state: str
    run: str
    file: str
    lines: list[Moment]


def explain_backtest(order_id: str, folder: Path) -> BacktestStory | None:
    """The order with this client order id or execution id; None: the run has none such.

    The gate's refusals are looked at too. Raises FairleadError `RUN-DAMAGED` for a row that is not
    what a run writes.
    """
    needle = order_id.encode()
    for name, tell in ((ORDERS_FILE, _created), (DENIALS_FILE, _refused)):
        path = folder / name
        try:
            with path.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    if needle not in line:  # decoding each would take as long as the run did
                        continue
                    row = _decoded(line, path, number)
                    if order_id in _names(row):
                        return _told(tell, row, folder, path, number)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise FairleadError("RUN-UNREADABLE", f"{path}: {error.strerror}", _NO_DATA) from error
    return None


def _decoded(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _damaged(path, number, error) from error


def _damaged(path: Path, number: int, error: Exception) -> FairleadError:
    came = f"{type(error).__name__}: {error}"
    text = f"{path}:{number}: expected a row that a run writes, came {came}; run it again"
    return FairleadError("RUN-DAMAGED", text, _FAILED)


def _names(row: dict[str, Any]) -> list[Any]:
    fills = row.get("fills")
    trades = [one.get("trade_id") for one in fills or () if isinstance(one, dict)]
    return [row.get("client_order_id"), *trades]


def _told(tell: Any, row: dict[str, Any], folder: Path, path: Path, number: int) -> BacktestStory:
    try:
        lines = sorted(tell(row), key=lambda one: one.ts_ns)
        return BacktestStory(
            client_order_id=str(row["client_order_id"]),
            strategy=str(row["strategy"]),
            what=_what(row),
            state=_state(row),
            run=_run(folder),
            file=str(path),
            lines=lines,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, number, error) from error


def _what(row: dict[str, Any]) -> str:
    """Of an order that was never built (a modify of one that is gone) only the instrument."""
    if "side" not in row:
        return str(row["instrument"])
    first = (row.get("changes") or [row])[0]
    price = "" if first["price"] is None else f" @ {first['price']}"
    stop = "" if first["trigger_price"] is None else f", fires at {first['trigger_price']}"
    flags = "".join(
        f", {name}"
        for name, on in (
            (row.get("time_in_force"), row.get("time_in_force")),
            ("post-only", row.get("post_only")),
            ("reduce-only", row.get("reduce_only")),
            (f"as its {row['role']}", row["role"]),
            (f"exit of {row.get('entry')}", row.get("entry")),
            (f"makes room for {row.get('room_for')}", row.get("room_for")),
        )
        if on
    )
    what = f"{row['side']} {first['quantity']} {row['instrument']} {row['kind']}"
    return f"{what}{price}{stop}{flags}"


def _state(row: dict[str, Any]) -> str:
    if "code" in row:
        return f"refused by the risk gate: {row['code']}"
    return f"{row['status']}, {row['filled']} of {row['quantity']} filled"


def _run(folder: Path) -> str:
    """The run's name and inputs, as far as its summary can be read."""
    try:
        summary = msgspec.json.decode((folder / SUMMARY_FILE).read_bytes(), type=dict[str, Any])
        found = summary.get("assumptions") or {}
        return f"{summary['name']} ({summary['mode']}), inputs {found.get('inputs', 'not told')}"
    except (OSError, msgspec.MsgspecError, ValueError, KeyError, AttributeError, RecursionError):
        return f"its {SUMMARY_FILE} can't be read"


def _created(row: dict[str, Any]) -> Iterator[Moment]:
    market = _market(row.get("market"))
    yield Moment(_ns(row["ts_init"]), f"decided, and approved by the risk gate{market}")
    if row.get("ts_accepted"):
        yield Moment(_ns(row["ts_accepted"]), "accepted by the venue")
    for change in (row.get("changes") or [])[1:]:
        parts = [f"{name} {change[name]}" for name in ("quantity", "price", "trigger_price")]
        yield Moment(_ns(change["ts_event"]), f"changed: {', '.join(parts)}")
    for fill in row["fills"]:
        told = f"filled {fill['quantity']} @ {fill['price']} as {fill['liquidity'].lower()}"
        text = f"{told}, fee {fill['fee'] or 'none'}{_market(fill.get('market'))}"
        yield Moment(_ns(fill["ts_event"]), text)
    if row["status"] == "SUBMITTED":
        yield Moment(_ns(row["ts_last"]), UNANSWERED)
    elif row["status"] not in ("FILLED", "PARTIALLY_FILLED", "ACCEPTED"):
        reason = f": {row['reason']}" if row.get("reason") else ""
        text = f"{row['status']}{reason}{_market(row.get('market_at_end'))}"
        yield Moment(_ns(row["ts_last"]), text)


def _refused(row: dict[str, Any]) -> Iterator[Moment]:
    why = f"{row['code']}: {row['message']}{_market(row.get('market'))}"
    yield Moment(_ns(row["ts"]), f"refused by the risk gate: {why}")


def _ns(value: Any) -> int:
    """Raises ValueError for what is no time."""
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError(f"{value!r} is no time in UNIX nanoseconds")
    return value


def _market(top: dict[str, str] | None) -> str:
    if not top:
        return ""
    return f"; bid {top['bid']} x {top['bid_size']}, ask {top['ask']} x {top['ask_size']}"
