"""A client whose transport answers from a list and keeps what was sent, and providers of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, TransportError
from fairlead.adapters.mudawyl.config import MudawylOptions
from fairlead.adapters.mudawyl.http import MudawylHttp
from fairlead.engine.secrets import Secret

NOW_NS = 1_665_522_363_000_000_000
KEY_ID = "c8a716b6-b6e6-4e16-b364-1b3647198d64"
READS = ReadLimits(tries_max=1)

Told = HttpResponse | TransportError


def answer(body: bytes = b"", status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, body=body)


class Script:
    """Answers in order, the last again and again; `sent` are the requests that left."""

    def __init__(self, *told: Told) -> None:
        self._told = list(told)
        self.sent: list[HttpRequest] = []

    async def request(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        told = self._told.pop(0) if len(self._told) > 1 else self._told[0]
        if isinstance(told, TransportError):
            raise told
        return told

    async def close(self) -> None: ...


class Captchas:
    """A person at the website: a new token for each change."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def token(self, purpose: str) -> Secret:
        self.asked.append(purpose)
        return Secret(f"captcha-{len(self.asked)}", "test")


class Tokens:
    """Gives these tokens, one each time it is read."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)
        self.reads = 0

    async def __call__(self) -> Secret:
        self.reads += 1
        token = self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]
        return Secret(token, "test")


def client(
    *told: Told,
    captcha: Any = None,
    tokens: Any = None,
    is_keyed: bool = True,
    **options: Any,
) -> tuple[MudawylHttp, Script]:
    script = Script(*(told or (answer(b"{}"),)))
    fields = {"http_url": "http://gateway.test", "key_id": KEY_ID, **options}
    http = MudawylHttp(
        MudawylOptions(**fields),
        script,
        (tokens or Tokens("the-jwt")) if is_keyed else None,
        captcha,
        lambda: NOW_NS,
        READS,
    )
    return http, script


def headers(requests: Sequence[HttpRequest], name: str) -> list[str | None]:
    return [request.headers.get(name) for request in requests]
