"""What a person does from the page: kill, clear, cancel one order. Each by the way that is there.

A kill is the durable file that `fairlead kill` writes; the run's own watch sees it, cancels, and
notes it in the journals. A clear is the word that `fairlead kill --clear` leaves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from fairlead.engine.config.loaded import account_files
from fairlead.engine.errors import FairleadError
from fairlead.engine.kill.state import Action, Scope
from fairlead.engine.observe.page.status import accounts_of
from fairlead.engine.orders.files import PAPER
from fairlead.engine.risk.state import RiskStateFile
from fairlead.engine.risk.states import Clearing, clearing_file

if TYPE_CHECKING:
    from fairlead.engine.observe.page.sources import Sources
    from fairlead.engine.observe.page.told import ClearAsked, KillAsked

logger = logging.getLogger(__name__)

ASKED = "CANCEL_ASKED"  # by a person: a record of the order's journal


class Refused(Exception):
    """Nothing was done. `status` is HTTP's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class AskedBy(msgspec.Struct, frozen=True):
    """A record's body."""

    by: str


class Control:
    """Of one run that trades."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def kill(self, asked: KillAsked, who: str) -> str:
        """In force, durably, when this returns. Raises Refused."""
        state = self._sources.kills
        if state is None or not self._sources.trades:
            raise Refused(409, "PAGE-NOTHING-TRADES", "nothing trades in this run")
        scope = self._scope(asked.scope, asked.key)
        action, before = Action(asked.action), state.asked_again
        try:
            kill = state.engage(scope, action, reason=asked.reason or "none given", by=who)
        except FairleadError as error:  # in force in this process all the same
            raise Refused(500, error.code, error.message) from error
        closes = any(account.can_flatten for account in self._sources.accounts)
        if closes and state.asked_again > before:
            logger.warning("a flatten of %s is asked for once more, by %s", scope, who)
            return f"in force already: {kill}; what is not flat yet is tried again at once"
        return f"in force: {kill}"

    def known(self, kind: str, key: str) -> None:
        """Raises Refused for a scope that names nothing of this run."""
        self._scope(kind, key)

    def clear(self, asked: ClearAsked, who: str) -> str:
        """The word is given; the run takes it at its next look. Raises Refused."""
        sources, state = self._sources, self._sources.kills
        if state is None or not sources.trades:
            raise Refused(409, "PAGE-NOTHING-TRADES", "nothing trades in this run")
        scope = self._scope(asked.scope, asked.key)
        try:
            done = state.clear(scope, reason=asked.reason, by=who)
            file = sources.loaded.state_dir / sources.loaded.config.risk.kill_switch_file
            if scope.kind == "all" and file.exists():
                file.unlink()
                done.append(file.name)
            done += self._clear_halts(scope, asked.reason, who)
        except FairleadError as error:
            raise Refused(500, error.code, error.message) from error
        except OSError as error:
            raise Refused(500, "PAGE-CLEAR", error.strerror or str(error)) from error
        return f"cleared: {', '.join(done)}" if done else f"nothing of {scope} was in force"

    def _clear_halts(self, scope: Scope, reason: str, who: str) -> Iterator[str]:
        """Leave the word that ends each account's halt within the scope. Raises OSError."""
        sources, gate = self._sources, self._sources.gate
        for venue, halt in () if gate is None else gate.halts():
            keys = [venue.lower()] if venue else list(sources.loaded.config.venues)
            for key in keys:
                files = account_files(sources.loaded, key, paper=not sources.is_real)
                account = PAPER if files.is_paper else sources.loaded.config.venues[key].account
                if not scope.covers(strategy="", venue=key, account=account):
                    continue
                word = Clearing(
                    halt_ts_ns=halt.ts_ns, reason=reason, by=who, ts_ns=sources.now_ns()
                )
                clearing_file(RiskStateFile(files.risk)).write(word)
                yield f"the halt of {key} {account}"

    async def cancel(self, client_order_id: str, who: str) -> str:
        """Asked for at the venue when this returns. Raises Refused."""
        for account in self._sources.accounts:
            desk = account.desk
            if desk is None:
                continue
            if all(o.intent.client_order_id != client_order_id for o in desk.live_orders()):
                continue
            try:
                account.journal.note(ASKED, client_order_id, AskedBy(who))
                await desk.cancel([client_order_id])
            except FairleadError as error:  # a dead journal: the desk has asked the venue first
                raise Refused(500, error.code, error.message) from error
            logger.warning("cancel of %s asked for by %s", client_order_id, who)
            return f"the cancel of {client_order_id} was asked for"
        if not self._sources.is_real and self._cancel_simulated(client_order_id):
            return f"the cancel of {client_order_id} was asked for"
        raise Refused(404, "PAGE-NO-ORDER", f"no order {client_order_id} is open in this run")

    def _cancel_simulated(self, client_order_id: str) -> bool:
        parts = self._sources.parts
        for strategy in () if parts is None else parts.strategies:
            mine = {"strategy_id": strategy.strategy_id}
            cache = strategy.cache
            for order in (*cache.orders_open(**mine), *cache.orders_inflight(**mine)):
                if str(order.client_order_id) == client_order_id:
                    strategy.cancel_order(order.client_order_id)
                    return True
        return False

    def _scope(self, kind: str, key: str) -> Scope:
        """A key that names nothing would stop nothing. Raises Refused."""
        config = self._sources.loaded.config
        known = {
            "all": [""],
            "venue": list(config.venues),
            "account": accounts_of(self._sources),
            "strategy": [one.id for one in config.strategies],
        }[kind]
        if key not in known:
            named = ", ".join(one for one in known if one) or "no key"
            text = f"the run has no {kind} {key!r}; expected {named}: nothing was done"
            raise Refused(404, "PAGE-SCOPE", text)
        return Scope(kind, key)  # type: ignore[arg-type]
