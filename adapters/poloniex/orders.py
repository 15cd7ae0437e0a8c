"""Trading at the venue: the adapter's `VenueOrders` (document sections 2, 5, 6, 8).

A smart order is known as `smart-ID` for its whole life, also after its child was created; the
child's state and executions are told under that id. Nothing here retries a create.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from fairlead.adapters.base.outcomes import cancel_outcome, create_outcome, reading
from fairlead.adapters.base.venue import VenueError, VenueErrorKind, VenueInstrument
from fairlead.adapters.poloniex import schemas as s
from fairlead.adapters.poloniex.config import PoloniexOptions
from fairlead.adapters.poloniex.errors import OK, venue_error
from fairlead.adapters.poloniex.http import MAX_BATCH, PoloniexHttp, ReplaceRequest, plain
from fairlead.adapters.poloniex.lookup import Lookup
from fairlead.adapters.poloniex.parse import Names, account_balances
from fairlead.adapters.poloniex.private_websocket import TradeRequests
from fairlead.adapters.poloniex.requests import Plan, Planner, wire_id
from fairlead.adapters.poloniex.symbols import SMART, WireId, client_id_problem, symbol_of, units_of
from fairlead.adapters.poloniex.tracking import Tracker
from fairlead.engine.orders.model import (
    Accepted,
    CancelAccepted,
    CancelOutcome,
    CancelRefused,
    Fee,
    FindResult,
    Intent,
    Lost,
    OrderRef,
    OrderState,
    Outcome,
    Refused,
    Side,
    TriggerCondition,
    Unknown,
    VenueBalance,
    VenueFill,
    VenueOrder,
)
from fairlead.engine.orders.trigger import kind_for

REPLACE_LOOKS_SECS = (
    0.2,
    0.5,
    1.0,
)  # waits before each look for a replacement whose answer was lost


class PoloniexOrders:
    """Orders, executions and balances of one account."""

    def __init__(
        self,
        *,
        http: PoloniexHttp,
        instruments: Mapping[str, VenueInstrument],
        names: Names,
        options: PoloniexOptions,
        tracker: Tracker,
        requests: TradeRequests,
        now_ns: Callable[[], int],
    ) -> None:
        self._http = http
        self._instruments = instruments
        self._options = options
        self._tracker = tracker
        self._requests = requests
        self._now_ns = now_ns
        self._planner = Planner(
            http=http, instruments=instruments, options=options, tracker=tracker
        )
        self._lookup = Lookup(http=http, names=names, tracker=tracker)

    # -- create --------------------------------------------------------------------------------

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        """Each intent once: regular ones in one batch, smart ones (no batch exists) one by one."""
        plans = [await self._planner.plan(intent, self._now_ns()) for intent in intents]
        outcomes: list[Outcome | None] = [p if isinstance(p, Refused) else None for p in plans]
        regular = [(i, p) for i, p in enumerate(plans) if isinstance(p, Plan) and not p.is_smart]
        smart = [(i, p) for i, p in enumerate(plans) if isinstance(p, Plan) and p.is_smart]
        for plan in (p for _, p in (*regular, *smart)):
            self._tracker.used(plan.wire)
        for start in range(0, len(regular), MAX_BATCH):
            part = regular[start : start + MAX_BATCH]
            for (i, _), outcome in zip(part, await self._create([p for _, p in part]), strict=True):
                outcomes[i] = outcome
        for i, plan in smart:
            outcomes[i] = await self._create_smart(plan)
        return [o if o is not None else Unknown("no answer") for o in outcomes]

    async def _create(self, plans: Sequence[Plan]) -> list[Outcome]:
        if self._options.order_transport == "websocket" and self._requests.available:
            return list(await asyncio.gather(*(self._create_by_ws(p) for p in plans)))
        if len(plans) == 1:
            return [await self._one_create(self._http.create_order(plans[0].request))]
        try:
            items = await self._http.create_orders([p.request for p in plans])
        except VenueError as error:
            return [create_outcome(error) for _ in plans]
        if len(items) != len(plans):
            reason = f"expected {len(plans)} answers to a batch, received {len(items)}"
            by_id = {item.client_order_id: item for item in items if item.id}
            return [
                _created(by_id[w].id) if (w := p.wire.text()) in by_id else Unknown(reason)
                for p in plans
            ]
        return [_batch_outcome(item) for item in items]

    async def _one_create(self, sending: Awaitable[s.Created], prefix: str = "") -> Outcome:
        try:
            created = await sending
        except VenueError as error:
            return create_outcome(error)
        return _created(created.id, prefix)

    async def _create_by_ws(self, plan: Plan) -> Outcome:
        params = msgspec.to_builtins(plan.request)
        try:
            await self._http.admit("private", "create")
            items = await self._requests.request("createOrder", params)
        except VenueError as error:
            return create_outcome(error)
        if len(items) != 1:
            return Unknown(f"expected one answer to createOrder, received {len(items)}")
        if items[0].code != OK:
            return create_outcome(venue_error(items[0].code, items[0].message))
        return _created(str(items[0].order_id))

    async def _create_smart(self, plan: Plan) -> Outcome:
        outcome = await self._one_create(self._http.create_smart_order(plan.request), SMART)
        if not isinstance(outcome, Accepted):
            return outcome
        order = _waiting(plan.intent, outcome.venue_order_id, self._now_ns())
        self._tracker.smart(order, None)
        return Accepted(outcome.venue_order_id, order)

    # -- cancel --------------------------------------------------------------------------------

    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        """Asks only: an accepted cancel is PENDING_CANCEL, fills may still come (trap 9)."""
        outcomes: dict[int, CancelOutcome] = {}
        regular: dict[int, str] = {}
        for i, ref in enumerate(refs):
            venue_id = ref.venue_order_id
            if venue_id is None:
                outcomes[i] = await self._cancel_by_client_id(ref)
            elif venue_id.startswith(SMART):
                child = self._tracker.child_of(venue_id)
                if child is None:
                    outcomes[i] = await self._cancel_smart(venue_id)
                else:
                    regular[i] = child
            else:
                regular[i] = venue_id
        outcomes |= dict(zip(regular, await self._cancel_regular([*regular.values()]), strict=True))
        return [outcomes[i] for i in range(len(refs))]

    async def _cancel_regular(self, ids: Sequence[str]) -> list[CancelOutcome]:
        if not ids:
            return []
        by_ws = self._options.order_transport == "websocket" and self._requests.available
        try:
            if by_ws:
                await self._http.admit("private", "cancel")
                params = {"orderIds": list(ids), "clientOrderIds": []}
                answers = await self._requests.request("cancelOrders", params)
                told = {str(a.order_id): (a.code, a.message) for a in answers}
            elif len(ids) == 1:
                await self._http.cancel_order(order_id=ids[0])
                return [CancelAccepted()]
            else:
                items = await self._http.cancel_orders(ids)
                told = {item.order_id: (item.code, item.message) for item in items}
        except VenueError as error:
            return [cancel_outcome(error) for _ in ids]
        return [_cancel_item(told.get(order_id)) for order_id in ids]

    async def _cancel_smart(self, venue_id: str) -> CancelOutcome:
        """The stop, or its child if it has triggered meanwhile."""
        try:
            await self._http.cancel_smart_order(order_id=venue_id.removeprefix(SMART))
            return CancelAccepted()
        except VenueError as error:
            outcome = cancel_outcome(error)
        if not isinstance(outcome, CancelRefused):
            return outcome
        try:
            order = await self._lookup.smart_by_id(venue_id)
        except VenueError:
            return outcome
        child = self._tracker.child_of(venue_id)
        if child is None or order.state.is_terminal:
            return outcome
        return (await self._cancel_regular([child]))[0]

    async def _cancel_by_client_id(self, ref: OrderRef) -> CancelOutcome:
        """Without a venue id: the wire ids used in this process, else every form it can have."""
        assert ref.client_order_id is not None, "an order is named by either id"
        wires = self._tracker.wires(ref.client_order_id) or tuple(
            WireId(client_order_id=ref.client_order_id, condition=condition)
            for condition in (None, *TriggerCondition)
        )
        outcome: CancelOutcome = CancelRefused("POLONIEX-21301", "order not found")
        for wire in wires:
            send = (
                self._http.cancel_order if wire.condition is None else self._http.cancel_smart_order
            )
            try:
                await send(client_order_id=wire.text())
                return CancelAccepted()
            except VenueError as error:
                outcome = cancel_outcome(error)
                if error.kind is not VenueErrorKind.NOT_FOUND:
                    return outcome
        return outcome

    async def cancel_all(self, instruments: Sequence[str] = ()) -> int:
        """Ask for the cancel of every order, smart ones too; no instruments: the whole account.

        Returns how many cancels the venue took. Raises VenueUnavailable.
        """
        symbols = [symbol_of(i) for i in instruments]
        with reading("POLONIEX"):
            if (
                not symbols
                and self._options.order_transport == "websocket"
                and self._requests.available
            ):
                answers = await self._requests.request("cancelAllOrders", {})
                taken = sum(a.code == OK for a in answers)
            else:
                taken = sum(i.code == OK for i in await self._http.cancel_all_orders(symbols))
            return taken + sum(
                i.code == OK for i in await self._http.cancel_all_smart_orders(symbols)
            )

    # -- replace -------------------------------------------------------------------------------

    async def replace(self, ref: OrderRef, intent: Intent) -> Outcome:
        """Cancel-replace in one request (PUT). The new order has a new venue id.

        `intent.quantity` is the total, with what was executed already: the remainder is sent. The
        wire id is the same client order id with a suffix, as the venue may refuse one used twice.
        An execution between the read and the replace can exceed the total; it is reported.
        """
        venue_id = ref.venue_order_id
        if venue_id is None or ref.instrument not in self._instruments:
            return Refused("POLONIEX-REPLACE", "expected an order with a venue order id; not sent")
        if venue_id.startswith(SMART):
            return await self._replace_smart(venue_id, intent)
        try:
            old = await self._http.order(order_id=venue_id)
        except VenueError as error:
            return Refused(error.code, f"{error.message}; the replacement was not sent")
        now = self._lookup.regular(old)
        if now.state.is_terminal:
            return Refused("POLONIEX-REPLACE-CLOSED", f"the order is {now.state} already; not sent")
        remainder = intent.quantity - now.filled
        if remainder <= 0:
            return Refused("POLONIEX-REPLACE-FILLED", f"{now.filled} is filled already; not sent")
        precision = self._instruments[ref.instrument].size_precision
        wire = wire_id(intent).replaced(venue_id, units_of(now.filled, precision))
        change = ReplaceRequest(
            price=None if intent.price is None else plain(intent.price),
            quantity=plain(remainder),
            type="LIMIT_MAKER" if intent.post_only else "LIMIT",
            time_in_force=None if intent.post_only else intent.time_in_force.value,
            client_order_id=wire.text(),
        )
        return await self._send_replace(
            venue_id, wire, self._http.replace_order(change, order_id=venue_id)
        )

    async def _replace_smart(self, venue_id: str, intent: Intent) -> Outcome:
        """A stop that waits; one that has triggered is a regular order of its own and stays."""
        plan = await self._planner.plan(intent, self._now_ns())
        if isinstance(plan, Refused):
            return plan
        if not plan.is_smart or self._tracker.child_of(venue_id) is not None:
            return Refused("POLONIEX-REPLACE-TRIGGERED", "the stop has triggered; not sent")
        wire = plan.wire.replaced(venue_id, 0)
        change = ReplaceRequest(
            price=plan.request.price,
            stop_price=plan.request.stop_price,
            quantity=plan.request.quantity,
            time_in_force=plan.request.time_in_force,
            client_order_id=wire.text(),
        )
        send = self._http.replace_smart_order(change, order_id=venue_id.removeprefix(SMART))
        outcome = await self._send_replace(venue_id, wire, send, SMART)
        if isinstance(outcome, Accepted):
            order = _waiting(intent, outcome.venue_order_id, self._now_ns())
            self._tracker.smart(order, None)
        return outcome

    async def _send_replace(
        self, venue_id: str, wire: WireId, sending: Awaitable[s.Created], prefix: str = ""
    ) -> Outcome:
        """The old order's `canceled` is withheld until it is known whether a new one took over."""
        problem = client_id_problem(wire)
        if problem is not None:
            if asyncio.iscoroutine(sending):
                sending.close()
            return Refused("POLONIEX-CLIENT-ID", problem)
        self._tracker.used(wire)
        self._tracker.replacing(venue_id)
        outcome: Outcome = Unknown("interrupted")
        try:
            outcome = await self._one_create(sending, prefix)
            if isinstance(outcome, Unknown):
                outcome = await self._look_for_replacement(wire, outcome)
        finally:
            self._tracker.replace_ended(venue_id, replaced=isinstance(outcome, Accepted))
        return outcome

    async def _look_for_replacement(self, wire: WireId, unknown: Unknown) -> Outcome:
        """The answer was lost: reads only; what isn't found stays UNKNOWN."""
        for wait in REPLACE_LOOKS_SECS:
            await asyncio.sleep(wait)
            try:
                found = await self._lookup.by_wire(wire)
            except VenueError:
                continue
            if found is not None:
                return Accepted(found.venue_order_id, found)
        return unknown

    # -- read ----------------------------------------------------------------------------------

    async def find(
        self, intent: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        return await self._lookup.find(intent, known, ts_sent, slack_ns)

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        return await self._lookup.find_all(lost)

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        with reading("POLONIEX"):
            return await self._lookup.orders(refs)

    async def open_orders(self, instruments: Sequence[str]) -> list[VenueOrder]:
        with reading("POLONIEX"):
            return await self._lookup.open_orders(instruments)

    async def fills(self, refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        """Every execution of the named orders; those of a smart order are its child's."""
        with reading("POLONIEX"):
            return await self._lookup.fills(refs)

    async def balances(self) -> list[VenueBalance]:
        with reading("POLONIEX"):
            told = account_balances(await self._http.balances(account_type="SPOT"))
        self._tracker.merge(told)
        return told

    def fee(self, instrument: str, side: Side, quantity: Decimal, price: Decimal) -> Fee:
        """The taker's rate: a buyer pays in base, a seller in quote (section 2)."""
        return self._instruments[instrument].fee(side, quantity, price)


# -- answers --------------------------------------------------------------------------------------


def _created(venue_order_id: str, prefix: str = "") -> Outcome:
    if not venue_order_id or venue_order_id == "0":
        return Unknown("expected an order id in the answer, received none")
    return Accepted(prefix + venue_order_id)


def _batch_outcome(item: s.BatchItem) -> Outcome:
    if item.id:
        return _created(item.id)
    if item.code == OK:
        return Unknown("a batch element with neither id nor error")
    return create_outcome(venue_error(item.code, item.message))


def _cancel_item(told: tuple[int, str | None] | None) -> CancelOutcome:
    if told is None:
        return Unknown("the answer does not name this order")
    code, message = told
    return CancelAccepted() if code == OK else cancel_outcome(venue_error(code, message))


def _waiting(intent: Intent, venue_order_id: str, now_ns: int) -> VenueOrder:
    """A stop that the venue has just taken: the create's answer holds ids only."""
    return VenueOrder(
        venue_order_id=venue_order_id,
        instrument=intent.instrument,
        side=intent.side,
        kind=kind_for(intent.side, intent.trigger_condition),
        state=OrderState.WAITING,
        quantity=intent.quantity,
        filled=Decimal(0),
        client_order_id=intent.client_order_id,
        price=intent.price,
        trigger_price=intent.trigger_price,
        trigger_condition=intent.trigger_condition,
        time_in_force=intent.time_in_force,
        ts_created=now_ns,
        ts_updated=now_ns,
    )
