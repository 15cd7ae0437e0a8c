"""What a venue can do, in words: one source for `fairlead venues` and the pages of the venues."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fairlead.engine.orders.model import Capabilities, Kind, Tif, TriggerSource

NONE = "none"


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's capabilities, lists in the order of the engine's own words.

    `native` are order kinds that the venue has, `held` those that the engine holds for it and fires
    by one of `trigger_sources`, the first unless a config says otherwise; `holds_passed`: a stop of
    the venue's own is held too where fresh data do not prove that its trigger lies ahead.
    `book_depths` empty: one depth, the venue's. `bar_minutes` empty: bars are built from trades.
    """

    name: str
    has_simulator: bool
    native: tuple[Kind, ...]
    held: tuple[Kind, ...]
    trigger_sources: tuple[TriggerSource, ...]
    holds_passed: bool
    holds_limits: bool
    time_in_force: tuple[Tif, ...]
    post_only: bool
    modify: bool
    client_order_ids: bool
    batch_submit: int
    batch_cancel: int
    batch_query: int
    book_depths: tuple[int, ...]
    sequenced_books: bool
    public_trades: bool
    ticker: bool
    clears: bool
    bracket_targets: int
    cancels: bool
    lists_stops: bool
    pays_positions: bool
    bar_minutes: tuple[int, ...]
    keyed_data: bool
    private_stream: bool
    reports_fills: bool
    order_fees: bool
    public_fees: bool
    max_order_lag_secs: float


def described(name: str, able: Capabilities, *, has_simulator: bool, keyed_data: bool) -> Described:
    return Described(
        name=name,
        has_simulator=has_simulator,
        native=tuple(kind for kind in Kind if kind in able.kinds),
        held=tuple(kind for kind in Kind if kind in able.held),
        trigger_sources=able.sources if able.holds else (),
        holds_passed=able.hold_passed,
        holds_limits=able.holds_limits,
        time_in_force=tuple(tif for tif in Tif if tif in able.time_in_force),
        post_only=able.post_only,
        modify=able.replace,
        client_order_ids=able.client_order_ids,
        batch_submit=able.batch_submit_max,
        batch_cancel=able.batch_cancel_max,
        batch_query=able.batch_query_max,
        book_depths=able.book_depths,
        sequenced_books=able.sequenced_books,
        public_trades=able.public_trades,
        ticker=able.ticker,
        clears=able.clears,
        bracket_targets=able.bracket_targets,
        cancels=able.cancels,
        lists_stops=able.lists_stops,
        pays_positions=able.pays_positions,
        bar_minutes=able.bar_minutes,
        keyed_data=keyed_data,
        private_stream=able.private_stream,
        reports_fills=able.reports_fills,
        order_fees=able.order_fees,
        public_fees=able.public_fees,
        max_order_lag_secs=able.max_order_lag_secs,
    )


def rows(venue: Described) -> list[tuple[str, str]]:
    """What is told of a venue: (what, in words)."""
    return [
        ("orders of the venue", _list(venue.native)),
        ("held by the engine", _held(venue)),
        ("time in force", _list(venue.time_in_force)),
        ("post-only", _yes(venue.post_only)),
        ("modify", "replaced at the venue" if venue.modify else "cancel, then a new order"),
        ("a new order", "clears the instrument first" if venue.clears else "stands by itself"),
        ("cancel", "one order" if venue.cancels else "none; closing a position ends its orders"),
        ("an entry with its exits", _brackets(venue)),
        ("in one request", _batches(venue)),
        ("open orders", "listed" if venue.lists_stops else "listed but for stops that wait"),
        ("lost order", "found by our id" if venue.client_order_ids else "found by its fields"),
        ("book", _book(venue)),
        ("streamed trades", _yes(venue.public_trades)),
        ("streamed bars", _bars(venue)),
        ("data without a key", _yes(not venue.keyed_data)),
        ("orders and balances", _account(venue)),
        ("executions", _executions(venue)),
        ("fee rates without a key", _yes(venue.public_fees)),
        ("an order can appear late by", f"{venue.max_order_lag_secs:g} s"),
        ("simulated venue", _yes(venue.has_simulator)),
    ]


def markdown(venue: Described) -> str:
    """The same as a table of a page."""
    lines = [f"| {what} | {text} |" for what, text in rows(venue)]
    return "\n".join(["| what | how |", "|---|---|", *lines]) + "\n"


def _list(items: Iterable[object]) -> str:
    return ", ".join(map(str, items)) or NONE


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _held(venue: Described) -> str:
    held = [str(kind) for kind in venue.held]
    if venue.holds_passed:
        held.append("stops not proven to lie ahead")
    if venue.holds_limits:
        held.append("limits by config")
    sources = f"; fired by {_list(venue.trigger_sources)}" if venue.trigger_sources else ""
    return f"{_list(held)}{sources}"


def _account(venue: Described) -> str:
    how = "pushed and polled" if venue.private_stream else "polled"
    return f"{how}; as if positions had been paid for" if venue.pays_positions else how


def _brackets(venue: Described) -> str:
    if not venue.bracket_targets:
        return "by the engine, one exit at the venue at a time"
    return f"in one call, with a stop and up to {venue.bracket_targets} targets"


def _batches(venue: Described) -> str:
    most = venue.batch_submit, venue.batch_cancel, venue.batch_query
    return "{} new, {} cancels, {} queries".format(*most)


def _book(venue: Described) -> str:
    if venue.ticker:
        return "none; the last price is polled"
    depths = f"depths {_list(venue.book_depths)}" if venue.book_depths else "one depth"
    return f"{depths}, {'sequenced' if venue.sequenced_books else 'no sequence'}"


def _bars(venue: Described) -> str:
    """Everywhere bars are built from trades, where a strategy asks for others."""
    return f"of {_list(venue.bar_minutes)} minutes" if venue.bar_minutes else NONE


def _executions(venue: Described) -> str:
    if venue.reports_fills:
        return "told, with ids and fees"
    fees = "fee by order" if venue.order_fees else "fee by the table of rates"
    return f"from what orders tell as filled; {fees}"
