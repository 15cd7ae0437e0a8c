"""Checks of what stands behind an order: balance, venue, results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from fairlead.engine.risk.facts import Funds, InstrumentFacts, OrderFacts
from fairlead.engine.risk.look import Look
from fairlead.engine.risk.verdict import Denial, Verdict

_ZERO, _ONE = Decimal(0), Decimal(1)
# An order that needs no more than this part of what is free passes on an older balance.
AMPLE = Decimal("0.5")


def free_balance(order: OrderFacts, view: Look) -> Verdict:
    """The balance as last read: read anew where it is scarce, and before an order is refused."""
    return _renewed(_free_balance, order, view)


def margin(order: OrderFacts, view: Look) -> Verdict:
    """The same of a margin account's equity, for what enlarges a position."""
    return _renewed(_margin, order, view)


def _renewed(
    check: Callable[[OrderFacts, Look], Verdict], order: OrderFacts, view: Look
) -> Verdict:
    verdict = check(order, view)
    if verdict is None or view.renew_funds is None:
        return verdict
    if type(verdict) is Denial:  # as the gate asks: isinstance costs 4 times as much
        again = view.renew_funds(order.instrument, True)
    else:
        again = verdict > AMPLE and view.renew_funds(order.instrument, False)
    return check(order, view) if again else verdict


def _free_balance(order: OrderFacts, view: Look) -> Verdict:
    """Money for the order and its fee, after every live order is paid for.

    A cash account pays with quote currency (BUY) or base currency (SELL); `margin` looks at others.
    """
    facts = view.facts
    funds_of = view.funds
    if facts is None or funds_of is None:
        return None
    currency = facts.currency
    funds = funds_of(order.instrument, currency)
    if funds is None:
        return Denial(
            "FREE_BALANCE",
            f"no balance of {order.instrument.rpartition('.')[2]} is known yet; "
            "wait for the account",
        )
    if not funds.is_cash:
        return None
    if not order.is_buy:
        if facts.base is None:
            return None
        currency = facts.base
        base_funds = funds_of(order.instrument, currency)
        assert base_funds is not None  # the account was there for the other currency
        funds = base_funds
    value = view.value
    if value is None:
        return None  # stale_reference has refused it, unless that is switched off
    if order.parent is not None and _is_paid_by_parent(order, view):
        return None
    need = value + value * facts.fee if order.is_buy else order.remaining
    available = _available(order, facts, funds, (view.venue, currency), view)
    if need > available:
        return Denial(
            "FREE_BALANCE",
            f"expected at most {max(available, _ZERO):f} {currency} (open orders and fees "
            f"counted), this order needs {need:f}; lower the quantity or cancel orders",
        )
    return need / available if available else None


def _is_paid_by_parent(order: OrderFacts, view: Look) -> bool:
    return order.parent is not None and order.reduce_only and view.pending(order.parent) is not None


def _margin(order: OrderFacts, view: Look) -> Verdict:
    """Initial margin and fee, after every live order and position has its own."""
    facts, value = view.facts, view.value
    if facts is None or view.funds is None or value is None or view.reduces:
        return None
    funds = view.funds(order.instrument, facts.currency)
    if funds is None or funds.is_cash:
        return None
    if order.parent is not None and _is_paid_by_parent(order, view):
        return None
    share = facts.margin if funds.leverage == _ONE else facts.margin / funds.leverage
    need = value * share + value * facts.fee
    available = _available(order, facts, funds, (view.venue, facts.currency), view)
    if need > available:
        return Denial(
            "MARGIN",
            f"expected at most {max(available, _ZERO):f} {facts.currency} of margin and fees "
            f"(positions and open orders counted), this order needs {need:f} ({value:f} at an "
            f"initial margin of {share * 100:.4g} %); lower the quantity or close positions",
        )
    return need / available if available else None


def _available(
    order: OrderFacts, facts: InstrumentFacts, funds: Funds, key: tuple[str, str], view: Look
) -> Decimal:
    """The lesser of what the venue says is free, and the total less all that we know of."""
    is_own = key[1] == facts.currency  # of the instrument's venue: its entry has the sums at hand
    sums = view.entry.venue if is_own else view.books.ledger.exposure.of_venue(*key)
    spent = _ZERO
    total, free = funds.total, funds.free
    if funds.is_cash:
        bound = sums.spending
        spent = view.books.spent.since(*key, funds.ts_ns)
    else:
        bound = sums.margin
        if funds.leverage != _ONE:
            bound /= funds.leverage
        bound += sums.order_fees
        paid = view.paid_positions(order.instrument, facts.currency)
        total, free = total + paid, free + paid
    if order.existing is not None:  # what it holds now is given back
        held = _held(order, facts, funds)
        bound -= held
        free = min(free + held, total)
    rest = total - bound
    available = rest if rest < free else free
    if order.reduce_only and funds.is_cash and not order.is_buy:
        # The last balance may be from before the fill, or the cancel, that this exit follows.
        available = rest + view.books.brought.since(*key, funds.ts_ns)
    return available - spent if spent else available


