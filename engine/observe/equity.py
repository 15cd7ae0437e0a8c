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
from fairlead.engine.observe.account import InstrumentSummary

ZERO = Decimal(0)
ROUNDINGS = 2  # of a balance with a fill: its result and its fee


class Equity(msgspec.Struct, frozen=True, kw_only=True):
    """Worth in one quote currency, at the marks of the end.

    `end` is the account's balance of the currency with what it holds of the instruments that are
    quoted in it: base currency at its mark (cash), or open profit and loss (margin). `change` is
    what the run's executions won in that currency, and `start` what the account was worth without
    them: what was held at the start at the marks of the end, what was deposited meanwhile included.
    A position that a live run took over is held at the start, at the same marks: what it is worth
    beyond its cost by the journal is `taken_over`, and no part of `change`. Net profit and loss,
    which is measured from that cost, is `change` + `taken_over`.

    A simulated account starts with what the config says. Its balances are rounded with each fill,
    `change` is exact: `end` is `start` + `change` + `rounding`.
    """

    start: Decimal
    end: Decimal
    change: Decimal
    taken_over: Decimal = ZERO
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
            if is_margin:
                end: Decimal | None = _open_worth(quote, venue, parts, totals)
                first = None if before is None else before.get(quote, ZERO)
            else:
                end = _worth(ones, totals)
                first = None if before is None else _worth(ones, before)
            if end is not None:
                found[venue][quote] = _equity(ones, end, first)
    return found


def _equity(ones: Sequence[InstrumentSummary], end: Decimal, first: Decimal | None) -> Equity:
    """Of the instruments of one quote currency. `first`: what the account began with by the config,
    where it is known: more than rounding apart, it was moved by what has another quote currency."""
    taken_over = sum((one.opening_gain for one in ones), ZERO)
    change = sum((one.net for one in ones), ZERO) - taken_over
    start, rounding = end - change, ZERO
    most = ROUNDINGS * _rounded(ones) * sum(one.fills for one in ones)
    if first is not None and abs(start - first) <= most:
        start, rounding = first, start - first
    return Equity(start=start, end=end, change=change, taken_over=taken_over, rounding=rounding)


def _rounded(ones: Sequence[InstrumentSummary]) -> Decimal:
    """What a balance is kept in, of their quote currency: cents, or the smallest of a coin."""
    return Decimal(1).scaleb(-currency(ones[0].quote).precision)


def _open_worth(
    quote: str,
    venue: str,
    parts: Iterable[InstrumentSummary],
    totals: Mapping[str, Decimal],
) -> Decimal:
    """A margin account's balance, which has what each of the positions realized."""
    mine = [
        one.unrealized
        for one in parts
        if one.quote == quote and one.instrument.rpartition(".")[2] == venue
    ]
    return totals.get(quote, ZERO) + sum(mine, ZERO)


def _worth(ones: Sequence[InstrumentSummary], totals: Mapping[str, Decimal]) -> Decimal | None:
    """Of the instruments of one quote currency, with its balance, on a cash account."""
    quote = totals.get(ones[0].quote, ZERO)
    marks = {one.base: one.mark for one in ones}
    for base, mark in marks.items():
        held = totals.get(base, ZERO)
        if held and mark is None:
            return None
        quote += held * (mark or ZERO)
    return quote


def balance_changes(
    cache: Any, venues: Iterable[str], started: Iterable[str]
) -> dict[str, dict[str, Decimal]]:
    """Change of each balance of simulated accounts, by venue: the PnL must agree with it.

    `started` are the balances of the config, with which each account begins.
    """
    before = _sums(started)
    changes = {}
    for venue in venues:
        account = cache.account_for_venue(Venue(venue))
        if account is not None:
            totals = _totals(account)
            changes[venue] = {name: total - before[name] for name, total in totals.items()}
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
