"""A run as tables: plain rows, made once when it ends, from its orders, fills and prices.

See `fairlead.engine.research.columns`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from fairlead.engine.observe.account import Account, InstrumentSummary
from fairlead.engine.observe.equity import crossed
from fairlead.engine.observe.journaled import Booked
from fairlead.engine.orders.journal_reads import JournaledOrder
from fairlead.engine.orders.model import Side, VenueFill
from fairlead.engine.orders.taken_over import Handed, Share
from fairlead.engine.recording.gaps import GapRow
from fairlead.engine.research.columns import COLUMNS, HORIZONS_SECS, NOT_TOLD, Row
from fairlead.engine.research.holes import Holes, cut, holes, within
from fairlead.engine.research.marks import SECOND_NS, Marks
from fairlead.engine.risk.view import instrument_facts

ZERO = Decimal(0)


class Traded(msgspec.Struct, frozen=True, kw_only=True):
    """What the tables are made of. `instruments` are NautilusTrader's by id, `started` the balances
    of each venue's account at the start by currency, `margin` the venues with such accounts (but
    those that tell balances as if positions had been paid for), `opening` what strategies held at
    the start: signed base units and their cost by the journal, by strategy and instrument;
    `counted` the executions (order and trade id) of the run that `started` has already; `shares`
    whose those of a kill are, by order and trade id, and `handed` what it took over for good."""

    orders: list[Row]  # as orders.jsonl has them
    denials: list[Row]
    instruments: Mapping[str, Any]
    started: Mapping[str, Mapping[str, Decimal]]
    margin: frozenset[str] = frozenset()
    opening: Sequence[tuple[tuple[str, str], tuple[Decimal, Decimal]]] = ()
    counted: frozenset[tuple[str, str]] = frozenset()
    shares: Mapping[tuple[str, str], Sequence[Share]] = {}
    handed: Sequence[Handed] = ()


def tables(
    traded: Traded, marks: Marks, gaps: Iterable[GapRow], end_ns: int, *, is_read: bool = False
) -> dict[str, list[Row]]:
    """Every table of `COLUMNS`, by name; `is_read`: the run read its data from a recording."""
    marks.finish(end_ns)
    gaps = list(gaps)
    lacks = holes(gaps, traded.instruments.keys() - marks.by_book, is_read=is_read)
    for name in lacks.keys() & marks.samples.keys():
        marks.samples[name] = cut(marks.samples[name], lacks[name])
    fills = list(_fills(traded, marks, lacks))
    return {
        "orders": traded.orders,
        "fills": fills,
        "parts": list(_parts(traded, fills)),
        "denials": traded.denials,
        "marks": [
            {"ts": top.ts, "instrument": name, "bid": _price(top.bid), "ask": _price(top.ask)}
            for name, tops in sorted(marks.samples.items())
            for top in tops
        ],
        "equity": list(_equity(traded, fills, marks)),
        "positions": list(_positions(traded, fills)),
        "latencies": [_latency(row) for row in traded.orders],
        "gaps": [msgspec.to_builtins(row) for row in gaps],
    }


def _price(price: Any) -> str | None:
    return None if price is None else str(price)


def _fills(traded: Traded, marks: Marks, lacks: Holes) -> Iterator[Row]:
    found = []
    for order in traded.orders:
        known = traded.instruments.get(order["instrument"])
        market = order.get("market")
        mid = None if market is None else (Decimal(market["bid"]) + Decimal(market["ask"])) / 2
        for index, fill in enumerate(order["fills"]):
            amount, _, currency = (fill["fee"] or "").partition(" ")
            spans = lacks.get(order["instrument"], ())
            after = {
                secs: mid
                for secs, mid in marks.after.get(
                    f"{order['client_order_id']}/{fill['trade_id']}", {}
                ).items()
                if not within(spans, fill["ts_event"] + secs * SECOND_NS)
            }
            row = {
                "ts_event": fill["ts_event"],
                **{name: order[name] for name in ("client_order_id", "strategy", "instrument")},
                "trade_id": fill["trade_id"],
                **{name: order[name] for name in ("side", "kind")},
                **{name: fill[name] for name in ("quantity", "price", "liquidity")},
                "fee": amount or None,
                "fee_currency": currency or None,
                "mid_decided": _text(mid),
                "queue_ns": _since(order["ts_accepted"], fill["ts_event"]),
                **_moved(order["side"] == "BUY", fill, amount, currency, known),
                **{f"mid_{secs}s": _text(after.get(secs)) for secs in HORIZONS_SECS},
            }
            place = (fill["ts_event"], order["ts_init"], order["client_order_id"], index)
            found.append((place, row))
    for _, row in sorted(found, key=lambda one: one[0]):
        yield {name: row[name] for name in COLUMNS["fills"]}


def _moved(buying: bool, fill: Row, fee: str, currency: str, instrument: Any) -> Row:
    """What a fill moved, in base and in quote."""
    if instrument is None:
        return dict.fromkeys(("quote", "value", "moved", "cash", "least"))
    account = Account(instrument)
    quantity, paid, price = Decimal(fill["quantity"]), Decimal(fee or 0), Decimal(fill["price"])
    account.book(buying, quantity, price, paid, currency or account.quote)
    # what a position brought is the sum: of an inverse contract what it was worth less
    cash = account.turnover * (-1 if buying != account.is_inverse else 1)
    if currency == account.quote:
        cash -= paid
    elif account.position == (quantity if buying else -quantity):  # a contract's in its base
        cash -= account.fees_value
    told = {"value": account.turnover, "moved": account.position, "cash": cash}
    told["least"] = instrument_facts(instrument).least_at(price)
    return {"quote": account.quote, **{name: _text(value) for name, value in told.items()}}


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _since(begin: int | None, end: int | None) -> int | None:
    return end - begin if begin and end else None


def _latency(order: Row) -> Row:
    first = min((fill["ts_event"] for fill in order["fills"]), default=None)
    begin = order["ts_init"]
    return {
        "ts_init": begin,
        "client_order_id": order["client_order_id"],
        "sent_ns": _since(begin, order.get("ts_sent")),
        "accepted_ns": _since(begin, order["ts_accepted"]),
        "first_fill_ns": _since(begin, first),
    }


def _book(account: Account, fill: Row) -> None:
    account.book(
        fill["side"] == "BUY",
        Decimal(fill["quantity"]),
        Decimal(fill["price"]),
        Decimal(fill["fee"] or 0),
        fill["fee_currency"] or account.quote,
    )


class _Held:
    """Strategies' positions, from what they held at the start on."""

    def __init__(self, traded: Traded) -> None:
        self._instruments = traded.instruments
        self._accounts: dict[tuple[str, str], Account] = {}
        for key, (quantity, cost) in traded.opening:
            if key[1] in traded.instruments:
                account = self.account(*key)
                account.open(quantity, account.cost_of(quantity, cost))

    def opened(self) -> Iterator[Row]:
        for strategy, name in sorted(self._accounts):
            yield self.row(None, strategy, name)

    def account(self, strategy: str, name: str) -> Account:
        key = strategy, name
        if key not in self._accounts:
            self._accounts[key] = Account(self._instruments[name])
        return self._accounts[key]

    def row(self, ts: int | None, strategy: str, name: str) -> Row:
        account = self.account(strategy, name)
        told = account.summary(None)
        return {
            "ts": ts,
            "strategy": strategy,
            "instrument": name,
            "position": _text(told.position),
            "average": _text(round(account.average, 12)),
            "realized": _text(told.realized),
            "fees": _text(told.fees_value),
        }

    def handed(self, one: Handed) -> Iterator[Row]:
        over = one.over
        for strategy, quantity in ((over.giver, -over.quantity), (over.taker, over.quantity)):
            self.account(strategy, one.instrument).hand(quantity, over.price)
            yield self.row(one.ts, strategy, one.instrument)


