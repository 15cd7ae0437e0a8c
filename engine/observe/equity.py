"""What an account was worth at the start and at the end of a run, and how its balances moved.

The same in every mode: by the account that the run traded on, live the venue's own, on paper and in
a backtest the simulated one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import AccountType, Venue

from fairlead.engine.currencies import currency, money
from fairlead.engine.observe.account import InstrumentSummary, moved

ZERO = Decimal(0)
ROUNDINGS = 2  # of a balance with a fill: its result and its fee


class Equity(msgspec.Struct, frozen=True, kw_only=True):
    """Worth in one quote currency, at the marks of the end.

    `end` is the account's balance of the currency with what it holds of the instruments that are
    quoted in it: base currency at its mark (cash), or open profit and loss (margin). `change` is
    what the run's executions moved of these, and `start` what the account was worth without
    them: what was held at the start at the marks of the end, what was deposited meanwhile included.
    A position that a live run took over is held at the start, at the same marks: what it is worth
    beyond its cost by the journal is `taken_over`, and no part of `change`. `crossed` is the part
    of `change` that is in no net of this currency: what instruments of other quote currencies moved
    of the same balances (ETH_BTC those of BTC and ETH), and fees that were taken from them. Net
    profit and loss, which is measured from that cost, is `change` - `crossed` + `taken_over`.

    A simulated account starts with what the config says. Its balances are rounded with each fill,
    `change` is exact: `end` is `start` + `change` + `rounding`. NautilusTrader's own balance is not
    used where an inverse contract settles in the currency: it takes the arithmetic mean of entries.
    """

    start: Decimal
    end: Decimal
    change: Decimal
    taken_over: Decimal = ZERO
    crossed: Decimal = ZERO
    rounding: Decimal = ZERO


def equity(
    cache: Any,
    venues: Iterable[str],
    instruments: Sequence[InstrumentSummary],
    strategies: Sequence[InstrumentSummary],
    started: Iterable[str] | None = None,
    paid: Collection[str] = (),
) -> dict[str, dict[str, Equity]]:
    """By NautilusTrader venue and quote currency; one that lacks a mark is left out.

    `started` are the balances of the config with which simulated accounts begin; None: live.

    `strategies` are their parts: on a simulated margin account each has its own position, open
    against each other's or not; a venue's own wallet nets them, as `instruments` does. What is base
    of one instrument and quote of another counts in both currencies. `paid` are the venues that
    tell a margin account's balances as if its positions had been paid for: reckoned like cash.
    """
    found: dict[str, dict[str, Equity]] = {}
    before = None if started is None else _sums(started)
    parts = instruments if started is None else strategies
    for venue in venues:
        account = cache.account_for_venue(Venue(venue))
        mine = [one for one in instruments if one.instrument.rpartition(".")[2] == venue]
        if account is None or not mine:
            continue
        totals = _totals(account)
        by_quote: defaultdict[str, list[InstrumentSummary]] = defaultdict(list)
        for one in mine:
            by_quote[one.quote].append(one)
        is_margin = account.account_type == AccountType.MARGIN and venue not in paid
        found[venue] = {}
        for quote, ones in by_quote.items():
            if any(one.opening_position and one.mark is None for one in ones):
                continue
            first: Decimal | None = None
            marks: dict[str, Decimal | None] = {}  # of the bases that are in its worth
            if is_margin:
                end: Decimal | None = _open_worth(quote, venue, parts, totals)
                first = None if before is None else before[quote]
            else:
                marks = {one.base: one.mark for one in ones}
                end = _worth(quote, marks, totals)
                first = None if before is None else _worth(quote, marks, before)
            others = [one for one in mine if one.quote != quote and one.fills]
            more = crossed(quote, marks, ones, others)
            if end is not None and more is not None:
                most = _most_rounded(quote, marks, ones, others)
                worth = _equity(ones, end, more, first, most)
                if first is not None and is_margin and _settles_inverse(quote, mine):
                    end = first + worth.change
                    worth = msgspec.structs.replace(worth, start=first, end=end, rounding=ZERO)
                found[venue][quote] = worth
    return found


def crossed(
    quote: str,
    marks: Mapping[str, Decimal | None],
    ones: Iterable[InstrumentSummary],
    others: Iterable[InstrumentSummary],
) -> Decimal | None:
    """See `Equity`; `ones` are the venue's instruments of the quote currency, `others` the rest.

    `marks` are those of the base currencies that the worth has: none on margin, where only fees
    move another's balance. None: a mark is lacking.
    """
    at = {**marks, quote: Decimal(1)}
    total = ZERO
    fees = [{name: -fee for name, fee in one.fees_unvalued.items()} for one in ones]
    for amounts in (*fees, *(_taken(one, is_margin=not marks) for one in others)):
        if amounts is None:
            return None
        for name, amount in amounts.items():
            if amount and name in at:
                if (mark := at[name]) is None:
                    return None
                total += amount * mark
    return total


def _taken(one: InstrumentSummary, *, is_margin: bool) -> dict[str, Decimal] | None:
    if is_margin:
        return {name: -fee for name, fee in one.fees_unvalued.items()}
    return moved(one)


def _equity(
    ones: Sequence[InstrumentSummary],
    end: Decimal,
    more: Decimal,
    first: Decimal | None,
    most: Decimal,
) -> Equity:
    """Of the instruments of one quote currency. `first`: what the account began with by the config,
    where it is known; `most` is what rounding may make of it, `more` what was crossed."""
    taken_over = sum((one.opening_gain for one in ones), ZERO)
    change = sum((one.net for one in ones), ZERO) - taken_over + more
    start, rounding = end - change, ZERO
    if first is not None and abs(start - first) <= most:
        start, rounding = first, start - first
    return Equity(
        start=start,
        end=end,
        change=change,
        taken_over=taken_over,
        crossed=more,
        rounding=rounding,
    )


def _most_rounded(
    quote: str,
    marks: Mapping[str, Decimal | None],
    ones: Iterable[InstrumentSummary],
    others: Iterable[InstrumentSummary],
) -> Decimal:
    """What the fills may have rounded, of all balances that the worth has."""
    at = {**marks, quote: Decimal(1)}
    least = {name: _rounded(name) * (mark or ZERO) for name, mark in at.items()}
    fills = sum(one.fills for one in ones) * least[quote]
    for one in others:
        touched = {one.base, one.quote, *one.fees_unvalued} & least.keys()
        fills += one.fills * sum((least[name] for name in touched), ZERO)
    return ROUNDINGS * fills


def _settles_inverse(quote: str, ones: Iterable[InstrumentSummary]) -> bool:
    return any(one.is_inverse and one.quote == quote for one in ones)


def _rounded(code: str) -> Decimal:
    """What a balance is kept in: cents, or the smallest of a coin."""
    return Decimal(1).scaleb(-currency(code).precision)


def _open_worth(
    quote: str,
    venue: str,
    parts: Iterable[InstrumentSummary],
    totals: Mapping[str, Decimal],
) -> Decimal:
    """A margin account's balance, which has what each of the positions realized."""
    return totals.get(quote, ZERO) + _open_gain(quote, venue, parts)


