"""The shape of a run's TOML file: frozen structs, unknown keys refused.

None means absent. Prices, sizes and rates are exact decimals, written as strings; a TOML float is
refused. Money is written with its currency (`"500 USDT"`). Times are UTC. Every field documents
its unit in `doc`, which `fairlead config --schema` prints.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from fairlead.engine.config.latency import FIXED
from fairlead.engine.config.latency import FORM as LATENCY_FORM
from fairlead.engine.config.observed import Observe as Observe
from fairlead.engine.config.shape import MOST, RATE_MAX, Struct
from fairlead.engine.config.shape import doc as _doc

Money = Annotated[
    str,
    _doc("Amount and currency", pattern=r"^[0-9]+(\.[0-9]+)? [A-Z0-9]+$", examples=["500 USDT"]),
]


class Run(Struct, frozen=True, kw_only=True):
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
    stop_timeout_secs: Annotated[
        int, _doc("Longest time an ordered stop may take", unit="s", ge=1, le=60)
    ] = 10
    stuck_secs: Annotated[
        int,
        _doc("An event loop that stands still so long is told, with its stack", unit="s", ge=1),
    ] = 10
    stuck_exit_secs: Annotated[
        Annotated[int, Meta(ge=5, le=MOST["s"])] | None,
        _doc(
            "... and after so long the process cancels (on_stop) and ends, exit code 1, to be "
            "started again; absent: never",
            unit="s",
        ),
    ] = None


NO_FEES: Final = "none"
FEE_RATE_MAX: Final = "0.05"  # no exchange takes as much: it would be percent, or basis points


class Fees(Struct, frozen=True, kw_only=True):
    """Fee rates as fractions of the executed value (0.001 is 10 bps); `fees = "none"`: no fees."""

    maker: Annotated[
        Decimal,
        _doc(
            "Rate paid by a resting order; negative is a rebate",
            unit="fraction",
            least=f"-{FEE_RATE_MAX}",
            most=FEE_RATE_MAX,
        ),
    ]
    taker: Annotated[
        Decimal,
        _doc("Rate paid by an order that takes", unit="fraction", least="0", most=FEE_RATE_MAX),
    ]


class Held(Struct, frozen=True, kw_only=True):
    """Orders that the engine holds for a venue that lacks their kind (docs/held-orders.md)."""

    source: Annotated[
        Literal["last", "touch", "mid", "tier"] | None,
        _doc(
            "The price that fires them: of the last trade, the best ask for a BUY and bid for a "
            "SELL, the middle, or what the order's quantity costs; the venue's own default"
        ),
    ] = None
    stale_after_ms: Annotated[
        int, _doc("Largest age of a price that fires, by both clocks", unit="ms", ge=1)
    ] = 5000
    passed: Annotated[
        Literal["fire", "cancel", "ask"],
        _doc(
            "What becomes of one whose level was passed while no process looked; ask: it stays "
            "held, and its instrument is halted until a person decides"
        ),
    ] = "fire"
    refused: Annotated[
        Literal["rearm", "reject"],
        _doc("What becomes of one whose fill-or-kill was not filled when it was released"),
    ] = "rearm"
    rearm_ms: Annotated[
        int, _doc("Wait before one that is armed again may be released", unit="ms", ge=1)
    ] = 1000
    releases_max: Annotated[
        int, _doc("Releases in vain before it is rejected", unit="releases", ge=1, le=99)
    ] = 20
    limits: Annotated[
        bool,
        _doc(
            "At a venue without resting orders: hold GTC limit orders until the market is at "
            "their price"
        ),
    ] = False


class Venue(Struct, frozen=True, kw_only=True):
    """One venue account."""

    adapter: Annotated[
        str, _doc('Adapter name, or "recorded" for a venue that exists only in a catalog')
    ]
    instruments: Annotated[
        list[str], _doc("NautilusTrader instrument ids, e.g. BTC_USDT.VENUE", min_length=1)
    ]
    account: Annotated[str, _doc("Name of the account; part of the journal's file name")] = "main"
    credentials: Annotated[
        dict[str, str], _doc("References: env:NAME, or file:PATH of mode 0600")
    ] = {}
    options: Annotated[dict[str, Any], _doc("The adapter's own options; see its README")] = {}
    fees: Annotated[
        Fees | Literal["none"] | None,
        _doc(
            'Fee rates, in place of those that the venue or the recording tells, or "none" for no '
            'fees; needed when adapter is "recorded"'
        ),
    ] = None
    account_type: Annotated[
        Literal["cash", "margin"], _doc("cash for spot, margin for derivatives")
    ] = "cash"
    held: Annotated[Held, _doc("Orders that the engine holds for the venue")] = Held()
    data_only: Annotated[
        bool, _doc("Its market data are used, and nothing is traded there: no keys, no journal")
    ] = False


class Strategy(Struct, frozen=True, kw_only=True):
    """One strategy instance."""

    id: Annotated[
        str,
        _doc(
            "Unique name, NAME-TAG; part of the orders' identity. The tag after the last dash is "
            "unique in the run, too",
            pattern=r"^[A-Za-z0-9_.]+-[A-Za-z0-9_.]+$",
            examples=["maker-1"],
        ),
    ]
    path: Annotated[
        str,
        _doc(
            "module:Class of a NautilusTrader Strategy, or file.py:Class, the file relative to "
            "the config file's folder",
            pattern=r"^([A-Za-z_][\w.]*|.+\.py):[A-Za-z_]\w*$",
            examples=["fairlead.strategies.breakout:Breakout", "./mine.py:Mine"],
        ),
    ]
    params: Annotated[dict[str, Any], _doc("Keyword arguments of the strategy's config class")] = {}


CheckCode = Literal[
    "EXEC_ALGORITHM",
    "EMULATION",
    "UNSUPPORTED",
    "CLEARS",
    "PRECISION",
    "PRICE_BOUNDS",
    "QUANTITY_BOUNDS",
    "REDUCE_ONLY",
    "EXIT_EXCEEDS",
    "INVALID_BOOK",
    "STALE_REFERENCE",
    "MIN_NOTIONAL",
    "MAX_ORDER_NOTIONAL",
    "MAX_ORDER_QUANTITY",
    "FAT_FINGER",
    "MAX_POSITION",
    "MIN_POSITION",
    "INSTRUMENT_EXPOSURE",
    "VENUE_EXPOSURE",
    "ACCOUNT_EXPOSURE",
    "RESTING_NOTIONAL",
    "MAX_OPEN_ORDERS",
    "PRICE_COLLAR",
    "STOP_SIDE",
    "SELF_CROSS",
    "FREE_BALANCE",
    "MARGIN",
    "CANCEL_TO_FILL",
    "UNKNOWN_OUTCOMES",
    "CLOCK_OFFSET",
    "DAILY_LOSS",
    "DRAWDOWN",
    "COOLDOWN",
    "ORDER_RATE",
    "MODIFY_RATE",
    "CANCEL_RATE",
]


class Risk(Struct, frozen=True, kw_only=True):
    """The gate's limits. A limit that is absent is not checked, except those with a default.

    Lists of money name one limit per currency; an instrument priced in a currency that the list
    does not name is refused.
    """

    max_order_notional: Annotated[
        Money | None,
        _doc(
            "Largest price x quantity of one order; market orders are valued at the best ask",
            unit="quote currency",
        ),
    ] = None
    max_order_quantity: Annotated[
        dict[str, Decimal],
        _doc("Largest quantity of one order, per instrument", unit="base currency", above="0"),
    ] = {}
    max_position: Annotated[
        dict[str, Decimal],
        _doc(
            "Largest absolute position of an instrument if every live order of the side "
            "fills; orders of unknown outcome count; a reduce-only market order is looked at "
            "alone",
            unit="base currency",
            above="0",
        ),
    ] = {}
    min_position: Annotated[
        dict[str, Decimal],
        _doc(
            "Least position of an instrument if every live SELL fills, signed; orders of "
            "unknown outcome count; 0 is never short. A strategy that may not be short has its "
            "declared inventory as its own",
            unit="base currency",
        ),
    ] = {}
    max_instrument_exposure: Annotated[
        list[Money],
        _doc("Largest absolute position + open orders of one instrument", unit="quote currency"),
    ] = []
    max_venue_exposure: Annotated[
        list[Money],
        _doc(
            "Largest sum of absolute position + open orders over the instruments of one "
            "venue, per currency",
            unit="quote currency",
        ),
    ] = []
    max_account_exposure: Annotated[
        list[Money],
        _doc(
            "Largest sum of absolute position + open orders over the venues of one account "
            "name, per currency",
            unit="quote currency",
        ),
    ] = []
    max_resting_notional: Annotated[
        list[Money],
        _doc("Largest sum of all open orders of the run, per currency", unit="quote currency"),
    ] = []
    max_open_orders: Annotated[
        int,
        _doc(
            "Most orders open or of unknown outcome, over all strategies of the run; a reduce-only "
            "market order passes",
            unit="orders",
            ge=1,
        ),
    ] = 50
    max_orders_per_second: Annotated[
        int,
        _doc(
            "Most orders and modifies approved in any one second, over all strategies",
            unit="orders/s",
            ge=1,
        ),
    ] = 10
    max_modifies_per_second: Annotated[
        Annotated[int, Meta(ge=1, le=RATE_MAX)] | None,
        _doc("Most modifies approved in any one second", unit="modifies/s"),
    ] = None
    max_cancels_per_second: Annotated[
        Annotated[int, Meta(ge=1, le=RATE_MAX)] | None,
        _doc(
            "From so many cancels in a second on, orders and modifies wait; cancels are never "
            "refused",
            unit="cancels/s",
        ),
    ] = None
    max_cancel_to_fill: Annotated[
        Decimal | None,
        _doc(
            "Most cancelled orders for each filled one, per venue and UTC day, after a least "
            "number of orders",
            unit="ratio",
            above="0",
        ),
    ] = None
    cancel_to_fill_after: Annotated[
        int, _doc("Orders of the day before max_cancel_to_fill holds", unit="orders", ge=1)
    ] = 100
    price_collar_bps: Annotated[
        Decimal,
        _doc(
            "Most that a limit price may lie through the reference price on the losing side",
            unit="bps",
            above="0",
        ),
    ] = Decimal(500)
    stale_after_ms: Annotated[
        int,
        _doc(
            "Largest age of the managed book (else the last quote, else the last trade), which "
            "must be there",
            unit="ms",
            ge=1,
        ),
    ] = 5000
    fat_finger_multiple: Annotated[
        Decimal | None,
        _doc(
            "Largest quantity as a multiple of the median (or largest) of the last trades; "
            "before the first trade nothing passes",
            unit="multiple",
            above="0",
        ),
    ] = None
    fat_finger_measure: Annotated[
        Literal["median", "largest"], _doc("What of the recent trades is compared with")
    ] = "median"
    fat_finger_trades: Annotated[
        int, _doc("How many recent trades are compared with", unit="trades", ge=1, le=1000)
    ] = 100
    max_unknown_outcomes: Annotated[
        int,
        _doc(
            "From so many orders of unknown outcome on a venue gets no new ones but exits",
            unit="orders",
            ge=1,
        ),
    ] = 3
    max_clock_offset_ms: Annotated[
        int,
        _doc(
            "Largest difference between the venue's clock and ours, where it is known",
            unit="ms",
            ge=1,
        ),
    ] = 2000
    max_daily_loss: Annotated[
        list[Money],
        _doc(
            "Loss since 00:00 UTC, fees and open positions counted; reaching it halts the run",
            unit="quote currency",
        ),
    ] = []
    max_drawdown: Annotated[
        list[Money],
        _doc("Fall of the equity from its peak; reaching it halts the run", unit="quote currency"),
    ] = []
    on_breach: Annotated[
        Literal["halt", "halt+cancel", "halt+cancel+flatten"],
        _doc("What a daily loss or drawdown does beyond refusing orders"),
    ] = "halt"
    cooldown_losses: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        _doc(
            "A strategy pauses after so many losing round trips within a time; exits pass",
            unit="trips",
        ),
    ] = None
    cooldown_window_secs: Annotated[
        int, _doc("Time within which these losses count", unit="s", ge=1)
    ] = 3600
    cooldown_secs: Annotated[int, _doc("Length of the pause", unit="s", ge=1)] = 900
    kill_switch_file: Annotated[
        str,
        _doc(
            "While the file exists (its path is relative to state_dir), or a kill is in force "
            "whose scope the order is in, nothing is created (docs/kill.md); a file that "
            "can't be looked at counts"
        ),
    ] = "KILL"
    off: Annotated[
        list[CheckCode], _doc("Checks that are switched off, by code; see docs/risk.md")
    ] = []


class Execution(Struct, frozen=True, kw_only=True):
    """The order desk."""

    journal_fsync: Annotated[
        Literal["always", "never"],
        _doc("Whether each journal record is synced to disk before the send"),
    ] = "always"
    poll_ms: Annotated[
        int,
        _doc("Interval between polls of open orders on venues that push none", unit="ms", ge=50),
    ] = 1000
    balance_poll_ms: Annotated[
        int, _doc("Interval between polls of balances", unit="ms", ge=100)
    ] = 5000
    unknown_query_ms: Annotated[
        list[Annotated[int, Meta(ge=1, le=MOST["ms"])]],
        _doc(
            "Waits between the queries for an order whose answer was lost; the last repeats",
            unit="ms",
            min_length=1,
        ),
    ] = msgspec.field(default_factory=lambda: [250, 500, 1000, 2000, 5000])
    absent_quarantine_secs: Annotated[
        float, _doc("Consistent absence that proves an order was never accepted", unit="s", ge=0)
    ] = 10.0
    missing_stop: Annotated[
        Literal["close", "report"],
        _doc(
            "Where a venue takes an entry with its exits in one call, and has not taken the stop: "
            "the position is closed at the market, or it is only told"
        ),
    ] = "close"
    settle_timeout_secs: Annotated[
        float, _doc("Time at a stop to settle orders whose outcome is unknown", unit="s", ge=0)
    ] = 5.0
    closed_orders_secs: Annotated[
        float,
        _doc(
            "Least time that an order which is over stays in NautilusTrader's cache, in a live "
            "run; 0: to the end of the run, in memory. The journal has all",
            unit="s",
            ge=0,
        ),
    ] = 600.0
    closed_orders: Annotated[
        int, _doc("Of each strategy so many that are over stay there, the newest", ge=0)
    ] = 200
    max_drift: Annotated[
        list[Money],
        _doc(
            "Most by which the account's balance may differ from the last one known and the fills "
            "since; more refuses the start, or halts the run. Other currencies: max_drift_share"
        ),
    ] = msgspec.field(default_factory=list)
    max_drift_share: Annotated[
        Decimal,
        _doc(
            "The same for each currency that max_drift does not name, as a share of its balance; "
            "1 is any",
            unit="fraction",
            least="0",
        ),
    ] = Decimal("0.05")
    accept_drift: Annotated[
        bool, _doc("Start with any balance (each difference is printed); for one start")
    ] = False
    accept_unjournaled: Annotated[
        bool,
        _doc(
            "Start though the journal was lost: an engine's open orders are at the venue, "
            "positions were held, or a saved journal lies beside; for one start"
        ),
    ] = False


class Simulated(Struct, frozen=True, kw_only=True):
    """Simulated execution, the same for paper and backtest."""

    balances: Annotated[list[Money], _doc("Starting balances of each venue", min_length=1)] = (
        msgspec.field(default_factory=lambda: ["100000 USDT"])
    )
    latency_ms: Annotated[
        Decimal, _doc("From a command to the simulated venue", unit="ms", least="0")
    ] = Decimal(50)
    latency: Annotated[
        str,
        _doc(
            "How long commands take: fixed (each latency_ms), drawn from a distribution by "
            "run.seed, or as a kept run measured it (docs/simulated-execution.md)",
            pattern=LATENCY_FORM,
            examples=["lognormal median=20 p99=80 max=500"],
        ),
    ] = FIXED
    fees: Annotated[
        Literal["venue"],
        _doc(
            "Fees come from the venue; a run without is refused, unless its config says "
            'fees = "none" in [venues.NAME]'
        ),
    ] = "venue"
    queue_position: Annotated[
        bool, _doc("A resting order fills after the size displayed before it")
    ] = True
    liquidity_consumption: Annotated[bool, _doc("A fill uses up the displayed size")] = True


class Record(Struct, frozen=True, kw_only=True):
    """Recording of what the run sees."""

    dir: Annotated[
        str, _doc("Folder of raw frames and of the catalog; relative to the config file")
    ] = "data"
    raw: Annotated[bool, _doc("Keep every frame and request, redacted, with local times")] = True
    normalized: Annotated[bool, _doc("Keep events in a NautilusTrader Parquet catalog")] = True
    rotate_mb: Annotated[
        int, _doc("Size at which a raw file is closed and a new one begun", unit="MiB", ge=1)
    ] = 64
    rotate_secs: Annotated[int, _doc("Age at which a raw file is closed", unit="s", ge=1)] = 3600
    promote_secs: Annotated[
        int, _doc("How often new events become Parquet files of the catalog", unit="s", ge=1)
    ] = 300


class Log(Struct, frozen=True, kw_only=True):
    """A file of what a run says on stderr, in `logs` of the state folder (docs/operate.md)."""

    format: Annotated[
        Literal["json", "text"], _doc("One JSON object a line (NAME-MODE.jsonl), or text (.txt)")
    ] = "json"
    rotate_mb: Annotated[
        int, _doc("Size at which a file is closed and a new one begun", unit="MiB", ge=1)
    ] = 16
    keep: Annotated[
        int, _doc("Closed files that are kept; the oldest go", unit="files", ge=1, le=1000)
    ] = 10


class Backtest(Struct, frozen=True, kw_only=True):
    """Which recorded data a backtest runs on."""

    catalog: Annotated[
        str,
        _doc(
            "Folder of the NautilusTrader Parquet catalog, relative to the config file; or one in "
            "an object store, s3://BUCKET/PATH (docs/data.md)"
        ),
    ] = "data/catalog"
    start: Annotated[datetime | None, _doc("First moment", unit="UTC")] = None
    end: Annotated[datetime | None, _doc("Last moment", unit="UTC")] = None
    chunk_size: Annotated[int, _doc("Rows read at once; bounds memory", unit="rows", ge=1000)] = (
        100_000
    )


class Config(Struct, frozen=True, kw_only=True):
    """One run of one or more strategies: live, on paper, or as a backtest."""

    name: Annotated[
        str,
        _doc(
            "Name of the run; letters, digits, - and _",
            pattern=r"^[A-Za-z0-9_-]+$",
            examples=["btc-maker"],
        ),
    ]
    schema: Annotated[Literal[1], _doc("Version of this file's shape")] = 1
    venues: Annotated[
        dict[str, Venue],
        _doc("Venue accounts by NautilusTrader venue name in lower case", min_length=1),
    ]
    prices_from: Annotated[
        dict[str, str],
        _doc(
            "Instruments whose market data are another's, told under their own name: "
            '"BTC_USDT.HERE" = "BTC_USDT.THERE"'
        ),
    ] = {}
    strategies: Annotated[list[Strategy], _doc("Strategies of the run")] = []
    run: Annotated[Run, _doc("What holds for the whole run")] = Run()
    risk: Annotated[Risk, _doc("The gate's limits")] = Risk()
    execution: Annotated[Execution, _doc("The order desk")] = Execution()
    simulated: Annotated[Simulated, _doc("Execution on paper and in a backtest")] = Simulated()
    record: Annotated[Record | None, _doc("Present: the run is recorded")] = None
    log: Annotated[Log | None, _doc("Present: what the run says is kept in a file, too")] = None
    backtest: Annotated[Backtest, _doc("The data of a backtest")] = Backtest()
    observe: Annotated[Observe, _doc("What a running engine shows of itself")] = Observe()

    @property
    def instruments(self) -> tuple[str, ...]:
        """Every instrument id that the file names, in its order."""
        return tuple(name for venue in self.venues.values() for name in venue.instruments)
