"""Apprise, as far as it is used: whether it knows a URL, and one message to one endpoint.

Apprise is of the optional extra `observe`. What it logs may quote an address: nothing of it is
logged here, and what is told of a failure is without the URL's secrets.
"""

from __future__ import annotations

import logging
import re
from functools import cache
from importlib import import_module
from typing import Any
from urllib.parse import unquote

from fairlead.engine.secrets import Secret, redact, remember

EXTRA = "pip install 'fairlead[observe]'"
CONNECT_SECS = 5.0
READ_SECS = 10.0
TOKEN_CHARS_MIN = 16  # of a part of a URL: a shorter one is an ordinary word as often
WHY_CHARS_MAX = 300


class EndpointError(Exception):
    """No endpoint: what was expected, and what came, without the URL."""


class MissingExtraError(EndpointError):
    """Apprise is not installed."""


@cache
def library() -> Any:
    """Apprise, whose own logger tells nobody anything. Raises MissingExtraError."""
    try:
        found = import_module("apprise")
    except ImportError as error:
        raise MissingExtraError(f"the package apprise, which sends them: {EXTRA}") from error
    logger = logging.getLogger("apprise")
    logger.handlers[:] = [logging.NullHandler()]
    logger.propagate = False
    return found


class Endpoint:
    """One that apprise knows. Raises EndpointError, also where apprise is not installed."""

    def __init__(self, url: Secret) -> None:
        remember_parts(url)
        apprise = library()
        asset = apprise.AppriseAsset(
            app_id="fairlead", app_desc="fairlead", app_url="", async_mode=False
        )
        self._apprise = apprise.Apprise(asset=asset)
        plugin = apprise.Apprise.instantiate(url.reveal(), asset=asset, suppress_exceptions=True)
        if plugin is None:
            scheme, there, _ = url.reveal().partition("://")
            came = f"one of {scheme}://" if there and scheme.isalnum() else "one without a scheme"
            raise EndpointError(
                f"a URL that apprise knows, such as mailto://, tgram://, slack://, discord://, "
                f"json://; came {came} (the rest is not shown) that it can't use"
            )
        if "cto=" not in url.reveal():
            plugin.socket_connect_timeout = CONNECT_SECS
        if "rto=" not in url.reveal():
            plugin.socket_read_timeout = READ_SECS
        self._apprise.add(plugin)

    def deliver(self, title: str, body: str, kind: str) -> str:
        """Send one message now; empty, or why it was not taken. Blocks; never raises."""
        try:
            result = self._apprise.notify(
                body=body, title=title, notify_type=kind, body_format="text"
            )
            if result:
                return ""
            why = "; ".join(one.message for one in result.logs()) or "it did not take the message"
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
        return redact(" ".join(why.split()))[:WHY_CHARS_MAX]


def remember_parts(url: Secret) -> None:
    """Have `redact` replace also what of a URL is secret by itself: passwords, tokens."""
    remember(url)
    _, _, rest = url.reveal().partition("://")
    place, *_ = re.split(r"[/?#]", rest, maxsplit=1)
    path = rest[len(place) :]
    user, at, host = place.rpartition("@")
    parts = [] if "." in host else re.split(":", host)
    parts += re.split(r"[/?&#=]", path)
    found = {part for part in parts if len(part) >= TOKEN_CHARS_MIN}
    if at:
        found |= {part for part in user.split(":")[1:] if part}
        found |= {part for part in user.split(":")[:1] if len(part) >= TOKEN_CHARS_MIN}
    for part in found:
        remember(Secret(part, url.source))
        remember(Secret(unquote(part), url.source))
