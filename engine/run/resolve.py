"""`fairlead resolve`: find the order's journal, ask its venue, and book a person's word."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing

import msgspec

from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.kill.account import Markets
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournaledOrder
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.orders.model import OrderState, VenueUnavailable
from fairlead.engine.orders.plausible import Market, Told, require_plausible
from fairlead.engine.orders.resolve import Word, require_forgotten, resolve
from fairlead.engine.risk.continuity import require_known
from fairlead.engine.run.reach import PlainReach


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What was booked."""

    client_order_id: str
    venue: str
    account: str
    before: OrderState
    state: OrderState
    filled: str
    word: Word
    copy: str  # of the journal as it was before


def resolve_order(
    loaded: LoadedConfig, order_id: str, word: Word, *, force: bool = False
) -> Settled:
    """Settle one order; `force` takes an unlikely word.

    Raises FairleadError: not found, over, alive, locked, venue away, not plausible.
    """
    for key in loaded.config.venues:
        files = account_files(loaded, key)
        require_known(files)
        if not files.journal.exists():
            continue
        with closing(Journal.reading(files.journal)) as journal:
            client_order_id = journal.find(order_id)
        if client_order_id is None:
            continue
        with (
            AccountLock(files.lock, " (resolves)"),
            closing(Journal(files.journal, fsync=True, now_ns=time.time_ns)) as journal,
        ):
            order = journal.order(client_order_id)
            assert order is not None, "it was found a moment ago, and rows are never removed"
            return asyncio.run(_resolve(loaded, key, journal, order, word, force=force))
    raise FairleadError(
        "RESOLVE-NOT-FOUND",
        f"no journal of {loaded.path} in {loaded.state_dir} knows the order {order_id}; expected a "
        "client order id or a venue order id",
        Exit.NO_DATA,
    )


async def _resolve(
    loaded: LoadedConfig,
    key: str,
    journal: Journal,
    order: JournaledOrder,
    word: Word,
    *,
    force: bool,
) -> Settled:
    intent = order.intent
    if order.state.is_terminal:
        raise FairleadError(
            "RESOLVE-OVER", f"{intent.client_order_id} is {order.state} already", Exit.USAGE
        )
    reached = PlainReach(loaded, key)
    try:
        await reached.connect()
        await require_forgotten(reached.orders, journal, order)
        market = await _market(reached.markets(), intent.instrument)
    except VenueUnavailable as error:
        raise FairleadError(
            error.code,
            f"{error.message}; whether the order lives there is not known, nothing was changed",
            Exit.VENUE,
        ) from error
    finally:
        await reached.close()
    told = Told(fills=word.fills, fee=word.fee, fee_currency=word.fee_currency)
    require_plausible(order, told, market, force=force)
    now_ns = time.time_ns()
    copy = journal.path.with_name(f"{journal.path.name}.before-resolve-{now_ns}")
    journal.copy_to(copy)
    state = resolve(journal, order, word, base=market.base, quote=market.quote, now_ns=now_ns)
    after = journal.order(intent.client_order_id)
    assert after is not None, "rows are never removed"
    return Settled(
        client_order_id=intent.client_order_id,
        venue=key,
        account=loaded.config.venues[key].account,
        before=order.state,
        state=state,
        filled=f"{after.filled:f}",
        word=word,
        copy=str(copy),
    )


async def _market(markets: Markets, instrument: str) -> Market:
    """What the venue tells of the instrument; a book that can't be read is no price."""
    known = markets.by_name.get(instrument)
    if known is None:
        return Market()
    try:
        bid, ask = await markets.touch(instrument)
        mid = (bid + ask) / 2
    except (VenueUnavailable, LookupError):
        mid = None
    return Market(base=known.base, quote=known.quote, step=known.step, mid=mid)
