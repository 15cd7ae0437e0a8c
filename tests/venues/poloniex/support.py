"""The venue's side of REST for tests: checks signatures, answers from a script, keeps requests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

from fairlead.adapters.base.transport import HttpRequest, HttpResponse, TransportError
from fairlead.adapters.poloniex import schemas as s
from fairlead.adapters.poloniex.instruments import venue_instruments

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "data" / "poloniex"
SHARED = ROOT / ".." / "shared" / "venues" / "samples" / "recorded"
NOW_NS = 1_700_000_000_000_000_000
KEY, SECRET = "test-key", "test-secret"
BTC = "BTC_USDT.POLONIEX"


def sample(name: str) -> bytes:
    return (DATA / f"polo_{name}.json").read_bytes()


def payload(name: str) -> Any:
    return json.loads(sample(name))


def recorded(path: Path = DATA / "recorded_small.txt") -> Iterator[tuple[int, str]]:
    """(local receive time in ns, frame) of each line of websocket input."""
    for line in path.read_text().splitlines():
        stamp, _, frame = line.partition(": ")
        if frame.startswith("{") and not stamp.startswith("wss"):
            yield int(float(stamp) * 1e9), frame


def recorded_markets() -> list[s.Market]:
    return msgspec.json.decode((DATA / "recorded_markets.json").read_bytes(), type=list[s.Market])


INSTRUMENTS = venue_instruments(recorded_markets(), "POLONIEX", None)


class Call(msgspec.Struct, frozen=True):
    method: str
    path: str
    query: dict[str, str]
    body: Any
    raw_body: bytes
    is_signed: bool


Answer = (
    Any  # JSON value; bytes as they are; HttpResponse; TransportError; or a function of the Call
)


class ScriptedRest:
    """An `HttpTransport`. Every signed request must carry the signature that the venue computes."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.calls: list[Call] = []
        self.answers: dict[tuple[str, str], list[Answer]] = {}
        self.now_ns = now_ns
        self.clock_ahead_ns = 0
        self.on("GET", "/timestamp", lambda _: {"serverTime": self.server_ms()})

    def server_ms(self) -> int:
        return (self.now_ns() + self.clock_ahead_ns) // 1_000_000

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Answers in turn; the last one repeats."""
        self.answers[method, path] = list(answers)

    def sent(self, method: str, path: str) -> list[Call]:
        return [c for c in self.calls if (c.method, c.path) == (method, path)]

    async def request(self, request: HttpRequest) -> HttpResponse:
        parts = urlsplit(request.url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        is_signed = "signature" in request.headers
        call = Call(
            request.method,
            unquote(parts.path),
            query,
            json.loads(request.body) if request.body else None,
            request.body,
            is_signed,
        )
        self.calls.append(call)
        if is_signed and (problem := self.auth_problem(request, parts.path, query)) is not None:
            return problem
        queue = self.answers.get((call.method, call.path))
        assert queue, f"unexpected request: {call.method} {call.path}"
        answer = queue[0] if len(queue) == 1 else queue.pop(0)
        if callable(answer):
            answer = answer(call)
        if isinstance(answer, TransportError):
            raise answer
        if isinstance(answer, HttpResponse):
            return answer
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return HttpResponse(status=200, body=body)

    def auth_problem(
        self, request: HttpRequest, path: str, query: dict[str, str]
    ) -> HttpResponse | None:
        """Section 3, written again from the document."""
        stamp = request.headers["signTimestamp"]
        if request.body:
            tail = f"requestBody={request.body.decode()}&signTimestamp={stamp}"
        else:
            pairs = sorted({**query, "signTimestamp": stamp}.items())
            tail = "&".join(f"{k}={quote(v, safe='')}" for k, v in pairs)
        text = f"{request.method}\n{path}\n{tail}"
        digest = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()
        good = base64.b64encode(digest).decode()
        if request.headers["key"] != KEY or request.headers["signature"] != good:
            return HttpResponse(status=401, body=b'{"code":401,"message":"bad signature"}')
        if abs(int(stamp) - self.server_ms()) > 1000:
            return HttpResponse(status=400, body=b'{"code":400,"message":"timestamp"}')
        return None

    async def close(self) -> None:
        return None


def http_error(status: int, code: int, message: str = "") -> HttpResponse:
    body = json.dumps({"code": code, "message": message}).encode()
    return HttpResponse(status=status, body=body)


HTML = HttpResponse(status=502, body=b"<html><body>Bad Gateway</body></html>")
LOST = TransportError("HTTP-TIMEOUT", "no answer in 5 s", sent=True)
UNSENT = TransportError("HTTP-CONNECT", "connection refused", sent=False)
