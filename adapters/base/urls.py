"""Types of the options that are addresses: a scheme that is missing or mistyped stops a config.

`Annotated[HttpUrl, Meta(description=...)]`. Neither has room for a user, a password or a fragment,
and the base of a REST API has none for a query.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

_HOST = r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?)"
_PORT = (
    r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
)
_PATH = r"(/[!-\"$->@-~]*)?"  # printable ASCII without # and ?

HttpUrl = Annotated[
    str,
    Meta(
        pattern=f"^https?://{_HOST}{_PORT}{_PATH}$",
        examples=["https://api.example.com/v1"],
        extra_json_schema={"x-form": "a URL that begins with https:// or http://"},
    ),
]
WsUrl = Annotated[
    str,
    Meta(
        pattern=rf"^wss?://{_HOST}{_PORT}{_PATH}(\?[!-\"$-~]*)?$",
        examples=["wss://ws.example.com/v1"],
        extra_json_schema={"x-form": "a URL that begins with wss:// or ws://"},
    ),
]
