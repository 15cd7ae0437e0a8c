"""Mutants of the order desk, the journal, and of who owns what."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant, mutant, one
from tests.mutants.parts import DESK, T_GUARD, T_MISSING, T_ORDERS

DESK_MUTANTS: tuple[Mutant, ...] = (
    mutant(
        "resend-unknown",
        DESK,
        "an order whose answer was lost is sent again",
        one(
            "            self._unproven.begin(order, outcome.reason)\n",
            "            await self.send([order])\n",
        ),
        T_ORDERS,
    ),
    mutant(
        "unknown-is-refused",
        DESK,
        "a lost answer counts as a refusal",
        one(
            "            self._unproven.begin(order, outcome.reason)\n",
            '            self._table.refuse(order, "TIMEOUT", outcome.reason, outcome)\n',
        ),
        T_ORDERS,
    ),
    mutant(
        "absent-by-the-end-of-a-look",
        DESK,
        "absence counts to where a look ended, which may be long after its first page",
        one(
            "elif (gone := absence.count(began, result)) is not None:",
            "elif (gone := absence.count(loop.time(), result)) is not None:",
        ),
        T_ORDERS,
    ),
    mutant(
        "late-twins-are-nobodys",
        "engine/orders/late.py",
        "two of the same that both come late are left alone",
        one("        if len(came) <= len(group):\n", "        if len(came) < len(group):\n"),
        T_ORDERS,
    ),
    mutant(
        "late-of-an-earlier-run",
        "adapters/base/execution_client.py",
        "an order of an earlier run that comes late and is over is told to no strategy",
        one("        return name if self._is_told and ", "        return name if False and "),
        ("tests/unit/orders/test_late_orders.py",),
    ),
    mutant(
        "balances-prove-the-unbooked",
        "engine/orders/balance_check.py",
        "a difference counts that an execution makes which is being read",
        one("            if self._desk.unbooked():\n", "            if False:\n"),
        T_ORDERS,
    ),
    mutant(
        "executions-of-the-replaced-unread",
        "engine/orders/replacement.py",
        "a read under way at a replacement stands for one after it",
        one("owes_read = self._can.reports_fills  ", "owes_read = False  "),
        T_ORDERS,
    ),
    mutant(
        "lost-read-of-executions-is-a-read",
        "engine/orders/table.py",
        "executions whose answer was lost are not asked for again",
        one("            order.owes_read = True\n", "            pass\n"),
        T_ORDERS,
    ),
    mutant(
        "base-of-two-moments",
        "engine/orders/balance_check.py",
        "balances are agreed on though an order came and went while they were asked for",
        one("and self._desk.journal.newest() == newest\n", "\n"),
        T_ORDERS,
    ),
    mutant(
        "journal-after-send",
        DESK,
        "the intent is journaled only after the order was sent",
        (
            Edit("ts_sent = self._journal.intend(sendable)", "ts_sent = self._now_ns()"),
            Edit(
                "outcomes = await self._venue.submit(intents)\n",
                "outcomes = await self._venue.submit(intents)\n"
                "            self._journal.intend(intents)\n",
            ),
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "reused-trade-id-dropped",
        DESK,
        "an execution is dropped, as its trade id was another order's in an earlier life",
        one("            if owner == intent.client_order_id:\n", "            if owner:\n"),
        T_ORDERS,
    ),
    mutant(
        "forgotten-is-cancelled-again",
        DESK,
        "an order that the venue knows nothing of is cancelled again and again",
        one("if not o.state.is_terminal and not o.is_missing]", "if not o.state.is_terminal]"),
        T_ORDERS,
    ),
    mutant(
        "told-before-journaled",
        DESK,
        "the strategy hears of an acceptance before the journal does",
        (
            Edit(
                "        former = self._journal.accepted(\n",
                "        self._sink.order_accepted(intent, venue_order_id, self._now_ns())\n"
                "        former = self._journal.accepted(\n",
            ),
            Edit(
                "            self._sink.order_accepted(intent, venue_order_id, self._now_ns())\n",
                "            pass\n",
            ),
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "fill-twice-desk",
        DESK,
        "an execution that was booked before is told again",
        one(
            "booked = self._journal.fill(intent, fill, base_fee, findings)",
            "booked = self._journal.fill(intent, fill, base_fee, findings) or fill",
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "fill-twice-journal",
        DESK,
        "the journal books one trade twice",
        one("INSERT OR IGNORE INTO fills", "INSERT OR REPLACE INTO fills"),
        T_ORDERS,
    ),
    mutant(
        "stale-page",
        DESK,
        "a page older than what is known moves an order back",
        one(
            "elif _PROGRESS.get(state.state, -1) > _PROGRESS.get(order.state, -1):",
            "elif state.state is not order.state:",
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "absent-at-once",
        DESK,
        "one look without the order proves that it never was",
        one("if self._looks >= MIN_ABSENT_LOOKS and secs >= self._needed_secs:", "if True:"),
        T_ORDERS,
    ),
    mutant(
        "no-quarantine",
        DESK,
        "absence is proven before the venue's lag is over",
        one(
            "if self._looks >= MIN_ABSENT_LOOKS and secs >= self._needed_secs:",
            "if self._looks >= MIN_ABSENT_LOOKS:",
        ),
        T_ORDERS,
    ),
    mutant(
        "known-ids-forgotten",
        DESK,
        "the search for a lost order may find one that is another's",
        one(
            "return self._journal.known_venue_ids(order.intent.instrument, since_ns)",
            "return frozenset()",
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "replacement-of-another",
        DESK,
        "an order of long ago is taken for the replacement whose answer was lost",
        one("        return owner is not None\n", "        return False\n"),
        T_ORDERS,
    ),
    mutant(
        "end-of-a-chain-believed-early",
        DESK,
        "reads from before a replaced order's end count: its last executions are not booked",
        one("        is_of_end = order.end_reads is not None\n", "        is_of_end = True\n"),
        T_ORDERS,
    ),
    mutant(
        "price-not-clamped",
        DESK,
        "a rounded average books an execution worse than the limit",
        one(
            "return min(price, limit) if order.intent.side is Side.BUY else max(price, limit)",
            "return price",
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "base-fee-ignored",
        DESK,
        "a fee in base currency stays in the position",
        one("base_fee = fill.fee\n", "base_fee = Decimal(0)\n"),
        T_ORDERS,
    ),
    mutant(
        "cancel-of-unknown-lost",
        DESK,
        "the cancel of an order of unknown outcome is forgotten",
        one(
            "            order.cancel_requested = True\n        proven =",
            "            order.cancel_requested = order.is_proven\n        proven =",
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "end-before-fills",
        DESK,
        "the end of an order overtakes its executions, which are lost",
        (
            Edit(
                "if order.filled < state.filled and not self._are_fills_missing(order):",
                "if False:",
            ),
            Edit(
                "        if order.filled < state.filled:\n            fill =",
                "        if False:\n            fill =",
            ),
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "fills-not-awaited",
        DESK,
        "an execution that the venue will list is made up instead",
        one("if order.filled < state.filled and not self._are_fills_missing(order):", "if False:"),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "overfill-unseen",
        DESK,
        "more filled than ordered is no finding",
        one("if order.filled + booked.quantity > intent.quantity:", "if False:"),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "twins-sent",
        DESK,
        "an order that the venue can't tell from a lost one is sent",
        one("if fingerprint(intent) in unproven:", "if False:"),
        T_ORDERS,
    ),
    mutant(
        "halt-ignored",
        DESK,
        "a desk that was stopped goes on sending",
        one(
            "        if self._shared.halted:\n            self._refuse_unsent",
            "        if False:\n            self._refuse_unsent",
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "dead-desk-trades",
        DESK,
        "orders are created after the desk has failed",
        one('        self._shared.halt(f"the order desk failed: {error}")\n', ""),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "kill-not-asked-last",
        DESK,
        "an order that waits in the desk passes a kill",
        one("orders = self._without_killed(orders)", "orders = list(orders)"),
        T_ORDERS,
    ),
    mutant(
        "recovery-skips-intended",
        DESK,
        "orders that were about to be sent when the process died are forgotten",
        one(
            "FROM orders WHERE state NOT IN ('FILLED', ",
            "FROM orders WHERE state NOT IN ('INTENDED', 'FILLED', ",
        ),
        T_ORDERS,
    ),
    mutant(
        "late-order-left",
        DESK,
        "an order that was given up and turns up is left in the market",
        (
            Edit('self._shared.spawn(self._cancels.batch([order]), "cancel a late order")', "pass"),
            Edit(
                "        order.cancel_requested = True\n        self._table.live[",
                "        order.cancel_requested = False\n        self._table.live[",
            ),
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "external-is-ours",
        "adapters/base/account.py",
        "another's order is handed to a strategy",
        one(
            "[order for order in self._externals if order.instrument not in self._claimed]",
            "list(self._externals)",
        ),
        T_MISSING,
    ),
    mutant(
        "damage-unseen",
        DESK,
        "a damaged journal is opened and trusted",
        one(
            "        if problem is not None:\n            raise sqlite3.DatabaseError(problem)",
            "        if False:\n            raise sqlite3.DatabaseError(problem)",
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "turned-position-cost",
        DESK,
        "a position that turned round keeps the cost of the old one",
        one("return after, after * price", "return after, cost"),
        T_ORDERS,
    ),
    mutant(
        "trigger-inverted",
        DESK,
        "a SELL stop and a SELL touch are swapped",
        (
            Edit(
                "(Side.SELL, TriggerCondition.LTE): Kind.STOP_LIMIT",
                "(Side.SELL, TriggerCondition.LTE): Kind.LIMIT_IF_TOUCHED",
            ),
            Edit(
                "(Side.SELL, TriggerCondition.GTE): Kind.LIMIT_IF_TOUCHED",
                "(Side.SELL, TriggerCondition.GTE): Kind.STOP_LIMIT",
            ),
        ),
        T_GUARD,
        T_ORDERS,
    ),
    mutant(
        "lock-shared",
        "engine/orders/lock.py",
        "two processes trade one account",
        one(
            "                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
            "                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)\n",
        ),
        T_MISSING,
    ),
    mutant(
        "claims-shared",
        "engine/run/takeover.py",
        "an instrument is claimed by every strategy that names it",
        one("                names.remove(name)\n", ""),
        T_MISSING,
    ),
)
