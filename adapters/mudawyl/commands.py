"""`fairlead gateway ...`: strategies, what they made, who follows them, keys and balances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from fairlead.adapters.base.venue import (
    AdapterCommand,
    ParseError,
    Told,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)
from fairlead.adapters.mudawyl import schemas as s
from fairlead.adapters.mudawyl.errors import CODE
from fairlead.adapters.mudawyl.http import MAX_PAGE, MudawylHttp
from fairlead.adapters.mudawyl.parse import held

Given = Mapping[str, str]
_PERIODS = ("STRATEGY", "[INTERVAL]", "[LIMIT]")


def _text(value: object) -> str:
    if value is None or value is msgspec.UNSET:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Told:
    """The same for people and for programs."""
    return Told(
        columns=tuple(columns),
        rows=tuple(tuple(_text(cell) for cell in row) for row in rows),
        data=[dict(zip(columns, row, strict=True)) for row in rows],
    )


def _http(adapter: Any) -> MudawylHttp:
    found = adapter.http
    assert isinstance(found, MudawylHttp), "a command is of its own adapter"
    return found


def _span(given: Given) -> tuple[s.Interval, int]:
    """Raises ValueError."""
    interval, limit = given.get("INTERVAL", "1d"), given.get("LIMIT", "30")
    if interval not in ("1d", "1M"):
        raise ValueError(f"INTERVAL: expected 1d or 1M, received {interval[:20]!r}")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MAX_PAGE):
        raise ValueError(f"LIMIT: expected 1 to {MAX_PAGE}, received {limit[:20]!r}")
    return ("1d" if interval == "1d" else "1M"), int(limit)


async def _strategies(adapter: Any, given: Given) -> Told:
    rows = await _http(adapter).strategies()
    columns = ("id", "name", "exchange", "symbol", "active", "updated")
    return _table(
        columns,
        [(r.id, r.name, r.exchange_id, r.symbol, r.active, r.updated_at) for r in rows],
    )


async def _risks(adapter: Any, given: Given) -> Told:
    rows = await _http(adapter).risk_profiles()
    return _table(("id", "name", "percent"), [(r.id, r.name, r.percentage) for r in rows])


_RESULTS = ("net_profit_percent", "win_rate", "max_draw_down", "trades", "long", "short")


def _results(row: s.StrategyPeriod | s.StrategyPerformance) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in _RESULTS)


async def _history(adapter: Any, given: Given) -> Told:
    rows = await _http(adapter).strategy_history(given["STRATEGY"], *_span(given))
    return _table(("start", "end", *_RESULTS), [(r.start, r.end_at, *_results(r)) for r in rows])


async def _performance(adapter: Any, given: Given) -> Told:
    row = await _http(adapter).strategy_performance(given["STRATEGY"], *_span(given))
    return _table(_RESULTS, [_results(row)])


def _follow_table(rows: Sequence[s.Follow]) -> Told:
    columns = ("id", "strategy", "symbol", "risk_percent", "active", "updated")
    return _table(
        columns,
        [
            (
                r.id,
                r.strategy.id,
                r.strategy.symbol,
                r.risk_profile.percentage,
                r.active,
                r.updated_at,
            )
            for r in rows
        ],
    )


async def _follows(adapter: Any, given: Given) -> Told:
    return _follow_table(await _http(adapter).follows(given["KEY"]))


async def _follow(adapter: Any, given: Given) -> Told:
    new = s.NewFollow(
        strategy_automated_id=given["STRATEGY"], strategy_risk_profile_id=given["RISK"]
    )
    return _follow_table([await _http(adapter).follow(given["KEY"], new)])


async def _unfollow(adapter: Any, given: Given) -> Told:
    change = s.FollowChange(active=False)
    return _follow_table([await _http(adapter).update_follow(given["FOLLOW"], change)])


async def _keys(adapter: Any, given: Given) -> Told:
    """Without the exchange's keys, which the gateway tells in clear."""
    rows = await _http(adapter).keys()
    columns = ("id", "name", "exchange", "type", "strategy", "active", "status", "updated")
    return _table(
        columns,
        [
            (
                *(r.id, r.name, r.exchange_id, r.trade_type, r.strategy_type, r.active),
                *(r.api_key_status, r.updated_at),
            )
            for r in rows
        ],
    )


