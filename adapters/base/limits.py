"""Named limits of streams, books, reads and requests. Reaching one is counted and visible."""

from __future__ import annotations

import msgspec


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one supervised WebSocket stream."""

    connect_timeout_secs: float = 10.0
    send_timeout_secs: float = 5.0
    close_timeout_secs: float = 0.5  # of the closing handshake; a stop must take under a second
    backoff_min_secs: float = 0.25  # before the first reconnect
    backoff_max_secs: float = 30.0
    stable_secs: float = 20.0  # a connection this old, with data, resets the backoff
    parse_errors_in_row_max: int = 10  # then the connection is renewed
    defects_in_row_max: int = 3  # exceptions that should not exist, one a connection; then fatal
    burst_frames_max: int = 32  # frames handled before other tasks get a turn
    outbound_frames_max: int = 1024  # waiting to be sent; beyond it the connection is renewed
    excerpt_chars_max: int = 200  # of a frame or an error in a log line


# Frames of a book in a row that are older than what is shown, by the venue's own number or time:
# with one more it is believed that it has begun anew, or that the one which seemed newer was wrong.
MAX_LATE_IN_ROW = 10


class BookLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When a streamed book is not believed any more."""

    check_secs: float = 1.0
    warn_secs: float = 3.0  # a book that has not come this long after its subscription is told
    snapshot_secs: float = 15.0  # a book that is not whole after this long renews the connection
    snapshot_reconnects_max: int = 3  # in a row for one book; then it is only reported
    stale_secs: float = 30.0  # silence after which a book is shown as STALE
    silence_secs: float = 300.0  # silence of every book that renews the connection
    # Of one book among others it does too; each time in a row it takes twice as long, as a market
    # may be quiet, up to 2 to the power of this.
    silence_doublings_max: int = 5


class RequestLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of requests for data."""

    timeout_secs: float = 30.0
    history_rows: int = 1000  # where a request names no limit
    status_poll_secs: float = 60.0  # instrument status, where a strategy subscribed it
    ticker_poll_secs: float = 1.0  # the last price, at a venue without a stream


class ReadLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How often a read over HTTP that failed is sent again. Creates and cancels never are here."""

    tries_max: int = 5
    retry_secs: float = 10.0  # no further try begins later than this after the first
    backoff_min_secs: float = 0.2  # before the second try; each wait is twice the one before
    backoff_max_secs: float = 2.0


READ_LIMITS = ReadLimits()
STREAM_LIMITS = StreamLimits()
BOOK_LIMITS = BookLimits()
REQUEST_LIMITS = RequestLimits()