def _positions(traded: Traded, fills: Iterable[Row]) -> Iterator[Row]:
    """A row of what each held at the start (no time), at its cost by the journal, then after each
    fill, and of each who gave or got at a hand-over."""
    held = _Held(traded)
    yield from held.opened()
    handed = sorted(traded.handed, key=lambda one: one.ts, reverse=True)
    for fill in fills:
        while handed and handed[-1].ts <= fill["ts_event"]:
            yield from held.handed(handed.pop())
        if (name := fill["instrument"]) not in traded.instruments:
            continue
        whole = Share(fill["strategy"], Decimal(fill["quantity"]), Decimal(fill["fee"] or 0))
        of = traded.shares.get((fill["client_order_id"], fill["trade_id"]), (whole,))
        for one in of:
            part = {"quantity": one.quantity, "fee": one.fee}
            _book(held.account(one.strategy, name), {**fill, **part})
            yield held.row(fill["ts_event"], one.strategy, name)
    while handed:
        yield from held.handed(handed.pop())


def _parts(traded: Traded, fills: Iterable[Row]) -> Iterator[Row]:
    """Rows of `parts`; of which of a run in which each fill is its order's strategy's, from nothing
    on, there are none."""
    if not (any(held for _, (held, _) in traded.opening) or traded.shares or traded.handed):
        return
    for (strategy, name), (quantity, cost) in traded.opening:
        if quantity and name in traded.instruments:
            held = Account(traded.instruments[name])
            held.open(quantity, held.cost_of(quantity, cost))
            yield _standing(None, strategy, name, held, quantity)
    handed = sorted(traded.handed, key=lambda one: one.ts, reverse=True)
    for fill in fills:
        while handed and handed[-1].ts <= fill["ts_event"]:
            yield from _handed(traded, handed.pop())
        whole = Share(fill["strategy"], Decimal(fill["quantity"]), Decimal(fill["fee"] or 0))
        for one in traded.shares.get((fill["client_order_id"], fill["trade_id"]), (whole,)):
            part = {**fill, "quantity": _text(one.quantity), "fee": _text(one.fee)}
            known = traded.instruments.get(fill["instrument"])
            currency = fill["fee_currency"] or ""
            moved = _moved(fill["side"] == "BUY", part, part["fee"] or "", currency, known)
            row = {**part, **moved, "strategy": one.strategy, "is_fill": True}
            yield {name: row[name] for name in COLUMNS["parts"]}
    while handed:
        yield from _handed(traded, handed.pop())