def _open_gain(quote: str, venue: str, parts: Iterable[InstrumentSummary]) -> Decimal:
    mine = [
        one.unrealized
        for one in parts
        if one.quote == quote and one.instrument.rpartition(".")[2] == venue
    ]
    return sum(mine, ZERO)


def _worth(
    quote: str, marks: Mapping[str, Decimal | None], totals: Mapping[str, Decimal]
) -> Decimal | None:
    """A balance, with those of the instruments that are quoted in it at their marks (cash)."""
    worth = totals.get(quote, ZERO)
    for base, mark in marks.items():
        held = totals.get(base, ZERO)
        if held and mark is None:
            return None
        worth += held * (mark or ZERO)
    return worth


def balance_changes(
    cache: Any,
    venues: Iterable[str],
    started: Iterable[str],
    parts: Sequence[InstrumentSummary],
    worth: Mapping[str, Mapping[str, Equity]],
) -> dict[str, dict[str, Decimal]]:
    """Change of each balance of simulated accounts, by venue: the PnL must agree with it.

    `started` are the balances of the config, with which each account begins. Where an inverse
    contract settles in one, it is what its `worth` changed without what is open (`parts`, of each
    strategy).
    """
    before = _sums(started)
    changes = {}
    for venue in venues:
        account = cache.account_for_venue(Venue(venue))
        if account is not None:
            totals = _totals(account)
            changes[venue] = {name: total - before[name] for name, total in totals.items()}
            mine = [one for one in parts if one.instrument.rpartition(".")[2] == venue]
            for quote, one in worth.get(venue, {}).items():
                if account.account_type == AccountType.MARGIN and _settles_inverse(quote, mine):
                    settled = one.change - _open_gain(quote, venue, mine)
                    changes[venue][quote] = settled.quantize(_rounded(quote))
    return changes


def _sums(amounts: Iterable[str]) -> defaultdict[str, Decimal]:
    """By currency."""
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for text in amounts:
        amount = money(text)
        found[amount.currency.code] += amount.as_decimal()
    return found


def _totals(account: Any) -> dict[str, Decimal]:
    return {
        currency.code: balance.total.as_decimal()
        for currency, balance in account.balances().items()
    }
