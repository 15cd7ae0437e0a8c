"""The shape of a run's TOML file: frozen structs, unknown keys refused.

None means absent. Prices, sizes and rates are exact decimals, written as strings; a TOML float is
refused. Money is written with its currency (`"500 USDT"`). Times are UTC. Every field documents
its unit in `doc`, which `fairlead config --schema` prints.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every section."""


def _doc(text: str, **limits: Any) -> Meta:
    return Meta(description=text, **limits)


Money = Annotated[
    str, _doc('Amount and currency, e.g. "500 USDT"', pattern=r"^\d+(\.\d+)? [A-Z0-9]+$")
]


class Run(Struct, kw_only=True):
    """What holds for the whole run."""

    state_dir: Annotated[
        str, _doc("Folder of journal, locks and risk counters; relative to the config file")
    ] = "state"
    seed: Annotated[int, _doc("Seed of everything random")] = 1
    on_stop: Annotated[
        Literal["cancel", "keep"], _doc("What an ordered stop does with open orders")
    ] = "cancel"
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], _doc("Least level printed")
    ] = "WARNING"
    stop_timeout_secs: Annotated[int, _doc("Seconds an ordered stop may take", ge=1, le=60)] = 10


class Fees(Struct, kw_only=True):
    """Fee rates as fractions of the executed value (0.001 is 10 bps); for venues with no adapter."""

    maker: Decimal
    taker: Decimal


class Venue(Struct, kw_only=True):
    """One venue account."""

    adapter: Annotated[
        str, _doc('Adapter name, or "recorded" for a venue that exists only in a catalog')
    ]
    instruments: Annotated[
        list[str], _doc("NautilusTrader instrument ids, e.g. BTC_USDT.OCEANEX", min_length=1)
    ]
    account: Annotated[str, _doc("Name of the account; part of the journal's file name")] = "main"
    credentials: Annotated[
        dict[str, str], _doc("References: env:NAME, or file:PATH of mode 0600")
    ] = {}
    options: Annotated[dict[str, Any], _doc("The adapter's own options; see its README")] = {}
    fees: Annotated[Fees | None, _doc('Fee rates; needed when adapter is "recorded"')] = None
    account_type: Annotated[
        Literal["cash", "margin"], _doc("cash for spot, margin for derivatives")
    ] = "cash"


class Strategy(Struct, kw_only=True):
    """One strategy instance."""

    id: Annotated[
        str,
        _doc(
            "Unique name; part of the orders' identity", pattern=r"^[A-Za-z0-9_.]+-[A-Za-z0-9_.]+$"
        ),
    ]
    path: Annotated[str, _doc("module:Class of a NautilusTrader Strategy")]
    params: Annotated[dict[str, Any], _doc("Keyword arguments of the strategy's config class")] = {}


class Risk(Struct, kw_only=True):
    """The gate's limits. A limit that is absent is not checked, except those with a default."""

    max_order_notional: Annotated[Money | None, _doc("Largest price x quantity of one order")] = (
        None
    )
    max_position: Annotated[
        dict[str, Decimal],
        _doc("Largest absolute position per instrument id, open orders counted, base units"),
    ] = {}
    max_open_orders: Annotated[int, _doc("Most orders open or unproven at once, per run", ge=1)] = (
        50
    )
    max_orders_per_second: Annotated[int, _doc("Most orders in any one second", ge=1)] = 10
    price_collar_bps: Annotated[
        Decimal,
        _doc(
            "Most that a limit price may lie through the reference price on the losing side, basis points"
        ),
    ] = Decimal(500)
    stale_after_ms: Annotated[
        int, _doc("Age after which the book is no reference for the collar, milliseconds", ge=1)
    ] = 5000
    kill_switch_file: Annotated[
        str, _doc("While this file exists no order is created; relative to state_dir")
    ] = "KILL"


