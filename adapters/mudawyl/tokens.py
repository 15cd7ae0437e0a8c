"""Who asks: the Cognito token of every private request, the reCAPTCHA token of every change.

Both come from the user. A reCAPTCHA token proves a person at the gateway's website (section 1): it
comes from the user's own command or from a person who is asked, there is no way around it, and
without a provider no change is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import math
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import jwt

from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.adapters.mudawyl.config import MudawylOptions
from fairlead.adapters.mudawyl.errors import CODE, NO_CAPTCHA
from fairlead.engine.secrets import Secret, SecretError, read_secret, remember

MAX_TOKEN_CHARS = 16 * 1024
FRESH_TOKEN = "token"  # noqa: S105 - a name
CAPTCHA_TOKEN = "captcha"  # noqa: S105 - a name

ReadToken = Callable[[], Awaitable[Secret]]


class CaptchaProvider(Protocol):
    """Gives one reCAPTCHA token for one request; it is used once."""

    async def token(self, purpose: str) -> Secret:
        """`purpose` is the method and path that it is for. Raises VenueError: nothing is sent."""
        ...


def _refused(code: str, text: str, kind: VenueErrorKind = VenueErrorKind.AUTH) -> VenueError:
    return VenueError(kind, code, text, is_sent=False)


def checked(text: str, name: str) -> Secret:
    """A token of one printable line, kept out of every log from now on. Raises VenueError."""
    token = text.strip()
    if not token or len(token) > MAX_TOKEN_CHARS or not token.isprintable() or " " in token:
        text = f"expected a {name} on one line of at most {MAX_TOKEN_CHARS} characters (not shown)"
        raise _refused(f"{CODE}-TOKEN", text)
    secret = Secret(token, name)
    remember(secret, name)
    return secret


def expires_secs(token: Secret) -> float:
    """When a JWT says that it expires, epoch seconds; infinite where it says nothing readable."""
    try:
        claims = jwt.decode(token.reveal(), options={"verify_signature": False})
        told = float(claims.get("exp", math.inf))
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        return math.inf
    return told if math.isfinite(told) else math.inf


class TokenKeeper:
    """The account's token: kept until it is about to expire, or until it was refused."""

    def __init__(self, read: ReadToken, now_ns: Callable[[], int], margin_secs: float) -> None:
        self._read = read
        self._now_ns = now_ns
        self._margin_secs = margin_secs
        self._token: Secret | None = None
        self._lock = asyncio.Lock()

    async def token(self) -> Secret:
        """Raises VenueError (AUTH): nothing was sent."""
        async with self._lock:
            if self._token is None or self._is_ending(self._token):
                self._token = await self._read()
            return self._token

    def forget(self, refused: Secret | None) -> None:
        """The gateway refused this token: the next request reads anew."""
        if self._token is refused:
            self._token = None

    def _is_ending(self, token: Secret) -> bool:
        return self._now_ns() / 1e9 > expires_secs(token) - self._margin_secs


async def printed(command: Sequence[str], timeout_secs: float, what: str) -> str:
    """What a command of the user's prints. Raises VenueError without a word of what it printed.

    It has a session of its own: Ctrl-C in a terminal stops the run in order, and an order of that
    stop may need the command.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it can't be started"
        raise _refused(f"{CODE}-PROVIDER", f"the {what} command failed: {reason}") from None
    try:
        async with asyncio.timeout(timeout_secs):
            out, _ = await process.communicate()
    except TimeoutError:
        text = f"the {what} command gave nothing within {timeout_secs:g} s"
        raise _refused(f"{CODE}-PROVIDER", text) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with what it has started
            await process.wait()
    if process.returncode != 0:
        text = f"the {what} command ended with {process.returncode}"
        raise _refused(f"{CODE}-PROVIDER", text)
    return out.decode(errors="replace")


class CommandCaptcha:
    """Runs the user's command anew for each change."""

    def __init__(self, command: Sequence[str], timeout_secs: float) -> None:
        self._command = command
        self._timeout_secs = timeout_secs

    async def token(self, purpose: str) -> Secret:
        return checked(await printed(self._command, self._timeout_secs, "captcha"), CAPTCHA_TOKEN)


class PromptCaptcha:
    """Asks the person at the terminal, who has the gateway's website open."""

    def __init__(self, timeout_secs: float, ask: Callable[[str], str] = getpass.getpass) -> None:
        self._timeout_secs = timeout_secs
        self._ask = ask

    async def token(self, purpose: str) -> Secret:
        if self._ask is getpass.getpass and not sys.stdin.isatty():
            raise _refused(NO_CAPTCHA, f"{purpose}: no terminal to ask for a reCAPTCHA token at")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def tell(text: str) -> None:
            if not answer.done():
                answer.set_result(text)

        def ask() -> None:
            try:
                text = self._ask(f"reCAPTCHA token for {purpose}: ")
            except (EOFError, OSError):
                text = ""
            with contextlib.suppress(RuntimeError):  # the loop may be gone by now
                loop.call_soon_threadsafe(tell, text)

        # A thread of its own that nothing waits for: a person may never answer.
        threading.Thread(target=ask, daemon=True).start()
        try:
            async with asyncio.timeout(self._timeout_secs):
                return checked(await answer, CAPTCHA_TOKEN)
        except TimeoutError:
            text = f"{purpose}: nobody gave a reCAPTCHA token within {self._timeout_secs:g} s"
            raise _refused(NO_CAPTCHA, text) from None


def captcha_of(options: MudawylOptions) -> CaptchaProvider | None:
    """The provider that the config names, or None."""
    if options.captcha == "command" and options.captcha_command:
        return CommandCaptcha(options.captcha_command, options.provider_timeout_secs)
    if options.captcha == "prompt":
        return PromptCaptcha(options.provider_timeout_secs)
    return None


def reader_of(options: MudawylOptions, secrets: Mapping[str, Secret]) -> ReadToken | None:
    """Where the token comes from: a command, else a file, else the credential; None: nowhere."""
    if options.token_command:
        return lambda: _from_command(options)
    if options.token_file:
        return lambda: _from_file(options.token_file)
    fixed = secrets.get(FRESH_TOKEN)
    return None if fixed is None else lambda: _fixed(fixed)


async def _fixed(token: Secret) -> Secret:
    return token


async def _from_command(options: MudawylOptions) -> Secret:
    text = await printed(options.token_command, options.provider_timeout_secs, "token")
    return checked(text, FRESH_TOKEN)


async def _from_file(path: str) -> Secret:
    try:
        return read_secret(f"file:{path}", Path.cwd(), name=FRESH_TOKEN)
    except SecretError as error:
        raise _refused(f"{CODE}-TOKEN", str(error)) from None