def _handed(traded: Traded, one: Handed) -> Iterator[Row]:
    over = one.over
    if one.instrument not in traded.instruments:
        return
    for strategy, quantity in ((over.giver, -over.quantity), (over.taker, over.quantity)):
        held = Account(traded.instruments[one.instrument])
        held.open(quantity, held.cost_of(quantity, quantity * over.price))
        yield _standing(one.ts, strategy, one.instrument, held, quantity)


def _standing(ts: int | None, strategy: str, name: str, held: Account, quantity: Decimal) -> Row:
    """A position that no fill brought: at its cost."""
    cash = held.cash
    return {
        "ts_event": ts,
        "strategy": strategy,
        "instrument": name,
        "side": "BUY" if quantity > 0 else "SELL",
        "quantity": _text(abs(quantity)),
        "fee": None,
        "fee_currency": None,
        "quote": held.quote,
        "value": _text(abs(cash)),
        "moved": _text(quantity),
        "cash": _text(cash),
        "least": _text(instrument_facts(held.instrument).least),
        "is_fill": False,
    }


class _Group:
    """The instruments of one venue with one quote currency, and what the account began with."""

    others: Sequence[_Group] = ()  # of the same venue

    def __init__(self, venue: str, quote: str, started: Mapping[str, Decimal], margin: bool):
        self.venue, self.quote = venue, quote
        self.accounts: dict[str, Account] = {}
        self.opened: dict[str, Account] = {}  # what was held at the start, nothing else
        self.first: dict[str, Decimal] = {}
        self.marks: dict[str, Decimal] = {}
        self._started, self._margin = started, margin

    def row(self, ts: int) -> Row | None:
        """None: not every instrument has a price yet."""
        if len(self.marks) < len(self.accounts):
            return None
        if not self.first:
            self.first = dict(self.marks)
        kept = self._kept(self.marks)
        mine = self.told()
        pnl = sum((one.net for one in mine), ZERO)
        bases = {} if self._margin else self._bases(self.marks)
        others = [one for group in self.others for one in group.told() if one.fills]
        if (more := crossed(self.quote, bases, mine, others)) is None:
            return None
        grown = sum((self._grown(name, price) for name, price in self.first.items()), ZERO)
        held = self._kept(self.first) * grown / len(self.first)
        numbers = {"equity": kept + pnl + more, "pnl": pnl, "crossed": more, "kept": kept}
        numbers["held"] = round(held, 8)
        told = {name: _text(number) for name, number in numbers.items()}
        return {"ts": ts, "venue": self.venue, "currency": self.quote, **told}

    def told(self) -> list[InstrumentSummary]:
        """What the run has traded, at the marks of now."""
        return [one.summary(self.marks.get(name)) for name, one in self.accounts.items()]

    def _bases(self, marks: Mapping[str, Decimal]) -> dict[str, Decimal]:
        return {one.base: marks[name] for name, one in self.accounts.items()}

    def _grown(self, name: str, first: Decimal) -> Decimal:
        """What one of the currency became: an inverse contract won what it was worth less."""
        if self.accounts[name].is_inverse:
            return 2 - first / self.marks[name]
        return self.marks[name] / first

    def _kept(self, marks: Mapping[str, Decimal]) -> Decimal:
        worth = self._started.get(self.quote, ZERO)
        if self._margin:  # what is open has won is in no balance
            worth += sum((one.summary(marks[name]).net for name, one in self.opened.items()), ZERO)
        else:
            bases = self._bases(marks).items()
            worth += sum((self._started.get(base, ZERO) * at for base, at in bases), ZERO)
        return worth


