"""An account counts with the gate: the one way from what its desk proves to the limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fairlead.adapters.base.account import Account
from fairlead.engine.run.takeover import count_again, count_in

if TYPE_CHECKING:
    from fairlead.adapters.base.runtime import VenueRuntime
    from fairlead.engine.config import model
    from fairlead.engine.orders.journal import Journal
    from fairlead.engine.orders.model import Intent, VenueFill
    from fairlead.engine.risk.gate import RiskGate


def _nothing(_: object) -> None: ...


def counted_account(
    gate: RiskGate,
    key: str,
    *,
    runtime: VenueRuntime,
    journal: Journal,
    config: model.Config,
    claimed: frozenset[str] = frozenset(),
    on_known: Callable[[Account], None] = _nothing,
    on_sent: Callable[[Intent], None] = _nothing,
    on_apart: Callable[[str, str], None] = lambda *_: None,
) -> Account:
    """The account of the config's venue `key`; what becomes of its orders is told to `gate`.

    `on_known` is called once what it holds is counted, before its private stream opens; `on_apart`
    with each order that NautilusTrader may take for another's: its client order id there, and
    whose it is, of whom the run may have nothing.
    """

    def recovered(account: Account) -> None:
        assert account.desk is not None
        count_in(gate, account, account.desk)
        on_known(account)

    def told(account: Account) -> None:
        """What was filled since the recovery is in what NautilusTrader was told."""
        assert account.desk is not None
        count_again(gate, account, account.desk)

    def halt(instrument: str, why: str) -> None:
        gate.halt(f"{instrument}: {why}", runtime.now_ns(), instrument)

    def filled(strategy: str, fill: VenueFill) -> None:
        """What is executed of one of them."""
        gate.filled(
            fill.client_order_id or "",
            strategy,
            fill.instrument,
            fill.side,
            fill.quantity,
            fill.price,
            (fill.fee, fill.fee_currency),
            fill.ts_event,
        )

    venue = config.venues[key]
    made = Account(
        runtime=runtime,
        account=venue.account,
        account_type=venue.account_type,
        journal=journal,
        approvals=gate.approvals,
        config=config,
        claimed=claimed,
        on_recovered=recovered,
        on_told=told,
        on_halt=halt,
        on_sent=on_sent,
        on_over=gate.order_over,
        on_unknown=lambda count: gate.unknown_outcomes(key, count),
    )
    apart = made.apart
    apart.on_handed, apart.on_filled, apart.on_order = gate.handed, filled, on_apart
    made.killed, made.on_held = gate.recalled, gate.held_again
    return made
