"""Keys, signatures and clocks of the simulated Binance, on REST and the WebSocket APIs."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from fairlead.adapters.binance.simulator import BinanceSimulator
from fairlead.adapters.binance.simulator_auth import Credentials
from tests.venues.binance.kit import (
    Stream,
    ask,
    done,
    ed25519_of,
    hmac_of,
    quiet,
    refused,
    sign,
    signed,
)

PRIVATE = ("/api/v3/account", "/fapi/v2/account")


@pytest.mark.parametrize("path", PRIVATE)
def test_hmac_in_the_query_in_the_body_and_in_both(path: str) -> None:
    at = quiet()
    assert done(at, "GET", path)
    headers = {"x-mbx-apikey": at.credentials.api_key}
    first, second = f"timestamp={at.now_ms}", "recvWindow=5000"
    # The document joins query and body without a separator.
    body = f"{second}&signature={hmac_of(at, first + second)}"
    assert ask(at, "GET", path, first, body=body, headers=headers).status == 200
    text = f"{first}&{second}"
    body = f"{text}&signature={hmac_of(at, text).upper()}"
    assert ask(at, "GET", path, "", body=body, headers=headers).status == 200


@pytest.mark.parametrize("path", PRIVATE)
def test_ed25519(path: str) -> None:
    at = quiet()
    text = f"timestamp={at.now_ms}"
    headers = {"x-mbx-apikey": at.credentials.ed25519_api_key}
    good = f"{text}&signature={quote(ed25519_of(at, text), safe='')}"
    assert ask(at, "GET", path, good, headers=headers).status == 200
    bad = f"{text}&signature={quote(ed25519_of(at, text + '0'), safe='')}"
    assert refused(ask(at, "GET", path, bad, headers=headers)) == (400, -1022)
    assert refused(ask(at, "GET", path, f"{text}&signature=x", headers=headers)) == (400, -1022)


@pytest.mark.parametrize("path", PRIVATE)
def test_what_is_wrong_with_a_request_has_the_venues_code(path: str) -> None:
    at = quiet()
    good = sign(at, {})
    key = {"x-mbx-apikey": at.credentials.api_key}
    assert refused(ask(at, "GET", path, good)) == (401, -2014)
    assert refused(ask(at, "GET", path, good, headers={"x-mbx-apikey": "nobody"})) == (401, -2015)
    assert refused(ask(at, "GET", path, good + "0", headers=key)) == (400, -1022)
    assert refused(ask(at, "GET", path, "a=1&" + good, headers=key)) == (400, -1022)
    assert refused(ask(at, "GET", path, f"timestamp={at.now_ms}", headers=key)) == (400, -1102)
    unstamped = f"a=1&signature={hmac_of(at, 'a=1')}"
    assert refused(ask(at, "GET", path, unstamped, headers=key)) == (400, -1102)
    for stamp in (at.now_ms - 5_001, at.now_ms + 1_000):
        assert refused(signed(at, "GET", path, timestamp=stamp)) == (400, -1021)
    assert signed(at, "GET", path, timestamp=at.now_ms - 4_999).status == 200
    assert refused(signed(at, "GET", path, recvWindow=60_001)) == (400, -1131)
    at.auth.revoked = True
    assert refused(signed(at, "GET", path)) == (401, -2015)


def test_kept_credentials_are_used_again() -> None:
    at, earlier = quiet(), Credentials.of_seed(99)
    kept: dict[str, Any] = {name: getattr(earlier, name) for name in earlier.__struct_fields__}
    at.take_credentials(kept)
    assert signed(at, "GET", "/api/v3/account").status == 200
    with pytest.raises(ValueError, match="expected"):
        at.take_credentials({**kept, "api_key": ""})


def request(at: BinanceSimulator, method: str, **params: Any) -> dict[str, Any]:
    """A signed frame of the WebSocket API."""
    told = {**params, "apiKey": at.credentials.api_key, "timestamp": at.now_ms}
    text = "&".join(f"{name}={told[name]}" for name in sorted(told))
    return {"id": "a", "method": method, "params": {**told, "signature": hmac_of(at, text)}}


@pytest.mark.parametrize("path", ["/ws-api/v3", "/ws-fapi/v1"])
def test_requests_in_frames_are_signed_alike(path: str) -> None:
    at = quiet()
    stream = Stream(at, path)
    assert stream.send(id=1, method="time")["result"] == {"serverTime": at.now_ms}
    good = stream.send(**request(at, "account.status"))
    assert (good["id"], good["status"]) == ("a", 200)
    assert good["rateLimits"]
    frame = request(at, "account.status")
    frame["params"]["signature"] = "0" * 64
    assert stream.send(**frame)["error"]["code"] == -1022
    frame["params"].pop("signature")
    assert stream.send(**frame)["error"]["code"] == -1102
    assert stream.send(id=2, method="account.status")["error"]["code"] == -2014
    assert stream.send(id=3, method="dance")["error"]["code"] == -1000


@pytest.mark.parametrize("frame", ["", "[]", "{", '{"id":1}', '{"method":"time","params":3}'])
def test_any_frame_of_the_api_is_answered(frame: str) -> None:
    stream = Stream(quiet(), "/ws-api/v3")
    stream.text(frame)
    assert stream.frames[0]["status"] == 400


def test_a_session_that_is_logged_on_signs_no_more() -> None:
    at = quiet()
    stream = Stream(at, "/ws-api/v3")
    params = {"apiKey": at.credentials.ed25519_api_key, "timestamp": at.now_ms}
    text = f"apiKey={params['apiKey']}&timestamp={params['timestamp']}"
    params["signature"] = ed25519_of(at, text)
    logon = stream.send(id=1, method="session.logon", params=params)
    assert logon["result"]["apiKey"] == at.credentials.ed25519_api_key
    told = stream.send(id=2, method="account.status", params={"timestamp": at.now_ms})
    assert told["result"]["accountType"] == "SPOT"
    subscribed = stream.send(id=3, method="userDataStream.subscribe")
    assert subscribed["result"] == {"subscriptionId": 0}
    stream.send(id=4, method="session.logout")
    assert stream.send(id=5, method="userDataStream.subscribe")["error"]["code"] == -2015


def test_hmac_keys_do_not_log_on() -> None:
    at = quiet()
    told = Stream(at, "/ws-api/v3").send(**request(at, "session.logon"))
    assert (told["status"], told["error"]["code"]) == (403, -4056)
