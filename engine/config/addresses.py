"""What is wrong with an address that does not fit its option, without a word that may be secret."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"(https?|wss?)://")
_USER = re.compile(r"^([A-Za-z]{0,6}:?//)?.*@", re.DOTALL)


def shown(address: str) -> str:
    """The address without its user and password."""
    return _USER.sub(r"\1...@", address)


def wrong_part(address: str) -> str:
    """Which part is wrong, for a person; empty where that is the scheme, or not known."""
    if "@" in address:
        return "no user or password belongs here: name the keys under credentials, as references"
    begin = _SCHEME.match(address)
    if begin is None:
        return ""
    if re.search(r"\s", address):
        return "no blank in it"
    rest = address[begin.end() :]
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not host:
        return "the host is missing"
    if host.startswith("[") and "]" not in host:
        return "the bracket of the host is not closed, as in [::1]"
    name, colon, port = host.rpartition(":")
    if colon and not name.endswith(":") and (name.endswith("]") or "[" not in host):
        is_port = re.fullmatch(r"[0-9]+", port) and 1 <= int(port[:9]) <= 65535
        if not is_port or port.startswith("0"):
            return f'the port is a number from 1 to 65535, not "{port[:20]}"'
    if "#" in rest:
        return "no # and what follows it"
    if "?" in rest and begin[1].startswith("http"):
        return "no ? and what follows it: each request has its own"
    return ""
