"""The private WebSocket's dialogue and its trade requests, without I/O (sections 3, 4, 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from fairlead.adapters.base.channel_feeds import NoFeeds
from fairlead.adapters.base.venue import (
    BalancePush,
    OrderPush,
    ParseError,
    Ready,
    Send,
    StreamFault,
    StreamItem,
    VenueError,
    VenueErrorKind,
)
from fairlead.adapters.poloniex import schemas as s
from fairlead.adapters.poloniex.parse import (
    Names,
    decode,
    pushed_balance,
    pushed_fill,
    pushed_order,
)
from fairlead.adapters.poloniex.signing import ws_signature
from fairlead.adapters.poloniex.tracking import Tracker, renamed
from fairlead.adapters.poloniex.websocket import (
    IDLE_CLOSE_SECS,
    IDLE_PING_SECS,
    PING,
    frame_of,
    stream_fault,
)
from fairlead.engine.orders.model import VenueBalance
from fairlead.engine.secrets import Secret

AUTH = "auth"
ORDERS = "orders"
BALANCES = "balances"
MAX_PENDING = 1_000  # trade requests waiting for an answer
MAX_EARLY_FRAMES = 10_000  # pushes between the first acknowledgement and `Ready`
MAX_AUTH_FAILURES = 2  # in a row; the first may be a clock that has just drifted
AUTH_BACKOFF_SECS = 5.0

_ENVELOPE = msgspec.json.Decoder(s.Envelope)
_AUTH = msgspec.json.Decoder(s.AuthResult, strict=False)
_ORDERS = msgspec.json.Decoder(list[s.OrderRow], strict=False)
_BALANCES = msgspec.json.Decoder(list[s.BalanceRow], strict=False)
_REQUEST_ITEMS = msgspec.json.Decoder(list[s.RequestItem])

SendFrames = Callable[[Iterable[str]], None]


class TradeRequests:
    """`createOrder`, `cancelOrders` and `cancelAllOrders` over the private WebSocket (section 4).

    A request is named by an id of ours, which the answer repeats. An answer that doesn't come in
    time, or a connection that ends first, leaves the request UNKNOWN.
    """

    def __init__(self, timeout_secs: float) -> None:
        self._timeout_secs = timeout_secs
        self._send: SendFrames | None = None
        self._is_ready = False
        self._count = 0
        self._pending: dict[str, asyncio.Future[list[s.RequestItem]]] = {}
        self.unmatched = 0  # answers that came too late, or to nobody

    @property
    def available(self) -> bool:
        """Whether a request can be sent now: attached, and authenticated."""
        return self._send is not None and self._is_ready

    def attach(self, send: SendFrames) -> None:
        self._send = send

    def ready(self, is_ready: bool) -> None:
        """Authenticated, or the connection is gone: then what is pending is UNKNOWN."""
        self._is_ready = is_ready
        if is_ready:
            return
        pending, self._pending = self._pending, {}
        for future in pending.values():
            if not future.done():
                future.set_exception(_unknown("the connection closed before the answer came"))

    async def request(self, event: str, params: Mapping[str, object]) -> list[s.RequestItem]:
        """Send once and wait. Raises VenueError: REFUSED if not sent, else UNKNOWN."""
        send = self._send
        if send is None or not self._is_ready or len(self._pending) >= MAX_PENDING:
            raise VenueError(
                VenueErrorKind.REFUSED,
                "POLONIEX-WS-DOWN",
                "the private stream is not ready; not sent",
            )
        self._count += 1
        request_id = str(self._count)
        future: asyncio.Future[list[s.RequestItem]] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = future
        try:
            frame = {"id": request_id, "event": event, "params": params}
            send([msgspec.json.encode(frame).decode()])
            async with asyncio.timeout(self._timeout_secs):
                return await future
        except TimeoutError:
            raise _unknown(f"no answer to {event} in {self._timeout_secs} s") from None
        finally:
            self._pending.pop(request_id, None)

    def answered(self, request_id: str, items: list[s.RequestItem]) -> None:
        future = self._pending.get(request_id)
        if future is None or future.done():
            self.unmatched += 1
            return
        future.set_result(items)


def _unknown(message: str) -> VenueError:
    return VenueError(VenueErrorKind.UNKNOWN, "POLONIEX-WS-UNANSWERED", message)


class PrivateStream(NoFeeds):
    """Authenticate, subscribe orders and balances, and tell what they push. A `StreamProtocol`.

    `Ready` follows each authenticated and acknowledged subscription: pushes before it may have been
    missed, so the caller reconciles by REST then (the channels send no snapshot). What was pushed
    after one of the two acknowledgements follows `Ready`.
    """

    idle_ping_secs = IDLE_PING_SECS
    idle_close_secs = IDLE_CLOSE_SECS

    def __init__(
        self,
        *,
        url: str,
        key: Secret,
        secret: Secret,
        timestamp_ms: Callable[[], int],
        names: Names,
        tracker: Tracker,
        requests: TradeRequests,
    ) -> None:
        self.url = url
        self._key = key
        self._secret = secret
        self._timestamp_ms = timestamp_ms
        self._names = names
        self._tracker = tracker
        self._requests = requests
        self._awaited: set[str] = set()
        self._before_ready: list[StreamItem] = []
        self._auth_failures = 0
        self.unknown_channels = 0

    def attach(self, send: SendFrames) -> None:
        """For trade requests."""
        self._requests.attach(send)

    def opened(self, now_ns: int) -> Sequence[str]:
        self._requests.ready(False)
        self._awaited = {ORDERS, BALANCES}
        self._before_ready = []
        stamp = self._timestamp_ms()
        params = {
            "key": self._key.reveal(),
            "signTimestamp": stamp,
            "signature": ws_signature(self._secret.reveal(), stamp),
        }
        frame = {"event": "subscribe", "channel": [AUTH], "params": params}
        return [msgspec.json.encode(frame).decode()]

    def ping(self, now_ns: int) -> Sequence[str]:
        return (PING,)

    def closed(self, ts_init: int) -> Iterable[StreamItem]:
        self._requests.ready(False)
        return self._tracker.released()

    def received(self, frame: bytes | str, ts_init: int) -> list[StreamItem]:
        items: list[StreamItem] = list(self._tracker.released())
        envelope = decode(_ENVELOPE, frame, "private frame")
        if envelope.id is not None and envelope.channel is None:
            self._requests.answered(
                str(envelope.id), decode(_REQUEST_ITEMS, envelope.data, "trade request")
            )
        elif envelope.event == "error":
            items.append(stream_fault(envelope.message or ""))
        elif envelope.event == "subscribe":
            items += self._acknowledged(envelope.channel or "")
        elif envelope.event is None:
            items += self._data(envelope)
        return items

    def _data(self, envelope: s.Envelope) -> list[StreamItem]:
        channel = envelope.channel
        if channel == ORDERS:
            rows = decode(_ORDERS, envelope.data, ORDERS, is_money=True)
            pushes = [self._order(row) for row in rows]
            return self._after_ready([push for push in pushes if push is not None])
        if channel == BALANCES:
            balances: list[s.BalanceRow] = decode(_BALANCES, envelope.data, BALANCES, is_money=True)
            return self._after_ready(self._balances(balances))
        if channel == AUTH:
            return self._authenticated(decode(_AUTH, envelope.data, AUTH))
        if channel is None:
            raise ParseError("private frame", "expected `event`, `channel` or `id`")
        self.unknown_channels += 1
        return []

    def _authenticated(self, result: s.AuthResult) -> list[StreamItem]:
        if result.success:
            self._auth_failures = 0
            return [
                Send(frame_of("subscribe", ORDERS, ["all"])),
                Send(frame_of("subscribe", BALANCES)),
            ]
        self._auth_failures += 1
        is_final = self._auth_failures >= MAX_AUTH_FAILURES
        return [
            StreamFault(
                "POLONIEX-WS-AUTH",
                f"{result.message[:100]} (check key, secret, permissions and clock)",
                "fatal" if is_final else "reconnect",
                backoff_secs=AUTH_BACKOFF_SECS,
            )
        ]

    def _acknowledged(self, channel: str) -> list[StreamItem]:
        if channel not in self._awaited:
            return []
        self._awaited.discard(channel)
        if self._awaited:
            return []
        self._requests.ready(True)
        waiting, self._before_ready = self._before_ready, []
        return [Ready(), *waiting]

    def _after_ready(self, items: list[StreamItem]) -> list[StreamItem]:
        """What one channel tells before the other is subscribed comes after `Ready`."""
        if not self._awaited or len(self._before_ready) >= MAX_EARLY_FRAMES:
            return items
        self._before_ready += items
        return []

    def _order(self, row: s.OrderRow) -> OrderPush | None:
        told = pushed_order(row, self._names)
        order = self._tracker.adopt(told, is_smart_source=row.source == "SMART")
        fill = pushed_fill(row, told)
        push = OrderPush(order, None if fill is None else renamed(fill, order))
        if self._tracker.withhold_early(push):
            return None
        return push if self._tracker.passes(push) else None

    def _balances(self, rows: list[s.BalanceRow]) -> list[StreamItem]:
        """Absolute values of single currencies; told as the whole account (section 5)."""
        told: list[VenueBalance] = [pushed_balance(r) for r in rows if r.account_type == "SPOT"]
        return [BalancePush(self._tracker.merge(told))] if told else []