def _begun(traded: Traded, fills: Iterable[Row]) -> dict[str, defaultdict[str, Decimal]]:
    """What accounts began with, but for what executions of the run had moved by then: made while
    nothing ran, they were booked before balances were read, and are in `pnl` like any other."""
    found = {venue: defaultdict(Decimal, one) for venue, one in traded.started.items()}
    held: dict[str, Account] = {}
    for fill in fills:
        name, quote = fill["instrument"], fill["quote"]
        balances = found.get(name.rpartition(".")[2])
        known = (fill["client_order_id"], fill["trade_id"]) in traded.counted
        if not known or quote is None or balances is None:
            continue
        if name.rpartition(".")[2] not in traded.margin:
            balances[quote] -= Decimal(fill["cash"])
            balances[Account(traded.instruments[name]).base] -= Decimal(fill["moved"])
            continue
        if name not in held:
            held[name] = _opened(traded, name)
        _book(held[name], fill)
        if fill["fee_currency"] == quote:
            balances[quote] += Decimal(fill["fee"])
    for name, account in held.items():
        found[name.rpartition(".")[2]][account.quote] -= account.summary(None).realized
    return found


def _opened(traded: Traded, name: str) -> Account:
    """With what was held at the start of an instrument, and nothing else."""
    held = Account(traded.instruments[name])
    for (_, instrument), (quantity, cost) in traded.opening:
        if instrument == name:
            held.open(quantity, held.cost_of(quantity, cost))
    return held


