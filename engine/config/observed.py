"""The section `[observe]`: what a running engine shows of itself, and whom it tells."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from fairlead.engine.config.shape import Struct
from fairlead.engine.config.shape import doc as _doc

PAGE_ADDRESS: Final = r"^([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}$"
TELEGRAM: Final = "https://api.telegram.org"

# What an alert is about.
Topic = Literal["halts", "orders", "feeds", "accounts", "losses", "troubles", "run", "daily"]
TOPICS: Final[tuple[Topic, ...]] = get_args(Topic)


class AlertRule(Struct, frozen=True, kw_only=True):
    """What goes where: an alert goes to each endpoint that a rule names for it."""

    to: Annotated[list[str], _doc("Names of `observe.alerts.endpoints`", min_length=1)]
    about: Annotated[
        list[Topic],
        _doc(
            "halts: kills, halts, faults, stops that a kill took; orders: unknown and missing "
            "ones; feeds: streams and books; accounts: differences to the venue, its clock; "
            "losses: four fifths of a limit; troubles: all else of the page's warnings; run: its "
            "start and end; daily: the summary",
            min_length=1,
        ),
    ] = msgspec.field(default_factory=lambda: list(TOPICS))
    level: Annotated[
        Literal["bad", "look"],
        _doc("bad: only what needs a person now; look: also what may pass by itself"),
    ] = "look"


class Alerts(Struct, frozen=True, kw_only=True):
    """Messages to people, by the package apprise (docs/operate.md)."""

    endpoints: Annotated[
        dict[str, str],
        _doc(
            "Apprise's URL of each endpoint, by a name of your own, as a reference: env:NAME, or "
            "file:PATH of mode 0600",
            min_length=1,
        ),
    ]
    rules: Annotated[
        list[AlertRule], _doc("What goes where; without any, everything goes to every endpoint")
    ] = msgspec.field(default_factory=list)
    daily: Annotated[
        Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None,
        _doc(
            "When the daily summary is sent, HH:MM; absent: never", unit="UTC", examples=["00:05"]
        ),
    ] = None
    patience_secs: Annotated[
        int,
        _doc(
            "What may pass by itself (a stream, a book, an unknown order, a clock) is told once it "
            "lasts so long",
            unit="s",
            ge=0,
            le=3600,
        ),
    ] = 15
    per_hour: Annotated[
        int,
        _doc(
            "Most alerts an endpoint gets in an hour; halts, the run's end and the daily summary "
            "always pass. What is held back is counted, and told",
            unit="alerts/h",
            ge=1,
            le=1000,
        ),
    ] = 30


class Telegram(Struct, frozen=True, kw_only=True):
    """A Telegram bot that answers `status`, `positions` and `kill` (docs/operate.md)."""

    token: Annotated[str, _doc("The bot's token, as a reference: env:NAME, or file:PATH")]
    chats: Annotated[
        list[int], _doc("Ids of the chats that are answered; no other is", min_length=1)
    ]
    kill: Annotated[bool, _doc("Whether these chats can kill, with a word that confirms it")] = (
        False
    )
    api: Annotated[
        str,
        _doc("Address of the Bot API; one without TLS only on loopback", pattern=r"^https?://\S+$"),
    ] = TELEGRAM


class Observe(Struct, frozen=True, kw_only=True):
    """What a running engine shows of itself (docs/operate.md). Nothing is traded differently."""

    page: Annotated[
        Annotated[str, Meta(pattern=PAGE_ADDRESS)] | None,
        _doc(
            "Address of the page and its HTTP API, HOST:PORT; absent: there is none",
            examples=["127.0.0.1:8787"],
        ),
    ] = None
    control: Annotated[
        bool, _doc("Whether the page kills, clears and cancels, with a second token")
    ] = False
    hosts: Annotated[
        list[str],
        _doc("Further names, with their port, by which a browser reaches the page (a proxy's)"),
    ] = msgspec.field(default_factory=list)
    remote: Annotated[
        bool, _doc("Allow an address of `page` that other machines can reach; it has no TLS")
    ] = False
    alerts: Annotated[Alerts | None, _doc("Messages to people; absent: none are sent")] = None
    telegram: Annotated[Telegram | None, _doc("A Telegram bot; absent: there is none")] = None
