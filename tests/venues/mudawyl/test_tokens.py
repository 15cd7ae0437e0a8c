"""Where tokens come from, and that none of them is ever shown."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest

from fairlead.adapters.base.venue import VenueError
from fairlead.adapters.mudawyl.config import MudawylMarket, MudawylOptions
from fairlead.adapters.mudawyl.tokens import (
    CommandCaptcha,
    PromptCaptcha,
    TokenKeeper,
    captcha_of,
    checked,
    expires_secs,
    reader_of,
)
from fairlead.adapters.mudawyl.venue import SPEC
from fairlead.engine.secrets import REDACTED, Secret, redact
from tests.support.patience import PATIENCE_SECS
from tests.venues.mudawyl.scripted import NOW_NS, Tokens

SIGNING_KEY = "x" * 32
FIXED = {"token": Secret("fixed-token-of-the-account", "env:T")}


def signed(expires: float) -> str:
    return jwt.encode({"exp": int(expires)}, SIGNING_KEY, algorithm="HS256")


def printing(text: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", f"print({text!r})")


async def test_a_fixed_token_comes_from_the_credential() -> None:
    read = reader_of(MudawylOptions(), FIXED)
    assert read is not None
    assert (await read()).reveal() == "fixed-token-of-the-account"
    assert reader_of(MudawylOptions(), {}) is None


async def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    read = reader_of(MudawylOptions(token_file=str(path)), FIXED)
    assert read is not None
    for text in ("first-token-in-the-file", "second-token-in-the-file"):
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        assert (await read()).reveal() == text
        assert redact(f"x {text} y") == f"x {REDACTED} y"


async def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a-token")
    path.chmod(0o644)
    read = reader_of(MudawylOptions(token_file=str(path)), {})
    assert read is not None
    with pytest.raises(VenueError, match="mode 0644") as caught:
        await read()
    assert not caught.value.is_sent


async def test_a_command_prints_the_token() -> None:
    read = reader_of(MudawylOptions(token_command=printing("token-that-was-printed")), FIXED)
    assert read is not None
    assert (await read()).reveal() == "token-that-was-printed"
    assert redact("token-that-was-printed") == REDACTED


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("/no/such/command",), "the token command failed"),
        (
            (sys.executable, "-S", "-c", "print('secret-words'); raise SystemExit(3)"),
            "ended with 3",
        ),
        ((sys.executable, "-S", "-c", "print()"), "expected a token"),
        ((sys.executable, "-S", "-c", "print('two'); print('lines')"), "expected a token"),
    ],
)
async def test_a_command_that_fails_says_so_and_shows_nothing(
    command: tuple[str, ...], text: str
) -> None:
    read = reader_of(MudawylOptions(token_command=command), {})
    assert read is not None
    with pytest.raises(VenueError, match=text) as caught:
        await read()
    assert "secret-words" not in str(caught.value)
    assert not caught.value.is_sent


async def test_a_command_that_hangs_is_ended() -> None:
    provider = CommandCaptcha((sys.executable, "-S", "-c", "import time; time.sleep(600)"), 0.05)
    with pytest.raises(VenueError, match="nothing within"):
        await provider.token("POST /x")


async def test_ctrl_c_in_a_terminal_does_not_reach_a_command() -> None:
    """It goes to the whole process group of the terminal: the stop's own exit needs the token."""
    told = "import os; print(f'token-of-group-{os.getpgrp()}')"
    provider = CommandCaptcha((sys.executable, "-S", "-c", told), PATIENCE_SECS)
    group = int((await provider.token("POST /x")).reveal().rpartition("-")[2])
    assert group != os.getpgrp()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"captcha": "command"}, "needs the option captcha_command"),
        ({"captcha": "command", "captcha_command": ("./not-there",)}, "received './not-there'"),
        ({"token_command": ("not-there-either",)}, "token_command to be a program"),
    ],
)
def test_a_provider_that_can_give_nothing_is_refused(options: dict[str, Any], text: str) -> None:
    found = SPEC.refuses(MudawylOptions(**options), NOW_NS)
    assert found is not None
    assert text in found.text
    for fine in ({}, {"captcha": "command", "captcha_command": (sys.executable,)}):
        assert SPEC.refuses(MudawylOptions(**fine), NOW_NS) is None


