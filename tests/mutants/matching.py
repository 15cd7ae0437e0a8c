"""Mutants of simulated matching: fills that could not have happened."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, one
from tests.mutants.parts import T_MATCHING

MARKET = ("engine/matching/market.py",)
EXCHANGE = ("engine/matching/exchange.py",)
WORKING = ("engine/matching/working.py",)
MAKERS = ("engine/matching/makers.py",)
LINE = ("engine/matching/line.py",)
ACCOUNTS = ("engine/matching/accounts.py",)


def _mutant(name: str, where: tuple[str, ...], breaks: str, find: str, put: str) -> Mutant:
    return Mutant(
        id=f"matching-{name}", where=where, breaks=breaks, edits=one(find, put), tests=T_MATCHING
    )


MATCHING_MUTANTS: tuple[Mutant, ...] = (
    _mutant(
        "own-limit",
        WORKING,
        "a fired stop fills at its own limit",
        "done = self._house.fill(order, price, quantity, is_maker=False)",
        "done = self._house.fill(order, order.price or price, quantity, is_maker=False)",
    ),
    _mutant(
        "old-book",
        MARKET,
        "a taker meets levels that a newer trade swept",
        "            found = met(taker, found, last=trade)\n",
        "            pass\n",
    ),
    _mutant(
        "took-what-was-traded",
        ("engine/matching/taking.py",),
        "a taker gets what a newer trade took of a level",
        "size - last.size if may_have_taken and price == last.price else size",
        "size",
    ),
    _mutant(
        "one-trade",
        MARKET,
        "what an earlier trade swept stands again when another one comes",
        "        for trade in self.newer:  # each",
        "        for trade in self.newer[-1:]:  # each",
    ),
    _mutant(
        "rests-too-soon",
        WORKING,
        "what a fired stop can't take yet rests at its own limit",
        "        elif self._is_hidden(order):\n            return\n",
        "",
    ),
    _mutant(
        "for-ever",
        MARKET,
        "a level that was taken is gone for ever, also when it is told anew",
        "            self.taken[side].told(price, self.now_ns)\n        self.settled",
        "        self.settled",
    ),
    _mutant(
        "endless-level",
        WORKING,
        "every taker meets the whole level again",
        "            market.take(order.side, [(price, done)])\n",
        "",
    ),
    _mutant(
        "trade-used-twice",
        MAKERS,
        "two resting orders each get the whole of a trade",
        "            yield MakerFill(order, order.price, part)\n"
        "            left -= order.filled - before\n    for",
        "            yield MakerFill(order, order.price, part)\n    for",
    ),
    _mutant(
        "no-queue",
        MAKERS,
        "a resting order fills before what is ahead of it",
        "part = min(order.remaining, order.traded(left, now_ns))",
        "part = min(order.remaining, left)",
    ),
    _mutant(
        "queue-shortened-twice",
        ("engine/matching/orders.py",),
        "a trade and the book that came before it both shorten the queue",
        "        more = size - known - self.ahead\n",
        "        more = size - self.ahead\n",
    ),
    _mutant(
        "wrong-queue",
        MARKET,
        "a trade fills the side of the book that it did not take from",
        "            return opposite(seen.aggressor)\n",
        "            return seen.aggressor\n",
    ),
    _mutant(
        "resized-exit",
        EXCHANGE,
        "a reduce-only order passes through zero",
        "            part = min(part, self.account.positions.reducible(new))\n",
        "",
    ),
    _mutant(
        "waits-for-data",
        LINE,
        "a command is executed after the data that follows it",
        "        self._carry_out(ts_ns - 1)\n        event(ts_ns)\n",
        "        event(ts_ns)\n        self._carry_out(ts_ns)\n",
    ),
    _mutant(
        "passed-trigger",
        EXCHANGE,
        "a stop whose trigger was passed is taken",
        "            return _passed(order.trigger, order.side, market)\n",
        "            return None\n",
    ),
    _mutant(
        "unpaid",
        ACCOUNTS,
        "a cash account buys for money that it has not",
        "        if cost <= has:\n            return quantity\n",
        "        return quantity\n",
    ),
)
