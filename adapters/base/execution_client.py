"""The one NautilusTrader execution client, for every venue.

Commands become intents for the order desk; what the desk proves becomes order events. Every path
of a command ends in an event or leaves the order with the desk, which goes on asking.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
from nautilus_trader.config import ExecutionClientConfig
from nautilus_trader.live.clients import ExecutionClient, ExecutionClientFactory
from nautilus_trader.model import (
    AccountId,
    ClientOrderId,
    ExecutionMassStatus,
    InstrumentId,
    OmsType,
    OrderStatus,
    StrategyId,
    Venue,
)

from fairlead.adapters.base import translate
from fairlead.adapters.base.account import Account
from fairlead.adapters.base.commands import Command
from fairlead.adapters.base.venue import POST_ONLY_CROSSED, VenueInstrument
from fairlead.engine import identifiers
from fairlead.engine.currencies import currency
from fairlead.engine.errors import FairleadError
from fairlead.engine.orders.approved import Approved
from fairlead.engine.orders.journal import JournalError, Position
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import (
    Finding,
    Intent,
    Side,
    VenueBalance,
    VenueFill,
    VenueUnavailable,
)
from fairlead.engine.risk.approval import NOT_APPROVED

logger = logging.getLogger(__name__)


class VenueExecutionClient(ExecutionClient):
    """Sends through an `OrderDesk`, and is the desk's `EventSink`."""

    def __init__(self, *, trading: Account, **kwargs: Any) -> None:
        super().__init__(
            venue=Venue(trading.venue),
            account_id=AccountId(f"{trading.venue}-{trading.account}"),
            account_type=trading.account_type,
            oms_type=OmsType.NETTING,
            **kwargs,
        )
        self._trading = trading
        self._base_fees: dict[str, Decimal] = {}  # since the start, by instrument
        # Reduce-only fills that NautilusTrader counts in no position, signed, by instrument
        self._uncounted: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._reported: set[str] = set()  # client order ids that NautilusTrader has from a report
        self._asked: set[str] = set()  # client order ids whose question is under way
        self._is_told = False  # the mass status has told what the journal holds
        self._desk = trading.make_desk(self)
        self._desk.on_failure = self._desk_failed
        trading.look_at_kills = self._look_at_kills

    # -- life ----------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """NautilusTrader reports only that a connection failed: the cause is told here."""
        try:
            await self._trading.connect(self._desk)
            self.position_reconciliation_tolerance = self._trading.position_tolerance()
            self._trading.balances_begin()
            asked_ns = self._trading.now_ns()
            self.balances(await self._trading.orders.balances(), asked_ns)
        except (FairleadError, VenueUnavailable) as error:
            self._trading.fatal(error.code, error.message)
            raise
        except Exception as error:
            logger.exception("connecting %s failed", self._trading.venue)
            self._trading.fatal("CONNECT-DEFECT", f"{self._trading.venue}: {error}")
            raise
        self._desk.start()

    def _desk_failed(self, error: BaseException) -> None:
        if isinstance(error, FairleadError):
            self._trading.fatal(error.code, error.message)
        else:
            self._trading.fatal("DESK-FAILED", f"{type(error).__name__}: {error}")

    async def _disconnect(self) -> None:
        await self._trading.disconnect(self._desk)

    # -- commands ------------------------------------------------------------------------------

    async def _submit_order(self, command: Any) -> None:
        self._take(command, partial(self._submit, [command.client_order_id]))

    async def _submit_order_list(self, command: Any) -> None:
        ids = [init.client_order_id for init in command.order_inits]
        self._take(command, partial(self._submit, ids))

    async def _submit(self, client_order_ids: Sequence[Any]) -> None:
        approved: list[Approved] = []
        for client_order_id in client_order_ids:
            order = self._ordered(client_order_id)
            try:
                intent = translate.intent_of(order, order.ts_init)
            except ValueError as error:
                self.generate_order_denied(order, f"UNSUPPORTED: {error}")
                continue
            if not self._desk.takes(intent.kind):
                why = (
                    f"order type {intent.kind}: neither {self._trading.venue} nor the engine has it"
                )
                self.generate_order_denied(order, f"UNSUPPORTED: {why}")
                continue
            sendable = self._trading.approvals.order(intent)
            if sendable is None:
                self.generate_order_denied(order, NOT_APPROVED.format("order"))
                continue
            approved.append(sendable)
        if not approved:
            return
        try:
            await self._desk.submit(approved)
        except JournalError as error:
            self._not_journaled([one.intent for one in approved], error)

    def _not_journaled(self, intents: Sequence[Intent], error: JournalError) -> None:
        """No durable intent, no order: deny what was not sent, and stop the run."""
        for intent in intents:
            if self._desk.get(intent.client_order_id) is None:
                order = self.cache.order(ClientOrderId(intent.client_order_id))
                self.generate_order_denied(order, f"{error.code}: {error.message}")
        self._desk.fail(error)

    def _ordered(self, client_order_id: Any) -> Any:
        order: Any = self.cache.order(client_order_id)
        assert order is not None, f"a command for {client_order_id}, which is not in the cache"
        return order

    async def _modify_order(self, command: Any) -> None:
        self._take(command, partial(self._modify, command))

    async def _modify(self, command: Any) -> None:
        order: Any = self.cache.order(command.client_order_id)
        if order is None:  # it ended while the command waited for its turn, and long ago
            logger.info("modify of %s, which is over: nothing is sent", command.client_order_id)
            return
        try:
            before = translate.intent_of(order, order.ts_init)
        except ValueError as error:
            self._reject_modify(order, f"UNSUPPORTED: {error}")
            return
        dec = translate.dec
        change = dec(command.quantity), dec(command.price), dec(command.trigger_price)
        known = self._desk.get(before.client_order_id)
        if known is not None:  # an order that outlived a restart has lost its tags
            before = msgspec.structs.replace(before, role=known.intent.role)
        changed = self._trading.approvals.replacement(before, change)
        if changed is None:
            self._reject_modify(order, NOT_APPROVED.format("modify"))
            return
        await self._desk.replace(changed)

    def _reject_modify(self, order: Any, reason: str) -> None:
        now = self._trading.now_ns()
        self.generate_order_modify_rejected(order, order.venue_order_id, reason, now)

    async def _cancel_order(self, command: Any) -> None:
        self._take(command, partial(self._desk.cancel, [str(command.client_order_id)]))

    async def _batch_cancel_orders(self, command: Any) -> None:
        ids = [str(cancel.client_order_id) for cancel in command.cancels]
        self._take(command, partial(self._desk.cancel, ids))

    async def _cancel_all_orders(self, command: Any) -> None:
        self._take(command, partial(self._cancel_all, command))

    async def _cancel_all(self, command: Any) -> None:
        wanted = str(command.instrument_id)
        side = None if command.order_side is None else command.order_side.name
        await self._desk.cancel(
            [
                order.intent.client_order_id
                for order in self._desk.live_orders()
                if order.intent.instrument == wanted and side in (None, order.intent.side.value)
            ]
        )

    async def _query_order(self, command: Any) -> None:
        """NautilusTrader asks again and again while an answer is missing: once at a time."""
        name = str(command.client_order_id)
        if name not in self._asked:
            self._asked.add(name)
            self._take(command, partial(self._query, name))

    async def _query(self, name: str) -> None:
        try:
            await self._desk.query(name)
        finally:
            self._asked.discard(name)

    def _take(self, command: Any, does: Command) -> None:
        self._trading.commands.take(str(command.instrument_id), partial(self._watched, does))

    async def _watched(self, does: Command) -> None:
        try:
            await does()
        except Exception as error:  # a bug: the orders stay with the journal, the run stops
            self._desk.fail(error)

    async def _query_account(self, command: Any) -> None:
        asked_ns = self._trading.now_ns()
        try:
            balances = await self._trading.orders.balances()
        except VenueUnavailable as error:
            logger.warning("account query: %s", error)
            return
        self.balances(balances, asked_ns)

    # -- reports -------------------------------------------------------------------------------

    async def _generate_mass_status(self, lookback_mins: int | None) -> Any:
        now = self._trading.now_ns()
        venue = Venue(self._trading.venue)
        status = ExecutionMassStatus(self.client_id, self.account_id, venue, now)
        # Executions from before the start travel inside the order and position reports: as fill
        # reports, fees in base currency would move positions by less than an increment, which
        # NautilusTrader then can't reconcile.
        status.add_order_reports(self._order_reports(None))
        status.add_position_reports(self._position_reports(None))
        self._is_told = True
        self._trading.told()
        return status

    async def _generate_order_status_reports(self, command: Any) -> list[Any]:
        return self._order_reports(command.instrument_id)

    async def _generate_order_status_report(self, command: Any) -> Any:
        if command.client_order_id is None:
            return None
        order = self._desk.get(str(command.client_order_id))
        if order is None or not (order.is_proven or order.held is not None):
            return None
        instrument = self._trading.instruments[order.intent.instrument]
        now = self._trading.now_ns()
        return translate.live_report(order, self.account_id, instrument, now)

    async def _generate_fill_reports(self, command: Any) -> list[Any]:
        reports = []
        for order in self._desk.live_orders():
            reports += self._fill_reports_of(order.intent)
        return reports

    async def _generate_position_status_reports(self, command: Any) -> list[Any]:
        return self._position_reports(command.instrument_id)

    def _order_reports(self, instrument_id: Any) -> list[Any]:
        """Open orders as the desk knows them: proven ones, and others' in our instruments."""
        now = self._trading.now_ns()
        wanted = None if instrument_id is None else str(instrument_id)
        reports = []
        self._reported = {name for name in self._reported if self._desk.get(name) is not None}
        for order in self._desk.live_orders():
            if order.is_known and wanted in (None, order.intent.instrument):
                if self._is_late(self._cached(order.intent)):
                    continue  # told by its executions, under another id
                self._reported.add(order.intent.client_order_id)
                instrument = self._trading.instruments[order.intent.instrument]
                reports.append(translate.live_report(order, self.account_id, instrument, now))
        for state in self._trading.externals():
            if wanted in (None, state.instrument):
                instrument = self._trading.instruments[state.instrument]
                reports.append(translate.external_report(state, self.account_id, instrument, now))
        return reports

    def _fill_reports_of(self, intent: Intent) -> list[Any]:
        instrument = self._trading.instruments[intent.instrument]
        return [
            translate.fill_report(fill, intent.kind, self.account_id, instrument)
            for fill in self._trading.journal.fills_of(intent.client_order_id)
        ]

    def _position_reports(self, instrument_id: Any) -> list[Any]:
        """Net position per instrument, from the journal."""
        self._look_at_kills()
        wanted = None if instrument_id is None else str(instrument_id)
        netted: dict[str, Position] = {}
        for position in self._trading.journal.positions():
            if position.instrument not in self._trading.instruments:
                continue
            if wanted not in (None, position.instrument):
                continue
            before = netted.get(position.instrument)
            quantity = position.quantity + (before.quantity if before else 0)
            cost = position.cost + (before.cost if before else 0)
            netted[position.instrument] = Position("", position.instrument, quantity, cost)
        now = self._trading.now_ns()
        reports = []
        for position in netted.values():
            told = self._told_quantity(position)
            if told:
                reports.append(translate.position_report(position, told, self.account_id, now))
        return reports

    def _told_quantity(self, position: Position) -> Decimal:
        """The position as NautilusTrader counts it, corrected by what is truly different.

        Its own count holds a position that it took over in whole increments, and leaves out base
        fees where a position closes or turns round. A difference that these explain is none:
        correcting it would put an order into the cache that never was, or tell an error each time.
        """
        instrument = self._trading.instruments[position.instrument]
        cached = self._cached_position(instrument)
        difference = position.quantity - cached - self._uncounted[position.instrument]
        increment = Decimal(1).scaleb(-instrument.size_precision)
        fees = self._base_fees.get(position.instrument, Decimal(0))
        if abs(difference) < increment + fees or self._trading.apart.is_behind(instrument.id):
            return cached
        return cached + translate.whole(difference, instrument)

    def _cached_position(
        self, instrument: VenueInstrument, strategy: StrategyId | None = None
    ) -> Decimal:
        """Base units, of all strategies or one, with the fees that NautilusTrader took off: less
        than an increment counts.

        A position's `quantity` is rounded to the increment; its `signed_qty` is what is compared,
        a float of an amount that ends with the currency's decimals.
        """
        digits = max(instrument.size_precision, currency(instrument.base).precision)
        name = InstrumentId.from_str(instrument.id)
        held = self.cache.positions_open(instrument_id=name, strategy_id=strategy)
        total = sum((Decimal(repr(position.signed_qty)) for position in held), Decimal(0))
        return round(total, digits)

    # -- what a kill closes --------------------------------------------------------------------

    def _look_at_kills(self) -> None:
        """Of another process it is told once that is over: whole, and of the right strategy."""
        kills = self._trading.apart
        try:
            kills.look()
            for order in kills.over():
                kills.lend(order.intent, self._holds)
                self._count_base_fees(self._trading.journal.fills_of(order.intent.client_order_id))
                assert order.venue_order_id is not None, "it was executed"
                status = translate.STATUSES[order.state]
                name = order.intent.client_order_id
                self._tell_whole(order.intent, name, order.venue_order_id, status)
            kills.settle(lambda name: self.cache.order(ClientOrderId(name)) is not None)
        except JournalError as error:
            self._desk.fail(error)

    def _holds(self, strategy: str, instrument: str) -> Decimal:
        return self._cached_position(self._trading.instruments[instrument], StrategyId(strategy))

    def _count_base_fees(self, fills: Sequence[VenueFill]) -> None:
        for fill in fills:
            if fill.fee_currency == self._trading.instruments[fill.instrument].base:
                before = self._base_fees.get(fill.instrument, Decimal(0))
                self._base_fees[fill.instrument] = before + fill.fee

    # -- the desk's EventSink ------------------------------------------------------------------

    def _cached(self, intent: Intent) -> Any:
        return self.cache.order(ClientOrderId(intent.client_order_id))

    def _report(self, intent: Intent) -> None:
        """The engine does not have this order yet (it outlived a restart): report it whole.

        Before the mass status there is nothing to do: that will tell the order as it is then.
        """
        if not self._is_told:
            return
        order = self._desk.get(intent.client_order_id)
        if order is not None and order.is_known:
            self._reported.add(intent.client_order_id)
            self._trading.apart.reported(intent, intent.client_order_id)
            instrument = self._trading.instruments[intent.instrument]
            now = self._trading.now_ns()
            report = translate.live_report(order, self.account_id, instrument, now)
            self._handle_report(report, self._fill_reports_of(intent))

    def _is_late(self, order: Any) -> bool:
        """Whether NautilusTrader has closed this order for good, though the desk took it back."""
        return order is not None and order.status == OrderStatus.REJECTED

    def _reported_as(self, intent: Intent, order: Any, venue_order_id: str) -> str | None:
        """The client order id under which a report tells what became of it; None: an event does.

        NautilusTrader applies nothing to a rejected order: one that was given up, and came, is
        told as an order of its own, by its venue id. Of an earlier run's order it has none yet
        that an event could be applied to; where that is over, the desk has nothing to report.
        """
        if order is not None:
            return venue_order_id if self._is_late(order) else None
        name = intent.client_order_id
        return name if self._is_told and self._desk.get(name) is None else None

    def _tell_whole(
        self, intent: Intent, name: str, venue_order_id: str, status: Any | None = None
    ) -> None:
        """What is executed of an order, and how it ended, by one report under the id `name`.

        One of an id that NautilusTrader does not know makes an order of the strategy whose it is,
        by a claim that is lent, so positions are right. Nothing is told of one that ends without an
        execution, unless a report of it is under way.
        """
        fills = self._trading.journal.fills_of(intent.client_order_id)
        if not fills and not (name == intent.client_order_id and name in self._reported):
            return
        instrument = self._trading.instruments[intent.instrument]
        named = msgspec.structs.replace(intent, client_order_id=name)
        now = self._trading.now_ns()
        report = translate.filled_report(
            named, venue_order_id, fills, status, self.account_id, instrument, now
        )
        self._handle_report(
            report,
            [
                translate.fill_report(
                    msgspec.structs.replace(fill, client_order_id=name),
                    intent.kind,
                    self.account_id,
                    instrument,
                )
                for fill in fills
            ],
        )

    def order_submitted(self, intent: Intent) -> None:
        self._trading.order_sent(intent)
        if intent.strategy == KILL_STRATEGY:
            self._trading.apart.sent(intent, self._holds)
        order = self._cached(intent)
        if order is not None:
            self.generate_order_submitted(order)

    def order_accepted(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        order = self._cached(intent)
        if order is None:
            self._report(intent)
            return
        self.generate_order_accepted(order, identifiers.venue_order_id(venue_order_id), ts_event)

    def order_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None:
        logger.warning("%s refused: %s: %s", intent.client_order_id, code, message)
        self._trading.order_over(intent.client_order_id)
        order = self._cached(intent)
        if order is not None:
            due_post_only = intent.post_only and POST_ONLY_CROSSED in message
            self.generate_order_rejected(order, f"{code}: {message}", ts_event, due_post_only)

    def order_held(self, intent: Intent, ts_event: int) -> None:
        """Under its client order id, until the venue has one for what is released."""
        self._trading.order_held(intent)
        order = self._cached(intent)
        if order is None:
            self._report(intent)
        elif order.venue_order_id is None:
            name = identifiers.venue_order_id(intent.client_order_id)
            self.generate_order_accepted(order, name, ts_event)

    def order_released(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        if self._cached(intent) is None:
            self._report(intent)
        else:
            self.order_replaced(intent, venue_order_id, ts_event)

    def order_triggered(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        order = self._cached(intent)
        if intent.price is None or intent.trigger_price is None:
            return  # NautilusTrader has no such event of a market order, or of a plain limit
        if order is not None and not self._is_late(order):
            self.generate_order_triggered(
                order, identifiers.venue_order_id(venue_order_id), ts_event
            )

    def order_filled(self, intent: Intent, fill: VenueFill) -> None:
        order = self._cached(intent)
        name = self._reported_as(intent, order, fill.venue_order_id)
        if order is None or name is not None:
            self._trading.apart.reported(intent, name or intent.client_order_id)
        self._trading.apart.filled(intent, fill)
        if order is None and name is None:
            self._report(intent)
            return
        instrument = self._trading.instruments[intent.instrument]
        self._count_base_fees([fill])
        if name is not None:
            self._tell_whole(intent, name, fill.venue_order_id)
            return
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        if order.is_reduce_only and signed * self._holds(intent.strategy, intent.instrument) >= 0:
            self._uncounted[intent.instrument] += signed
        self.generate_order_filled(
            order,
            identifiers.venue_order_id(fill.venue_order_id),
            None,
            identifiers.trade_id(fill.trade_id),
            translate.quantity_of(fill.quantity, instrument),
            translate.price_of(fill.price, instrument),
            currency(instrument.quote),
            translate.money_of(fill.fee, fill.fee_currency),
            translate.liquidity_of(fill, intent.kind),
            fill.ts_event,
        )

    def order_canceled(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        self._trading.order_over(intent.client_order_id)
        order = self._cached(intent)
        name = self._reported_as(intent, order, venue_order_id)
        if name is not None:
            self._tell_whole(intent, name, venue_order_id, OrderStatus.CANCELED)
        elif order is not None:
            self.generate_order_canceled(
                order, identifiers.venue_order_id(venue_order_id), ts_event
            )

    def order_expired(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        self._trading.order_over(intent.client_order_id)
        order = self._cached(intent)
        name = self._reported_as(intent, order, venue_order_id)
        if name is not None:
            self._tell_whole(intent, name, venue_order_id, OrderStatus.EXPIRED)
        elif order is not None:
            self.generate_order_expired(order, identifiers.venue_order_id(venue_order_id), ts_event)

    def order_replaced(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        order = self._cached(intent)
        if order is None:
            return
        instrument = self._trading.instruments[intent.instrument]
        price, trigger = intent.price, intent.trigger_price
        self.generate_order_updated(
            order,
            identifiers.venue_order_id(venue_order_id),
            translate.quantity_of(intent.quantity, instrument),
            None if price is None else translate.price_of(price, instrument),
            None if trigger is None else translate.price_of(trigger, instrument),
            None,
            ts_event,
        )

    def replace_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None:
        order = self._cached(intent)
        if order is not None:
            reason = f"{code}: {message}"
            self.generate_order_modify_rejected(order, order.venue_order_id, reason, ts_event)

    def cancel_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None:
        order = self._cached(intent)
        if order is not None:
            reason = f"{code}: {message}"
            self.generate_order_cancel_rejected(order, order.venue_order_id, reason, ts_event)

    def balances(self, balances: Sequence[VenueBalance], ts_event: int) -> None:
        told = translate.account_balances(list(balances))
        self.generate_account_state(told, [], True, ts_event)

    def finding(self, finding: Finding) -> None:
        self._trading.found(finding)


def make_execution_factory(trading: Account) -> ExecutionClientFactory:
    """A factory whose client trades through `trading`."""

    class Factory(ExecutionClientFactory):
        @staticmethod
        def create(
            *, name: str, config: ExecutionClientConfig, cache: Any, clock: Any, trader_id: Any
        ) -> VenueExecutionClient:
            return VenueExecutionClient(
                trading=trading,
                name=name,
                config=config,
                cache=cache,
                clock=clock,
                trader_id=trader_id,
            )

    return Factory()
