"""The mutants of the order path. Each breaks one promise; the test suite must notice each."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant, mutant, one

DESK = "engine/orders/*.py"
RISK = "engine/risk/*.py"
BOOK = "adapters/base/book.py"
LIMITER = "adapters/base/ratelimit.py"
OCEANEX = "adapters/oceanex/*.py"
POLONIEX = "adapters/poloniex/*.py"

T_ORDERS = ("tests/unit/orders",)
T_LIVE = ("tests/live/test_failures.py",)
T_OCEANEX = (
    *("tests/venues/oceanex/test_book.py", "tests/venues/oceanex/test_stream.py"),
    *("tests/venues/oceanex/test_payloads.py", "tests/venues/oceanex/test_errors.py"),
    *("tests/venues/oceanex/test_http.py", "tests/venues/oceanex/test_ratelimit.py"),
)
T_OCEANEX_SIM = ("tests/venues/oceanex/test_against_simulator.py",)
T_POLONIEX = (
    *("tests/venues/poloniex/test_book.py", "tests/venues/poloniex/test_market_data.py"),
    *("tests/venues/poloniex/test_orders.py", "tests/venues/poloniex/test_orders_changes.py"),
    *("tests/venues/poloniex/test_orders_reads.py", "tests/venues/poloniex/test_orders_stops.py"),
    *("tests/venues/poloniex/test_private_stream.py", "tests/venues/poloniex/test_http.py"),
)
T_GATE = (
    *("tests/unit/test_gate.py", "tests/unit/test_gate_books.py", "tests/unit/test_gate_modes.py"),
    *("tests/unit/test_killswitch.py", "tests/unit/test_guarded.py"),
)
T_GUARD = ("tests/unit/test_guarded.py",)
T_MISSING = ("tests/mutants/test_missing.py",)

DESK_MUTANTS = (
    mutant(
        "resend-unknown",
        DESK,
        "an order whose answer was lost is sent again",
        one(
            "            self._become_unknown(order, outcome.reason)\n",
            "            await self._send([order])\n",
        ),
        T_ORDERS,
    ),
    mutant(
        "unknown-is-refused",
        DESK,
        "a lost answer counts as a refusal",
        one(
            "            self._become_unknown(order, outcome.reason)\n",
            '            self._refuse(order, "TIMEOUT", outcome.reason, outcome)\n',
        ),
        T_ORDERS,
    ),
    mutant(
        "journal-after-send",
        DESK,
        "the intent is journaled only after the order was sent",
        (
            Edit("ts_sent = self.journal.intend(sendable)", "ts_sent = self._now_ns()"),
            Edit(
                "outcomes = await self._venue.submit(intents)\n",
                "outcomes = await self._venue.submit(intents)\n"
                "                self.journal.intend(intents)\n",
            ),
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "told-before-journaled",
        DESK,
        "the strategy hears of an acceptance before the journal does",
        (
            Edit(
                "        self.journal.accepted(\n",
                "        self._sink.order_accepted(intent, venue_order_id, self._now_ns())\n"
                "        self.journal.accepted(\n",
            ),
            Edit(
                "        order.absent_since = None\n"
                "        self._sink.order_accepted(intent, venue_order_id, self._now_ns())\n",
                "        order.absent_since = None\n",
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
            "if not self.journal.fill(intent, fill, base_fee):",
            "if self.journal.fill(intent, fill, base_fee) is None:",
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
        one("if order.absent_looks >= MIN_ABSENT_LOOKS and absent_secs >= needed:", "if True:"),
        T_ORDERS,
    ),
    mutant(
        "no-quarantine",
        DESK,
        "absence is proven before the venue's lag is over",
        one(
            "if order.absent_looks >= MIN_ABSENT_LOOKS and absent_secs >= needed:",
            "if order.absent_looks >= MIN_ABSENT_LOOKS:",
        ),
        T_ORDERS,
    ),
    mutant(
        "known-ids-forgotten",
        DESK,
        "the search for a lost order may find one that is another's",
        one(
            "return self.journal.known_venue_ids(order.intent.instrument, since_ns)",
            "return frozenset()",
        ),
        T_ORDERS,
        T_MISSING,
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
                "if order.filled < state.filled and order.fill_lag < FILL_LAG_POLLS:",
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
        one("if order.filled < state.filled and order.fill_lag < FILL_LAG_POLLS:", "if False:"),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "overfill-unseen",
        DESK,
        "more filled than ordered is no finding",
        one("if order.filled + fill.quantity > intent.quantity:", "if False:"),
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
            "        if self.halted:\n            self._refuse_unsent",
            "        if False:\n            self._refuse_unsent",
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "dead-desk-trades",
        DESK,
        "orders are created after the desk has failed",
        one('        self.halted = self.halted or f"the order desk failed: {error}"\n', ""),
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
            Edit('self._spawn(self._cancel_batch([order]), "cancel a late order")', "pass"),
            Edit(
                "        order.cancel_requested = True\n        self._live[",
                "        order.cancel_requested = False\n        self._live[",
            ),
        ),
        T_ORDERS,
        T_MISSING,
    ),
    mutant(
        "external-is-ours",
        "engine/modes/trading.py",
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
        one('if problem != "ok":', "if False:"),
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
        "engine/modes/lock.py",
        "two processes trade one account",
        one("fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB"),
        T_MISSING,
    ),
    mutant(
        "claims-shared",
        "engine/modes/claims.py",
        "an instrument is claimed by every strategy that names it",
        one("                names.remove(name)\n", ""),
        T_MISSING,
    ),
)

VENUE_MUTANTS = (
    mutant(
        "deletes-forgotten",
        BOOK,
        "levels that are gone stay in the strategy's book",
        one(
            "into += [(_DELETE, BookOrder(side, prices[p], nothing, 0)) for p in gone]",
            "_ = gone",
        ),
        T_OCEANEX,
    ),
    mutant(
        "crossed-passed",
        BOOK,
        "a crossed book is shown as valid",
        one("return min(map(Decimal, asks)) <= max(map(Decimal, bids))", "return False"),
        T_OCEANEX,
    ),
    mutant(
        "locked-passed",
        BOOK,
        "a locked book is shown as valid",
        one(
            "return min(map(Decimal, asks)) <= max(map(Decimal, bids))",
            "return min(map(Decimal, asks)) < max(map(Decimal, bids))",
        ),
        T_OCEANEX,
        T_POLONIEX,
    ),
    mutant(
        "chain-not-checked",
        BOOK,
        "a missing update goes unnoticed",
        one("        if last_id != self.last_id:\n", "        if False:\n"),
        T_POLONIEX,
    ),
    mutant(
        "gap-not-cleared",
        POLONIEX,
        "the strategy keeps the book of before a gap",
        one("items += [clear, Gap(", "items += [Gap("),
        T_POLONIEX,
    ),
    mutant(
        "close-not-cleared",
        OCEANEX,
        "the strategy keeps the book of a connection that is gone",
        one('items.extend(channel.break_off("connection closed", ts_init))', "pass"),
        T_OCEANEX,
    ),
    mutant(
        "sides-swapped",
        OCEANEX,
        "bids are asks",
        one("book.diff(payload.asks, payload.bids,", "book.diff(payload.bids, payload.asks,"),
        T_OCEANEX,
    ),
    mutant(
        "trades-repeated",
        OCEANEX,
        "a trade that is pushed again is told again",
        one("            if row.tid in self._seen:\n", "            if False:\n"),
        T_OCEANEX,
    ),
    mutant(
        "size-is-amount",
        POLONIEX,
        "a trade's size is its value in quote currency",
        one("instrument.numbers.sizes[row.quantity]", "instrument.numbers.sizes[row.amount]"),
        T_POLONIEX,
    ),
    mutant(
        "aggressor-swapped",
        "adapters/oceanex/parse.py",
        "the taker of a trade is its maker",
        one(
            '    "buy": AggressorSide.BUY,\n    "sell": AggressorSide.SELL,\n}',
            '    "buy": AggressorSide.SELL,\n    "sell": AggressorSide.BUY,\n}',
        ),
        T_OCEANEX,
    ),
    mutant(
        "fee-in-quote",
        "adapters/oceanex/orders.py",
        "a buyer's fee is booked in the wrong currency",
        one("return Fee(quantity * rate, facts.base)", "return Fee(quantity * rate, facts.quote)"),
        T_OCEANEX,
        T_OCEANEX_SIM,
        T_MISSING,
    ),
    mutant(
        "fee-in-quote-poloniex",
        "adapters/poloniex/orders.py",
        "a buyer's fee is booked in the wrong currency",
        one(
            "Fee(quantity * facts.taker_fee, facts.base)",
            "Fee(quantity * facts.taker_fee, facts.quote)",
        ),
        T_POLONIEX,
        T_MISSING,
    ),
    mutant(
        "finds-known",
        OCEANEX,
        "the search for a lost order takes one that is known as another",
        one("row.venue_order_id not in known and is_recent", "is_recent"),
        T_OCEANEX,
        T_OCEANEX_SIM,
    ),
    mutant(
        "ambiguous-adopted",
        OCEANEX,
        "of two orders that could be the lost one, any is adopted",
        one("        if len(candidates) > 1:\n", "        if False:\n"),
        T_OCEANEX,
        T_OCEANEX_SIM,
        T_MISSING,
    ),
    mutant(
        "condition-inverted",
        OCEANEX,
        "gte is sent as lte",
        one(
            '"gte" if intent.trigger_condition == "gte" else "lte"',
            '"lte" if intent.trigger_condition == "gte" else "gte"',
        ),
        T_OCEANEX,
        T_OCEANEX_SIM,
    ),
    mutant(
        "touch-is-stop",
        "adapters/oceanex/parse.py",
        "LIMIT_IF_TOUCHED comes back as STOP_LIMIT",
        one(
            "return Kind.STOP_LIMIT if is_stop else Kind.LIMIT_IF_TOUCHED", "return Kind.STOP_LIMIT"
        ),
        T_OCEANEX,
        T_OCEANEX_SIM,
    ),
    mutant(
        "touch-is-stop-poloniex",
        "adapters/poloniex/parse.py",
        "LIMIT_IF_TOUCHED comes back as STOP_LIMIT",
        one(
            "touched = (side is Side.BUY) == (condition is TriggerCondition.LTE)", "touched = False"
        ),
        T_POLONIEX,
    ),
    mutant(
        "post-only-dropped",
        "adapters/poloniex/requests.py",
        "a post-only order may take",
        one('"LIMIT_MAKER" if intent.post_only else type_', "type_"),
        T_POLONIEX,
    ),
    mutant(
        "code-unknown-is-refused",
        "adapters/oceanex/errors.py",
        "a code that no document names counts as a refusal",
        one(
            "    if wrapped or code not in ERROR_CODES:\n        return _UNKNOWN",
            "    if wrapped or code not in ERROR_CODES:\n        return _REFUSED",
        ),
        T_OCEANEX,
    ),
    mutant(
        "sent-is-refused",
        "adapters/oceanex/errors.py",
        "a request that broke off after sending counts as refused",
        one("kind = _UNKNOWN if error.sent else _REFUSED", "kind = _REFUSED"),
        T_OCEANEX,
        T_OCEANEX_SIM,
    ),
    mutant(
        "batch-refused-whole",
        "adapters/oceanex/orders.py",
        "a batch that failed in part counts as refused",
        one("    if at_the_door or not_sent:\n", "    if True:\n"),
        T_OCEANEX,
        T_OCEANEX_SIM,
    ),
    mutant(
        "duplicate-id-is-refused",
        "adapters/poloniex/errors.py",
        "the proof that our order exists counts as a refusal",
        one("21312: (_UNKNOWN,", "21312: (_REFUSED,"),
        T_POLONIEX,
        T_MISSING,
    ),
    mutant(
        "create-repeated",
        "adapters/poloniex/session.py",
        "a create that was over the limit is sent again",
        one('_read(once) if method == "GET" else once()', "_read(once)"),
        T_POLONIEX,
        T_MISSING,
    ),
    mutant(
        "replaced-is-cancelled",
        "adapters/poloniex/tracking.py",
        "the end of a replaced order ends the one that took over",
        one("        if order.venue_order_id in self._replaced:\n", "        if False:\n"),
        T_POLONIEX,
    ),
    mutant(
        "signature-not-checked",
        "adapters/oceanex/simulator_auth.py",
        "the simulated venue takes any signature, so that signing is tested by nothing",
        one('options={"verify_exp"', 'options={"verify_signature": False, "verify_exp"'),
        ("tests/simulation/test_oceanex_rest.py",),
    ),
    mutant(
        "weights-ignored",
        LIMITER,
        "a batch counts as one order",
        one("        self._used += weight\n", "        self._used += 1\n"),
        ("tests/venues/oceanex/test_ratelimit.py",),
        T_MISSING,
    ),
    mutant(
        "no-cancel-reserve",
        LIMITER,
        "creates can use up what cancels need",
        one('"create": rate.count - kept,', '"create": rate.count,'),
        ("tests/venues/oceanex/test_ratelimit.py",),
    ),
    mutant(
        "penalty-ignored",
        LIMITER,
        "the venue's word that the limit is reached is not heard",
        one("window.blocked_until = max(window.blocked_until, until)", "_ = until, window"),
        ("tests/venues/oceanex/test_ratelimit.py",),
    ),
)

GATE_MUTANTS = (
    mutant(
        "position-without-orders",
        RISK,
        "open orders don't count against the position limit",
        one("reach = position + open_quantity + quantity", "reach = position + quantity"),
        T_GATE,
    ),
    mutant(
        "position-unchecked",
        RISK,
        "no position limit",
        one("if toward > limit:", "if False:"),
        T_GATE,
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
        one("    if need > available:\n", "    if False:\n"),
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
        one("if halt is not None and not (self._exiting", "if halt is None and not (self._exiting"),
        T_GATE,
    ),
    mutant(
        "kill-file-ignored",
        RISK,
        "the kill switch file stops nothing",
        one("        if self._path is not None:\n", "        if False:\n"),
        T_GATE,
    ),
    mutant(
        "unreadable-kill-ignored",
        RISK,
        "a kill that can't be understood is no kill",
        one('return self._unreadable(path, f"expected a kill as JSON: {error}")', "return None"),
        T_GATE,
    ),
    mutant(
        "breach-unseen",
        "engine/strategy.py",
        "an order that passed no gate is not noticed",
        one(
            "        self._guard_run.add_breach(self._guard_id, order_id, what)\n",
            "        return\n",
        ),
        T_GUARD,
    ),
    mutant(
        "fault-forgotten",
        "engine/strategy.py",
        "a strategy that raised goes on trading",
        one("            self._guard_gate.fault(self._guard_id, reason)\n", "            pass\n"),
        T_GUARD,
        T_MISSING,
    ),
    mutant(
        "last-look-skipped",
        "adapters/base/execution_client.py",
        "an order that the gate never approved is sent",
        one("reason = self._trading.approvals.order_denial(order)", "reason = None"),
        T_LIVE,
    ),
)

SECRET_MUTANTS = (
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
        ("tests/unit/test_recording_redact.py",),
    ),
    mutant(
        "bodies-recorded",
        "engine/recording/redact.py",
        "credentials in bodies are recorded",
        one("        for pattern in _PAIRS:\n", "        for pattern in ():\n"),
        ("tests/unit/test_recording_redact.py",),
    ),
)

MUTANTS: tuple[Mutant, ...] = (*DESK_MUTANTS, *VENUE_MUTANTS, *GATE_MUTANTS, *SECRET_MUTANTS)
