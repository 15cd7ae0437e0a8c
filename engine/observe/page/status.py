"""How the run is, in one answer: what a person sees first."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from fairlead.engine.observe.assumptions import plain
from fairlead.engine.observe.page import rows, told
from fairlead.engine.observe.page.wrong import wrong_of
from fairlead.engine.orders.files import PAPER
from fairlead.engine.secrets import redact

if TYPE_CHECKING:
    from fairlead.engine.kill.state import Kill
    from fairlead.engine.observe.page.sources import Sources
    from fairlead.engine.risk.facts import Limits
    from fairlead.engine.risk.money import Equity

SECOND = 1.0


def status_of(
    sources: Sources,
    *,
    open_orders: int,
    fills: int,
    worth: dict[tuple[str, str], Decimal],
    is_controlled: bool,
) -> told.Status:
    """Cheap: nothing of it grows with the number of orders. Raises RuntimeError where
    NautilusTrader lends its cache."""
    now_ns, config = sources.now_ns(), sources.loaded.config
    state, gate = sources.status, sources.gate
    losses = list(losses_of(sources))
    unknown = unknown_orders(sources)
    streams = [rows.of_stream(one) for one in state.streams.values()]
    heard = [one for one in streams if one.last_frame_ns]
    parts = sources.parts
    return told.Status(
        name=config.name,
        mode=sources.mode,
        state=sources.state(),
        version=sources.version,
        config=str(sources.loaded.path),
        started_ns=sources.started_ns,
        now_ns=now_ns,
        is_controlled=is_controlled,
        wrong=wrong_now(sources, now_ns),
        strategies=[one.id for one in config.strategies] if sources.trades else [],
        venues=list(config.venues),
        accounts=accounts_of(sources),
        kills=list(_kills(sources)),
        halts=list(_halts(sources)),
        faulted={} if gate is None else dict(gate.snapshot().faulted),
        open_orders=open_orders,
        unknown_orders=unknown,
        fills=fills,
        denials=0 if parts is None else parts.run_state.denial_counts.total(),
        streams=streams,
        oldest_stream=min(heard, key=lambda one: one.last_frame_ns).name if heard else "",
        clocks=list(_clocks(sources)),
        budgets=[*_order_rate(sources, now_ns), *sources.budgets()],
        compared=[rows.compared(one) for one in sources.accounts],
        losses=losses,
        worth=[
            told.WorthTold(venue=venue.lower(), currency=currency, worth=plain(round(value, 8)))
            for (venue, currency), value in worth.items()
        ],
        latencies=[
            told.LatencyTold(
                name=name,
                count=one.count,
                p50_ns=one.percentile(50),
                p99_ns=one.percentile(99),
                max_ns=one.max_ns if one.count else None,
            )
            for name, one in state.latencies.items()
        ],
        loop_lag_ms=round(sources.loop_lag_ns / 1e6, 1),
    )


def wrong_now(sources: Sources, now_ns: int) -> list[told.Wrong]:
    """Empty: all is well."""
    found = wrong_of(sources, now_ns, list(losses_of(sources)), unknown_orders(sources))
    return [
        msgspec.structs.replace(one, text=redact(one.text), about=redact(one.about))
        for one in found
    ]


def unknown_orders(sources: Sources) -> int:
    gate = sources.gate
    return 0 if gate is None else sum(gate.books.unknown.values())


def accounts_of(sources: Sources) -> list[str]:
    """Names that a kill's scope can have."""
    if not sources.trades:
        return []
    names = [venue.account for venue in sources.loaded.config.venues.values()]
    return list(dict.fromkeys(names if sources.is_real else [*names, PAPER]))


def _kills(sources: Sources) -> Iterator[told.KillTold]:
    for kill in sources.kills.in_force() if sources.kills is not None else ():
        yield of_kill(kill)


def of_kill(kill: Kill) -> told.KillTold:
    return told.KillTold(
        scope=kill.scope.kind,
        key=kill.scope.key,
        action=kill.action.value,
        reason=redact(kill.reason),
        by=kill.by,
        ts_ns=kill.ts_ns,
    )


def _halts(sources: Sources) -> Iterator[told.HaltTold]:
    venues = sources.loaded.config.venues
    for venue, halt in () if sources.gate is None else sources.gate.halts():
        key = venue.lower()
        named = venues[key].account if sources.is_real and key in venues else PAPER
        yield told.HaltTold(
            venue=key, account=named, code=halt.code, reason=redact(halt.reason), ts_ns=halt.ts_ns
        )


def _clocks(sources: Sources) -> Iterator[told.ClockTold]:
    gate = sources.gate
    if gate is None:
        return
    books = gate.books
    for venue in dict.fromkeys((*books.offsets_ms, *books.clock_unknown)):
        yield told.ClockTold(
            venue=venue.lower(),
            offset_ms=books.offsets_ms.get(venue),
            limit_ms=gate.limits.max_clock_offset_ms,
            unknown=books.clock_unknown.get(venue, ""),
        )


def _order_rate(sources: Sources, now_ns: int) -> Iterator[told.BudgetTold]:
    gate = sources.gate
    if gate is None or not sources.trades:
        return
    yield told.BudgetTold(
        venue="",
        scope="orders",
        used=gate.rate.used(now_ns),
        count=gate.limits.max_orders_per_second,
        per_secs=SECOND,
        blocked_secs=0.0,
    )


def losses_of(sources: Sources) -> Iterator[told.LossTold]:
    gate = sources.gate
    if gate is not None and sources.trades:
        yield from losses_within(gate.books.equity, gate.limits)


def losses_within(equity: Equity, limits: Limits) -> Iterator[told.LossTold]:
    """The result by currency, and what of its limits is used."""
    for currency in dict.fromkeys((*equity.currencies, *limits.daily_loss, *limits.drawdown)):
        loss, fall = limits.daily_loss.get(currency), limits.drawdown.get(currency)
        yield told.LossTold(
            currency=currency,
            result=_money(equity.equity(currency)),
            lost_today=_money(equity.lost_today(currency)),
            daily_loss_limit=None if loss is None else plain(loss),
            drawdown=_money(equity.drawdown(currency)),
            drawdown_limit=None if fall is None else plain(fall),
        )


def _money(value: Decimal) -> str:
    return plain(round(value, 8))
