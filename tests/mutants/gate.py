"""Mutants of the risk gate, the kill switch, the guard of strategies, and of secrets."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant, one
from tests.mutants.parts import (
    GUARD,
    KILL,
    RISK,
    T_APPROVED,
    T_GATE,
    T_GUARD,
    T_HANDOVER,
    T_KNOWN,
    T_LIVE,
    T_MISSING,
    T_PROTECTION,
    T_WALL,
)

GATE_MUTANTS: tuple[Mutant, ...] = (
    mutant(
        "approved-comes-again",
        GUARD,
        "an order that was approved once may be sent again, past the gate",
        one(" or order_id not in guard.creating:", ":"),
        ("tests/unit/guard/test_engine_calls.py",),
    ),
    mutant(
        "position-without-orders",
        RISK,
        "open orders don't count against the position limit",
        one("reach = position + open_quantity + quantity", "reach = position + quantity"),
        T_GATE,
    ),
    mutant(
        "fees-still-held",
        RISK,
        "what a buyer paid in base currency counts as held",
        one(
            "self._hold(strategy, instrument, signed - fee)",
            "self._hold(strategy, instrument, signed)",
        ),
        ("tests/unit/risk/test_base_fees.py",),
    ),
    mutant(
        "position-unchecked",
        RISK,
        "no position limit",
        one("if toward > limit:", "if False:"),
        T_GATE,
    ),
    mutant(
        "exits-unbounded",
        RISK,
        "exits together ask for more than is held",
        one("    if asked <= limit:\n", "    if True:\n"),
        T_WALL,
    ),
    mutant(
        "any-order-protects",
        RISK,
        "entries and other exits pass without a whole book",
        one(
            "if order.role is Role.STOP and not self._is_market_known() and self._protects(order):",
            "if order.trigger_price is not None and not self._is_market_known():",
        ),
        T_PROTECTION,
    ),
    mutant(
        "protection-beyond-position",
        RISK,
        "a stop for more than is held passes without a book",
        one("return 0 < self.remaining <= held", "return True"),
        T_PROTECTION,
    ),
    mutant(
        "protection-held-back",
        RISK,
        "a protective stop waits for a whole book",
        one("            self._stand_in(order)\n", "            pass\n"),
        T_PROTECTION,
    ),
    mutant(
        "protection-by-an-old-trade",
        RISK,
        "a protection is compared with a trade of long ago",
        one(
            "if trade is None or self.now_ns - trade.ts_ns > self.limits.stale_after_ns:",
            "if trade is None:",
        ),
        T_PROTECTION,
    ),
    mutant(
        "least-position-unchecked",
        RISK,
        "sells go below min_position",
        one("    if reach < limit:\n", "    if False:\n"),
        T_WALL,
    ),
    mutant(
        "nothing-handed-over",
        GUARD,
        "a restarted strategy does not get its orders back",
        one("strategy.on_recovered(orders, positions)", "strategy.on_recovered([], positions)"),
        T_HANDOVER,
    ),
    mutant(
        "notional-unchecked",
        RISK,
        "no limit of an order's value",
        one("    if notional > limit:\n", "    if False:\n"),
        T_GATE,
    ),
    mutant(
        "collar-unchecked",
        RISK,
        "a price far through the market passes",
        one("    if through > reach:\n", "    if False:\n"),
        T_GATE,
    ),
    mutant(
        "stale-unchecked",
        RISK,
        "prices are compared with a market of long ago",
        one("    if age_ns > limit_ns:\n", "    if False:\n"),
        T_GATE,
    ),
    mutant(
        "balance-unchecked",
        RISK,
        "orders that nothing can pay for pass",
        one(
            '    if need > available:\n        return Denial(\n            "FREE',
            '    if False:\n        return Denial(\n            "FREE',
        ),
        T_GATE,
    ),
    mutant(
        "margin-unchecked",
        RISK,
        "a margin account enters what it can't carry",
        one(
            '    if need > available:\n        return Denial(\n            "MARGIN',
            '    if False:\n        return Denial(\n            "MARGIN',
        ),
        T_GATE,
    ),
    mutant(
        "paid-balance-is-equity",
        RISK,
        "what a balance has paid for positions is taken for lost",
        one("        total, free = total + paid, free + paid\n", ""),
        T_GATE,
    ),
    mutant(
        "unknown-unchecked",
        RISK,
        "orders of unknown outcome pile up",
        one(
            '    if count >= limit:\n        return Denial(\n            "UNKNOWN',
            '    if False:\n        return Denial(\n            "UNKNOWN',
        ),
        T_GATE,
    ),
    mutant(
        "loss-unchecked",
        RISK,
        "trading goes on below the loss limit",
        one("        if value >= limit:\n", "        if False:\n"),
        T_GATE,
        T_MISSING,
    ),
    mutant(
        "rate-unchecked",
        RISK,
        "any number of orders a second",
        one("    count = view.books.rate.used(view.now_ns) + 1\n", "    count = 1\n"),
        T_GATE,
    ),
    mutant(
        "reduce-only-unchecked",
        RISK,
        "a reduce-only order turns the position round",
        one("    if remaining <= reducible:\n", "    if True:\n"),
        T_GATE,
    ),
    mutant(
        "desk-takes-anything",
        "engine/orders/approved.py",
        "an intent that nobody approved is sent",
        one(
            """        if not isinstance(one, Approved):
            raise TypeError(f"expected an Approved, {type(one).__name__} came; nothing was sent")
    return [one.intent for one in approved]
