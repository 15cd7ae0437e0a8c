"""What an order learns from a request that did not succeed: the same at every venue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind
from fairlead.engine.orders.model import (
    NOT_SENT,
    CancelOutcome,
    CancelRefused,
    Outcome,
    Refused,
    Unknown,
    VenueUnavailable,
)

_REFUSALS = frozenset(
    {
        VenueErrorKind.REFUSED,
        VenueErrorKind.RATE_LIMITED,
        VenueErrorKind.AUTH,
        VenueErrorKind.CLOCK,
    }
)
_AT_THE_DOOR = frozenset({VenueErrorKind.AUTH, VenueErrorKind.CLOCK})
_PASSING = frozenset({VenueErrorKind.RATE_LIMITED, VenueErrorKind.CLOCK})


def create_outcome(error: VenueError) -> Outcome:
    """NOT_FOUND makes no sense on a create, so it proves nothing: the order is looked for."""
    if error.kind in _REFUSALS:
        is_told = error.is_sent or NOT_SENT in error.message
        message = error.message if is_told else f"{error.message}; {NOT_SENT}"
        return Refused(error.code, message, error.is_sent)
    return _unknown(error)


def batch_outcome(error: VenueError) -> Outcome:
    """Of creates in one request, where the venue does not say how a batch fails in part.

    It may have been made in part, unless it was refused at the door.
    """
    if error.kind in _AT_THE_DOOR or not error.is_sent:
        return create_outcome(error)
    return _unknown(error)


def cancel_outcome(error: VenueError) -> CancelOutcome:
    """Refused: a query decides what the order is. Unknown: the cancel is worth another try.

    That is so for one over a limit, with a wrong time, or that never went out, too.
    """
    is_told = error.kind in _REFUSALS or error.kind is VenueErrorKind.NOT_FOUND
    if is_told and error.is_sent and error.kind not in _PASSING:
        return CancelRefused(error.code, error.message)
    return _unknown(error)


@contextmanager
def reading(venue_code: str) -> Iterator[None]:
    """What a read within it can't tell is VenueUnavailable: absence must not be concluded."""
    try:
        yield
    except VenueError as error:
        is_auth = error.kind is VenueErrorKind.AUTH
        raise VenueUnavailable(error.code, error.message, is_auth=is_auth) from error
    except ParseError as error:
        raise VenueUnavailable(f"{venue_code}-BAD-ANSWER", str(error)) from error


def _unknown(error: VenueError) -> Unknown:
    return Unknown(f"{error.code}: {error.message}")