class Execution(Struct, kw_only=True):
    """The order desk."""

    journal_fsync: Annotated[
        Literal["always", "never"],
        _doc("Whether each journal record is synced to disk before the send"),
    ] = "always"
    poll_ms: Annotated[
        int,
        _doc("Interval between polls of open orders on venues that push none, milliseconds", ge=50),
    ] = 1000
    balance_poll_ms: Annotated[
        int, _doc("Interval between polls of balances, milliseconds", ge=100)
    ] = 5000
    unknown_query_ms: Annotated[
        list[int],
        _doc(
            "Waits between the queries for an order whose answer was lost, milliseconds; the last repeats",
            min_length=1,
        ),
    ] = msgspec.field(default_factory=lambda: [250, 500, 1000, 2000, 5000])
    absent_quarantine_secs: Annotated[
        float, _doc("Seconds of consistent absence that prove an order was never accepted", ge=0)
    ] = 10.0
    request_timeout_ms: Annotated[
        int, _doc("Longest wait for a venue's answer, milliseconds", ge=50)
    ] = 5000
    settle_timeout_secs: Annotated[
        float, _doc("Seconds at a stop to settle orders whose outcome is unknown", ge=0)
    ] = 5.0
    accept_drift: Annotated[
        bool, _doc("Start although journal and venue differ (each difference is printed)")
    ] = False
    allow_withdrawals: Annotated[
        bool, _doc("Whether withdrawal endpoints may be called at all")
    ] = False


class Simulated(Struct, kw_only=True):
    """Simulated execution, the same for paper and backtest."""

    balances: Annotated[list[Money], _doc("Starting balances of each venue")] = msgspec.field(
        default_factory=lambda: ["100000 USDT"]
    )
    latency_ms: Annotated[Decimal, _doc("From a command to the simulated venue, milliseconds")] = (
        Decimal(50)
    )
    fees: Annotated[
        Literal["venue"], _doc("Fees come from the venue; a run without fees is refused")
    ] = "venue"
    queue_position: Annotated[
        bool, _doc("A resting order fills after the size displayed before it")
    ] = True
    liquidity_consumption: Annotated[bool, _doc("A fill uses up the displayed size")] = True


class Record(Struct, kw_only=True):
    """Recording of what the run sees."""

    dir: Annotated[
        str, _doc("Folder of raw frames and of the catalog; relative to the config file")
    ] = "data"
    raw: Annotated[bool, _doc("Keep every frame and request, redacted, with local times")] = True
    normalized: Annotated[bool, _doc("Keep events in a NautilusTrader Parquet catalog")] = True
    rotate_mb: Annotated[
        int, _doc("Size at which a raw file is closed and a new one begun, MiB", ge=1)
    ] = 64
    rotate_secs: Annotated[int, _doc("Age at which a raw file is closed, seconds", ge=1)] = 3600


class Backtest(Struct, kw_only=True):
    """Which recorded data a backtest runs on."""

    catalog: Annotated[
        str, _doc("Folder of the NautilusTrader Parquet catalog; relative to the config file")
    ] = "data/catalog"
    start: Annotated[datetime | None, _doc("First moment, UTC")] = None
    end: Annotated[datetime | None, _doc("Last moment, UTC")] = None
    chunk_size: Annotated[int, _doc("Rows read at once; bounds memory", ge=1000)] = 100_000


class Config(Struct, kw_only=True):
    """One run of one or more strategies: live, on paper, or as a backtest."""

    name: Annotated[
        str, _doc("Name of the run; letters, digits, - and _", pattern=r"^[A-Za-z0-9_-]+$")
    ]
    schema: Annotated[Literal[1], _doc("Version of this file's shape")] = 1
    venues: Annotated[
        dict[str, Venue],
        _doc("Venue accounts by NautilusTrader venue name in lower case", min_length=1),
    ]
    strategies: Annotated[list[Strategy], _doc("Strategies of the run")] = []
    run: Run = Run()
    risk: Risk = Risk()
    execution: Execution = Execution()
    simulated: Simulated = Simulated()
    record: Annotated[Record | None, _doc("Present: the run is recorded")] = None
    backtest: Backtest = Backtest()