def base_held(instrument: str, view: Look) -> Decimal | None:
    """What the cash account has of the base currency, locked or not, read anew.

    Fills that its balance does not show yet are counted. None on a margin account, or unknown.
    """
    facts, funds_of = view.facts, view.funds
    if facts is None or facts.base is None or funds_of is None:
        return None
    if view.renew_funds is not None:
        view.renew_funds(instrument, True)
    funds = funds_of(instrument, facts.base)
    if funds is None or not funds.is_cash:
        return None
    key = (instrument.rpartition(".")[2], facts.base)
    brought = view.books.brought.since(*key, funds.ts_ns)
    return funds.total + brought - view.books.spent.since(*key, funds.ts_ns)


def _held(order: OrderFacts, facts: InstrumentFacts, funds: Funds) -> Decimal:
    existing = order.existing
    assert existing is not None
    if existing.contingent:
        return _ZERO
    if funds.is_cash and not order.is_buy:
        return existing.remaining
    value = existing.remaining * (existing.unit_value or _ZERO)
    if funds.is_cash:
        return value + value * facts.fee
    margin = _ZERO if existing.reduce_only else value * facts.margin / funds.leverage
    return margin + value * facts.fee


def unknown_outcomes(order: OrderFacts, view: Look) -> Verdict:
    """No new risk where much is unknown; exits pass, as far as EXIT_EXCEEDS lets them."""
    if order.is_exit:
        return None
    venue = view.venue
    count = view.books.unknown.get(venue, 0)
    limit = view.limits.max_unknown_outcomes
    if count >= limit:
        return Denial(
            "UNKNOWN_OUTCOMES",
            f"expected fewer than {limit} orders of unknown outcome at {venue}, {count} came; "
            "wait until the venue has proven them; only exits are approved until then",
        )
    return count / limit


def clock_offset(order: OrderFacts, view: Look) -> Verdict:
    venue, books = view.venue, view.books
    if books.look_at_clock is not None:
        books.look_at_clock()
    if (why := books.clock_unknown.get(venue)) is not None:
        return Denial(
            "CLOCK_OFFSET", f"{why}; its offset to {venue} is being measured again, then orders go"
        )
    offset = books.offsets_ms.get(venue)
    if offset is None:
        return None
    limit = view.limits.max_clock_offset_ms
    if abs(offset) > limit:
        return Denial(
            "CLOCK_OFFSET",
            f"expected the clock of {venue} within {limit} ms of ours, it is {offset:+.0f} ms off; "
            "synchronize this machine's clock",
        )
    return abs(offset) / limit


def daily_loss(order: OrderFacts, view: Look) -> Verdict:
    limits, equity = view.limits.daily_loss, view.books.equity
    what = "lost today (UTC)"
    return _loss("DAILY_LOSS", what, order, view, limits, equity.lost_today)


def drawdown(order: OrderFacts, view: Look) -> Verdict:
    limits, equity = view.limits.drawdown, view.books.equity
    return _loss("DRAWDOWN", "below the peak", order, view, limits, equity.drawdown)


def _loss(
    code: str,
    what: str,
    order: OrderFacts,
    view: Look,
    limits: Mapping[str, Decimal],
    figure: Callable[[str], Decimal],
) -> Verdict:
    facts = view.facts
    if not limits or facts is None:
        return None
    if facts.currency not in limits:
        return Denial(
            code,
            f"the limit is in {', '.join(limits)}, {order.instrument} is priced in "
            f"{facts.currency}; add a limit in that currency",
        )
    nearest = _ZERO
    for currency in view.books.equity.currencies:
        limit = limits.get(currency)
        if limit is None:
            continue
        value = figure(currency)
        if value >= limit:
            return Denial(
                code,
                f"expected less than {limit} {currency} {what}, it is {value:f}; "
                "the run is halted until a person clears it",
            )
        if value > _ZERO:
            nearest = max(nearest, value / limit)
    return nearest


def cooldown(order: OrderFacts, view: Look) -> Verdict:
    until_ns = view.books.trips.paused_until(order.strategy)
    now_ns = view.now_ns
    if now_ns >= until_ns or view.reduces:
        return None
    return Denial(
        "COOLDOWN",
        f"{order.strategy} pauses after {view.limits.cooldown_losses} losing round trips, for "
        f"{-(-(until_ns - now_ns) // 1_000_000_000)} s more; only exits are approved until then",
    )
