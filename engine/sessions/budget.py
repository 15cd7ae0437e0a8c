"""Requests that a venue refused as too many, where the engine was to know better."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.adapters.simulation.faults import HttpFault
from fairlead.engine.sessions.wire import Sent

WINDOW_SECS = 1.0  # of the tightest documented limit


def over_budget(sent: Sequence[Sent]) -> list[Sent]:
    """Those refused, but for two kinds that no process can foresee.

    One that starts while the venue still counts the requests of the process before it; and one that
    comes beside a request of an earlier window, which the network held back: it counts where it
    arrives.
    """
    return [
        one
        for one in sent
        if one.refused_for_rate
        and not any(_is_of_another_life(other, one) or _is_held_back(other, one) for other in sent)
    ]


def _is_of_another_life(other: Sent, refused: Sent) -> bool:
    return other.life < refused.life and other.ts >= refused.ts - WINDOW_SECS


def _is_held_back(other: Sent, refused: Sent) -> bool:
    since = refused.arrived - WINDOW_SECS
    is_late = other.fault == HttpFault.LATE and other.ts < since
    return is_late and since <= other.arrived <= refused.arrived
