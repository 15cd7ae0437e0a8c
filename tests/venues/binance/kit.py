"""The simulated Binance without sockets: signed requests, and streams whose frames are kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import msgspec

from fairlead.adapters.binance.simulator import BinanceSimOptions, BinanceSimulator
from fairlead.adapters.simulation.venue import Opened, SimRequest, SimResponse

START_NS = 1_790_000_000_000_000_000
MS = 1_000_000


def venue(**options: Any) -> BinanceSimulator:
    return BinanceSimulator(BinanceSimOptions(**options), now_ns=START_NS, seed=7)


def quiet(**options: Any) -> BinanceSimulator:
    """Nothing moves by itself."""
    return venue(is_market_live=False, **options)


def ask(at: BinanceSimulator, method: str, path: str, query: str = "", **more: Any) -> SimResponse:
    headers, body = more.get("headers", {}), more.get("body", "")
    return at.http(
        SimRequest(method=method, path=path, query=query, headers=headers, body=body.encode())
    )


def told(response: SimResponse) -> Any:
    return msgspec.json.decode(response.body)


def get(at: BinanceSimulator, path: str, **params: Any) -> Any:
    response = ask(at, "GET", path, urlencode(params))
    assert response.status == 200, response.body
    return told(response)


def refused(response: SimResponse) -> tuple[int, int]:
    """Status and code."""
    return response.status, told(response)["code"]


def hmac_of(at: BinanceSimulator, text: str) -> str:
    return hmac.new(at.credentials.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def ed25519_of(at: BinanceSimulator, text: str) -> str:
    return base64.b64encode(at.credentials.private_key.sign(text.encode())).decode()


def sign(at: BinanceSimulator, params: dict[str, Any]) -> str:
    """A query with `timestamp` and `signature`."""
    text = urlencode({**params, "timestamp": params.get("timestamp", at.now_ms)})
    return f"{text}&signature={hmac_of(at, text)}"


def signed(at: BinanceSimulator, method: str, path: str, /, **params: Any) -> SimResponse:
    headers = {"x-mbx-apikey": at.credentials.api_key}
    return ask(at, method, path, sign(at, params), headers=headers)


def done(at: BinanceSimulator, method: str, path: str, /, **params: Any) -> Any:
    """As `signed`, what is answered with success."""
    response = signed(at, method, path, **params)
    assert response.status == 200, response.body
    return told(response)


class Stream:
    """A connection whose frames are kept."""

    def __init__(self, at: BinanceSimulator, path: str, query: str = "") -> None:
        self.frames: list[Any] = []
        self.is_closed = False
        self._at = at
        self._session = at.open_session(Opened(path, query, self._take, self._close))

    def _take(self, frame: str) -> None:
        self.frames.append(msgspec.json.decode(frame))

    def _close(self) -> None:
        self.is_closed = True

    def send(self, **asked: Any) -> Any:
        """What is answered at once."""
        self._session.received(msgspec.json.encode(asked).decode())
        return self.frames.pop()

    def text(self, frame: str) -> None:
        self._session.received(frame)

    def subscribe(self, *names: str) -> None:
        assert self.send(method="SUBSCRIBE", params=names, id=1) == {"result": None, "id": 1}

    def leave(self) -> None:
        self._session.closed()

    def of(self, kind: str) -> list[Any]:
        return [frame for frame in self.frames if frame.get("e") == kind]


def run(at: BinanceSimulator, secs: float, step_ms: int = 5) -> None:
    """Let time pass as the server does."""
    for _ in range(round(secs * 1000 / step_ms)):
        at.advance(at.exchange.now_ns + step_ms * MS)