def _groups(traded: Traded, fills: Iterable[Row]) -> dict[str, _Group]:
    """By instrument; those of one venue and quote currency share one."""
    groups: dict[str, _Group] = {}
    begun = _begun(traded, fills)
    by_group: dict[tuple[str, str], _Group] = {}
    for name, instrument in traded.instruments.items():
        venue, account = name.rpartition(".")[2], Account(instrument)
        key = (venue, account.quote)
        if key not in by_group:
            started: Mapping[str, Decimal] = begun.get(venue, {})
            by_group[key] = _Group(venue, account.quote, started, venue in traded.margin)
        groups[name] = by_group[key]
        groups[name].accounts[name] = account
        groups[name].opened[name] = _opened(traded, name)
    for key, group in by_group.items():
        group.others = [by_group[one] for one in by_group if one != key and one[0] == key[0]]
    return groups


def _equity(traded: Traded, fills: Sequence[Row], marks: Marks) -> Iterator[Row]:
    """At each sampled price; what has none meanwhile counts at its last."""
    groups = _groups(traded, fills)
    at: defaultdict[int, list[tuple[str, Decimal]]] = defaultdict(list)
    for name, tops in marks.valued().items():
        for top in tops:
            at[top.ts].append((name, top.mid))
    booked = 0
    end = max(at, default=0)
    for ts in sorted(at):  # the last has every fill: a venue's clock may be ahead of ours
        while booked < len(fills) and (ts == end or fills[booked]["ts_event"] <= ts):
            fill = fills[booked]
            booked += 1
            if (group := groups.get(fill["instrument"])) is not None:
                _book(group.accounts[fill["instrument"]], fill)
        moved = []
        for name, mid in at[ts]:
            if (group := groups.get(name)) is not None:
                group.marks[name] = mid
                moved.append(group)
        for group in dict.fromkeys(moved):
            if (row := group.row(ts)) is not None:
                yield row


def journaled_rows(booked: Booked) -> list[Row]:
    """Orders of a live run, of which the journal tells, as orders.jsonl has them."""
    by_order: defaultdict[str, list[tuple[VenueFill, bool]]] = defaultdict(list)
    for at, (name, fill) in enumerate(booked.fills):
        by_order[name].append((fill, at < booked.counted))
    names = [(one, one.intent.client_order_id) for one in booked.orders]
    rows = [
        _journaled(one, by_order[name])
        | {"reason": booked.reasons.get(name), "ts_cancelled": booked.cancelled.get(name)}
        | {"unknown_at_start": name in booked.unproven}
        for one, name in names
    ]
    return sorted(rows, key=lambda row: (row["ts_init"], row["client_order_id"]))


def _journaled(order: JournaledOrder, fills: Iterable[tuple[VenueFill, bool]]) -> Row:
    one = order.intent
    is_open = order.state.status == "ACCEPTED" and order.filled
    return {
        "client_order_id": one.client_order_id,
        "strategy": one.strategy,
        "instrument": one.instrument,
        "side": "BUY" if one.side is Side.BUY else "SELL",
        "kind": one.kind.value,
        "role": one.role.value,
        "quantity": _text(one.quantity),
        "price": _text(one.price),
        "trigger_price": _text(one.trigger_price),
        "time_in_force": one.time_in_force.value,
        "post_only": one.post_only,
        "reduce_only": one.reduce_only,
        "status": "PARTIALLY_FILLED" if is_open else order.state.status,
        "filled": _text(order.filled),
        "ts_init": one.ts_init,
        "ts_sent": order.ts_sent,
        "ts_accepted": None,
        "ts_last": None,
        "reason": None,
        "fills": [
            {
                "trade_id": fill.trade_id,
                "quantity": _text(fill.quantity),
                "price": _text(fill.price),
                "fee": f"{fill.fee:f} {fill.fee_currency}",
                "liquidity": {True: "MAKER", False: "TAKER", None: NOT_TOLD}[fill.is_maker],
                "ts_event": fill.ts_event,
                "synthetic": fill.synthetic,  # by an order's sum, and not one of its executions
                "at_start": at_start,  # the start booked it: it was executed while nothing ran
            }
            for fill, at_start in fills
        ],
    }