async def test_a_token_is_kept_until_it_is_about_to_expire() -> None:
    now = [NOW_NS]
    late = NOW_NS / 1e9
    tokens = Tokens(signed(late + 600), signed(late + 1200))
    keeper = TokenKeeper(tokens, lambda: now[0], 60.0)
    first = await keeper.token()
    now[0] += 500 * 10**9
    assert await keeper.token() is first
    now[0] += 50 * 10**9
    assert await keeper.token() is not first
    assert tokens.reads == 2


async def test_a_token_that_was_refused_is_read_anew_once_however_many_saw_it() -> None:
    tokens = Tokens("opaque-one", "opaque-two")
    keeper = TokenKeeper(tokens, lambda: NOW_NS, 60.0)
    first = await keeper.token()
    keeper.forget(first)
    second = await keeper.token()
    keeper.forget(first)  # told late, of the one before
    assert await keeper.token() is second
    await asyncio.gather(*(keeper.token() for _ in range(5)))
    assert tokens.reads == 2


@pytest.mark.parametrize("text", ["opaque", "a.b.c", "", "eyJ.eyJ.x", "..", "\x00"])
def test_a_token_that_is_no_jwt_tells_no_end(text: str) -> None:
    assert expires_secs(Secret(text, "test")) == float("inf")


@pytest.mark.parametrize("claim", ["soon", None, [], 1e400, {}])
def test_a_jwt_without_a_sound_end_tells_none(claim: object) -> None:
    token = jwt.api_jws.encode(json.dumps({"exp": claim}).encode(), SIGNING_KEY, algorithm="HS256")
    assert expires_secs(Secret(token, "test")) == float("inf")


@pytest.mark.parametrize("text", ["", " ", "a b", "a\nb", "x" * 20_000, "a\x07"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(VenueError) as caught:
        checked(text, "token")
    assert not caught.value.is_sent


async def test_a_person_is_asked_for_each_change() -> None:
    asked: list[str] = []

    def person(question: str) -> str:
        asked.append(question)
        return "captcha-typed-by-a-person\n"

    provider = PromptCaptcha(30.0, person)
    assert (await provider.token("POST /v1/x")).reveal() == "captcha-typed-by-a-person"
    assert asked == ["reCAPTCHA token for POST /v1/x: "]


async def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115
    with pytest.raises(VenueError) as caught:
        await PromptCaptcha(30.0).token("POST /v1/x")
    assert caught.value.code == "MUDAWYL-NO-CAPTCHA"


async def test_a_person_who_does_not_answer_is_not_waited_for() -> None:
    stays = threading.Event()
    provider = PromptCaptcha(0.05, lambda question: str(stays.wait(60)))
    with pytest.raises(VenueError, match="nobody gave"):
        await provider.token("POST /v1/x")
    stays.set()


def test_the_config_names_the_provider() -> None:
    assert captcha_of(MudawylOptions()) is None
    assert captcha_of(MudawylOptions(captcha="command")) is None
    found = captcha_of(MudawylOptions(captcha="command", captcha_command=("x",)))
    assert isinstance(found, CommandCaptcha)
    assert isinstance(captcha_of(MudawylOptions(captcha="prompt")), PromptCaptcha)


@pytest.mark.parametrize("field", ["leverage = 0", "leverage = 126", 'margin_type = "cross"'])
def test_a_market_of_the_config_is_checked(field: str) -> None:
    market = f'symbol = "BTC/USDT"\nprice_precision = 1\nquantity_precision = 3\n{field}\n'
    with pytest.raises(msgspec.ValidationError):
        msgspec.toml.decode(market, type=MudawylMarket)
