"""Why a venue rejected orders, counted: by reason, without what is of one order only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from fairlead.engine.orders.journal_reads import Refusal
from fairlead.engine.orders.model import NOT_SENT
from fairlead.engine.orders.table import ABSENT

REASON_CHARS_MAX = 160
KINDS_MAX = 30
OTHER = "(other reasons)"
RESOLVED = "RESOLVED"

_ID = re.compile(r"\b(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|O-\d{8}-\S+)")
_NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:[.,]\d+)*(?!\w)")


# NautilusTrader's simulated exchange: "because of configuration" is its `reject_stop_orders`
_PASSED = re.compile(
    r"\w+ (?P<side>BUY|SELL) order (?:new )?(?:stop|trigger) px of (?P<trigger>\S+) was in the "
    r"market: bid=(?P<bid>\S+), ask=(?P<ask>[^\s,]+)(?:, but rejected because of configuration)?"
)


def plain(reason: str) -> str:
    """The reason in the words that it has on paper, too."""
    found = _PASSED.fullmatch(reason)
    if found is None:
        return reason
    market = found["ask"] if found["side"] == "BUY" else found["bid"]
    trigger = found["trigger"]
    return f"TRIGGER-PASSED: the trigger price {trigger} was passed, the market is {market}"


def normal(reason: str) -> str:
    """The reason with `#` for each number and id: prices and ids of one order make no kind."""
    text = _NUMBER.sub("#", _ID.sub("#", " ".join(plain(reason).split())))
    return text[:REASON_CHARS_MAX] or "(no reason told)"


def told_by(refusal: Refusal) -> str:
    """A journal's reason, as the run is told of it in which it happens."""
    if refusal.type == "Absent":
        return f"{ABSENT}: {refusal.evidence}"
    if refusal.by:
        return f"{RESOLVED}: gone by a person's word: {refusal.reason}"
    if not refusal.code:
        return refusal.reason or ""
    is_told = refusal.is_sent or NOT_SENT in refusal.message
    return f"{refusal.code}: {refusal.message}{'' if is_told else f'; {NOT_SENT}'}"


def is_absent(reason: str) -> bool:
    """Whether the venue never had what it was said of, though it may have been sent."""
    return reason.partition(":")[0] in (ABSENT, RESOLVED)


def is_unsent(reason: str) -> bool:
    """Whether what it was said of never left this machine."""
    return NOT_SENT in reason


def has_reached(reason: str) -> bool:
    """Whether the venue itself refused what it was said of."""
    return not is_unsent(reason) and not is_absent(reason)


class Sorted(NamedTuple):
    """Reasons of refusals by whose they are."""

    rejected: list[str]  # the venue's
    unsent: list[str]
    absent: list[str]


def sorted_out(reasons: Iterable[str]) -> Sorted:
    found = Sorted([], [], [])
    for reason in reasons:
        of = found.unsent if is_unsent(reason) else found.absent
        (found.rejected if has_reached(reason) else of).append(reason)
    return found


def counted(reasons: Iterable[str]) -> dict[str, int]:
    """How often each came, the most frequent first; beyond KINDS_MAX kinds the rest is one."""
    counts = Counter(normal(reason) for reason in reasons)
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    found = dict(ordered[:KINDS_MAX])
    if rest := sum(number for _, number in ordered[KINDS_MAX:]):
        found[OTHER] = rest
    return found