async def _balances(adapter: Any, given: Given) -> Told:
    """Of one key, or of all that are authorized."""
    http = _http(adapter)
    wanted = given.get("KEY")
    keys = [
        key
        for key in await http.keys()
        if (key.id == wanted if wanted else key.api_key_status == "AUTHORIZED")
    ]
    if wanted and not keys:
        raise ValueError(f"KEY: no stored key {wanted[:64]!r}")
    rows = []
    for key in keys:
        balance = await http.key_balance(key.id)
        zero = Decimal(0)
        rows += [
            (
                key.id,
                key.name,
                name,
                balance.free.get(name, zero),
                balance.used.get(name, zero),
                total,
            )
            for name, total in balance.total.items()
            if total
        ]
    return _table(("key", "name", "currency", "free", "used", "total"), rows)


def parsed_position(row: s.Position | None) -> tuple[Decimal, Decimal]:
    """Raises VenueError."""
    try:
        return held(row)
    except ParseError as e:
        raise VenueError(VenueErrorKind.UNKNOWN, f"{CODE}-BAD-ANSWER", str(e)) from e


def _facts(adapter: Any, given: Given) -> VenueInstrument:
    """Of the config's market that is named. Raises ValueError."""
    markets: list[VenueInstrument] = adapter.configured()
    found = {one.symbol: one for one in markets}
    facts = found.get(given["SYMBOL"])
    if facts is None:
        raise ValueError(f"SYMBOL: expected one of {', '.join(found)}")
    return facts


async def _position(adapter: Any, given: Given) -> Told:
    facts = _facts(adapter, given)
    row = await _http(adapter).position(adapter.key_id, facts.symbol)
    quantity, entry = parsed_position(row)
    told = s.Position() if row is None else row
    columns = ("symbol", "quantity", "entry", "mark", "unrealized", "leverage", "liquidation")
    more = (told.mark_price, told.unrealized_pnl, told.leverage, told.liquidation_price)
    return _table(columns, [(facts.symbol, quantity, entry, *map(s.told, more))])


async def _orders(adapter: Any, given: Given) -> Told:
    facts = _facts(adapter, given)
    rows = await _http(adapter).open_orders(adapter.key_id, facts.symbol)
    columns = ("id", "type", "side", "amount", "filled", "price", "trigger", "status")
    return _table(
        columns,
        [
            (
                *(r.id, r.type, r.side, s.told(r.amount), s.told(r.filled), s.told(r.price)),
                *(s.told(r.stop_price), s.told(r.status)),
            )
            for r in rows
        ],
    )


async def _flatten(adapter: Any, given: Given) -> Told:
    """Closes the position and cancels all orders of one symbol; tells what is left then."""
    facts = _facts(adapter, given)
    await _http(adapter).close_position(adapter.key_id, facts.symbol)
    return await _position(adapter, given)


COMMANDS = (
    AdapterCommand(
        name="position", line="What the key holds.", arguments=("SYMBOL",), run=_position
    ),
    AdapterCommand(name="orders", line="Its open orders.", arguments=("SYMBOL",), run=_orders),
    AdapterCommand(
        name="flatten",
        line="Close the position and cancel all orders of a symbol (needs a reCAPTCHA provider).",
        arguments=("SYMBOL",),
        run=_flatten,
    ),
    AdapterCommand(name="strategies", line="The gateway's strategies.", run=_strategies),
    AdapterCommand(name="risks", line="Risk profiles to follow one with.", run=_risks),
    AdapterCommand(
        name="history", line="What a strategy made, by period.", arguments=_PERIODS, run=_history
    ),
    AdapterCommand(
        name="performance", line="What it made in sum.", arguments=_PERIODS, run=_performance
    ),
    AdapterCommand(
        name="follows", line="Strategies that trade with a key.", arguments=("KEY",), run=_follows
    ),
    AdapterCommand(
        name="follow",
        line="Let a strategy trade with a stored key (needs a reCAPTCHA provider).",
        arguments=("KEY", "STRATEGY", "RISK"),
        run=_follow,
    ),
    AdapterCommand(
        name="unfollow",
        line="Let it trade no more (needs a reCAPTCHA provider).",
        arguments=("FOLLOW",),
        run=_unfollow,
    ),
    AdapterCommand(name="keys", line="Stored exchange keys, never a secret.", run=_keys),
    AdapterCommand(
        name="balances", line="Of a key, or of all.", arguments=("[KEY]",), run=_balances
    ),
)