""",
            """        pass
    return [getattr(one, "intent", one) for one in approved]
""",
        ),
        T_APPROVED,
    ),
    mutant(
        "kill-opens",
        RISK,
        "a kill's order may turn a position round",
        one(" or not 0 < intent.quantity <= abs(held):", ":"),
        T_APPROVED,
    ),
    mutant(
        "approval-without-price",
        RISK,
        "an order may change its price after it was approved",
        one(
            "        order.quantity,\n        order.price,\n",
            "        order.quantity,\n        None,\n",
        ),
        T_GATE,
        T_MISSING,
    ),
    mutant(
        "halt-passed",
        RISK,
        "a halt refuses nothing",
        one(
            "if halt is not None and not (self._passes_halt",
            "if halt is None and not (self._passes_halt",
        ),
        T_GATE,
    ),
    mutant(
        "kill-file-ignored",
        KILL,
        "the kill switch file stops nothing",
        one(
            "        if (found := self.by_file()) is not None:",
            "        if (found := None) is not None:",
        ),
        T_GATE,
    ),
    mutant(
        "stale-balance-suffices",
        RISK,
        "an order is paid with a scarce balance of before the last fill",
        one("        again = verdict > AMPLE and ", "        again = False and "),
        ("tests/unit/risk/test_view_funds.py",),
    ),
    mutant(
        "unreadable-kill-ignored",
        KILL,
        "a kill that can't be understood is no kill",
        one('return self._unreadable(path, f"expected a kill as JSON: {error}")', "return None"),
        T_GATE,
    ),
    mutant(
        "breach-unseen",
        "engine/guard/stop.py",
        "an order that passed no gate is not noticed",
        one(
            "        core.run.add_breach(core.id, order_id, what)\n",
            "        return\n",
        ),
        T_GUARD,
    ),
    mutant(
        "fault-forgotten",
        "engine/guard/stop.py",
        "a strategy that raised goes on trading",
        one("            core.gate.fault(core.id, reason)\n", "            pass\n"),
        T_GUARD,
        T_MISSING,
    ),
    mutant(
        "last-look-skipped",
        "adapters/base/execution_client.py",
        "an order that the gate never approved is sent",
        one("sendable = self._trading.approvals.order(intent)", "sendable = Approved(intent)"),
        T_LIVE,
    ),
    mutant(
        "known-past-a-kill",
        RISK,
        "an order that is like others passes a kill",
        one("            look.kill_switch(order) is None\n            and ", "            "),
        T_KNOWN,
    ),
    mutant(
        "known-at-any-price",
        RISK,
        "an order through the market passes after one that was not",
        one(
            "            if price > middle if is_buy else price < middle:\n",
            "            if False:\n",
        ),
        T_KNOWN,
    ),
    mutant(
        "known-beside-anything",
        RISK,
        "an order passes the exposure of its venue by its own worth",
        one("and entry.venue.gross + value <= self.venue", "and value <= self.venue"),
        T_KNOWN,
    ),
    mutant(
        "known-whatever-it-needs",
        RISK,
        "an order that needs more than any before is paid by the same balance",
        one("            and need <= paid.need\n", ""),
        T_KNOWN,
    ),
    mutant(
        "exposure-at-old-prices",
        RISK,
        "what else is held is worth what it was when somebody looked last",
        one("            for held in others:\n", "            for held in ():\n"),
        ("tests/unit/risk/test_exposure.py",),
    ),
    mutant(
        "exposure-at-a-fills-price",
        RISK,
        "a fill below the market makes room for more",
        one("price < mark if is_inverse else price > mark", "price != mark"),
        ("tests/unit/risk/test_exposure.py",),
    ),
    mutant(
        "known-without-limit",
        RISK,
        "what closes a position, and is not compared, lets others come as near",
        one(
            '        if passed.get("INSTRUMENT_EXPOSURE") is not None:\n',
            '        if "INSTRUMENT_EXPOSURE" in passed:\n',
        ),
        T_KNOWN,
    ),
    mutant(
        "known-under-old-facts",
        RISK,
        "an instrument's new increments and bounds are not looked at",
        one(
            "return place.able is look.able and (place.facts is look.facts or "
            "place.facts == look.facts)",
            "return place.able is look.able",
        ),
        T_KNOWN,
    ),
)

SECRET_MUTANTS: tuple[Mutant, ...] = (
    mutant(
        "secret-in-repr",
        "engine/secrets.py",
        "a secret is printed with whatever holds it",
        one('return f"Secret({self.source})"', 'return f"Secret({self._text})"'),
        ("tests/unit/test_secrets.py",),
    ),
    mutant(
        "headers-recorded",
        "engine/recording/redact.py",
        "signatures and keys are recorded",
        one("MARK if hide else self.text(value)", "self.text(value)"),
        ("tests/unit/recording/test_redact.py",),
    ),
    mutant(
        "bodies-recorded",
        "engine/recording/redact.py",
        "credentials in bodies are recorded",
        one("        for pattern in _PAIRS:\n", "        for pattern in ():\n"),
        ("tests/unit/recording/test_redact.py",),
    ),
)
