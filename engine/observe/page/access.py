"""Who may look, and who may act: tokens in files of the state folder, and the requests' own words.

A page of another origin must not make a browser ask: `Host` is one of ours, so that no name of
another site leads here, `Origin` too where it is told. Tokens come in headers that no other page
can set.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.files import open_private, write_whole
from fairlead.engine.secrets import Secret, remember

LOOK_FILE = "page.token"  # in the state folder
CONTROL_FILE = "page.control.token"
CONTROL_HEADER = "Fairlead-Control"
TOKEN_BYTES = 32
TOKEN_CHARS_MIN = 32
TOKEN_CHARS_MAX = 256
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def token_of(path: Path) -> str:
    """The token in the file, which is made where it is not there: its owner's alone.

    Raises FairleadError PAGE-TOKEN for a file that others can read, or that holds no token.
    """
    try:
        if not path.exists():
            write_whole(path, secrets.token_urlsafe(TOKEN_BYTES).encode() + b"\n")
        descriptor = open_private(path, os.O_RDONLY)
        with open(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            text = file.read(TOKEN_CHARS_MAX + 2).decode("ascii", "replace").strip()
    except OSError as error:
        raise _refused(f"{path} can't be read or made: {error.strerror}") from error
    if mode & 0o077:
        raise _refused(f"{path} can be read by others; remove it, and a new one is made")
    if not TOKEN_CHARS_MIN <= len(text) <= TOKEN_CHARS_MAX or not text.isprintable():
        raise _refused(
            f"{path} holds no token ({TOKEN_CHARS_MIN} to {TOKEN_CHARS_MAX} characters); "
            "remove it, and a new one is made"
        )
    remember(Secret(text, f"file:{path}"))
    return text


def _refused(message: str) -> FairleadError:
    return FairleadError("PAGE-TOKEN", message, int(Exit.FAILED))


class Access:
    """`hosts` are the names (with a port, where it is not the scheme's own) that lead here."""

    def __init__(self, look: str, control: str | None, hosts: Iterable[str]) -> None:
        self._look = look.encode()
        self._control = None if control is None else control.encode()
        self.lead_here(hosts)

    def lead_here(self, hosts: Iterable[str]) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)

    @property
    def is_controlled(self) -> bool:
        return self._control is not None

    def refused(self, headers: Mapping[str, str]) -> str | None:
        """Why this request is none of ours, whatever its token; None: it may be."""
        host = headers.get("Host", "").lower()
        if host not in self._hosts:
            return "this host's name is not one of the page's: name it in observe.hosts"
        origin = headers.get("Origin")
        if origin is not None:
            scheme, _, place = origin.lower().partition("://")
            if scheme not in ("http", "https") or place not in self._hosts:
                return "a page of another origin asks"
        if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return "a page of another site asks"
        return None

    def may_look(self, headers: Mapping[str, str]) -> bool:
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(token.strip())

    def is_token(self, token: str) -> bool:
        """By a comparison that takes as long for a wrong token as for the right one."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self._look)

    def may_act(self, headers: Mapping[str, str]) -> bool:
        if self._control is None:
            return False
        token = headers.get(CONTROL_HEADER, "").encode("utf-8", "replace")
        return hmac.compare_digest(token, self._control)


def hosts_of(host: str, port: int, more: Iterable[str]) -> list[str]:
    """Names by which the page is reached: its own address, loopback's, those of the config."""
    own = [f"{name}:{port}" for name in dict.fromkeys((host, *LOOPBACK))]
    return [*own, *more]
