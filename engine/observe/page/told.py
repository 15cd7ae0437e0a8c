"""The shapes of what a running engine tells of itself; OpenAPI is made of them.

Amounts are exact decimals as text, times are UNIX nanoseconds (0: never). Nothing here is a secret.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every shape."""


Level = Literal["bad", "look"]
ScopeKind = Literal["all", "account", "venue", "strategy"]


class Wrong(Told, frozen=True, kw_only=True):
    """One reason why not all is well. `bad` needs a person now; `look` may pass by itself.

    `about` is what it is about (a stream, a venue), the same while the text changes; "" is nothing
    in particular.
    """

    level: Level
    code: str
    text: str
    about: str = ""


class KillTold(Told, frozen=True, kw_only=True):
    """A kill in force, as `fairlead kill --status` tells it."""

    scope: ScopeKind
    key: str
    action: str
    reason: str
    by: str
    ts_ns: int


class HaltTold(Told, frozen=True, kw_only=True):
    """A halt of an account that a limit of the run brought; `venue` "" is every venue."""

    venue: str
    account: str
    code: str
    reason: str
    ts_ns: int


class StreamTold(Told, frozen=True, kw_only=True):
    """One stream of a venue, over all its reconnects."""

    name: str
    state: str
    connected_since_ns: int
    last_frame_ns: int
    frames: int
    reconnects: int
    parse_errors: int
    gaps: int
    last_error: str


class ClockTold(Told, frozen=True, kw_only=True):
    """A venue's clock less ours, in ms; `unknown` says why what was measured holds no more."""

    venue: str
    offset_ms: float | None
    limit_ms: int
    unknown: str


class BudgetTold(Told, frozen=True, kw_only=True):
    """A budget of requests: `used` of `count` in the last `per_secs`; `blocked_secs` is what a
    venue's refusal still asks for. `venue` "" is the gate's own limit of orders."""

    venue: str
    scope: str
    used: int
    count: int
    per_secs: float
    blocked_secs: float


class ComparedTold(Told, frozen=True, kw_only=True):
    """When an account was last compared with its venue, and the differences found in this run."""

    venue: str
    account: str
    ts_ns: int
    findings: int


class LossTold(Told, frozen=True, kw_only=True):
    """The result in one currency, and how much of each limit is used (None: no such limit)."""

    currency: str
    result: str
    lost_today: str
    daily_loss_limit: str | None
    drawdown: str
    drawdown_limit: str | None


class WorthTold(Told, frozen=True, kw_only=True):
    """What an account is worth in one quote currency, at the marks of now."""

    venue: str
    currency: str
    worth: str


class LatencyTold(Told, frozen=True, kw_only=True):
    """A histogram's figures, ns; None without records."""

    name: str
    count: int
    p50_ns: int | None
    p99_ns: int | None
    max_ns: int | None


class Status(Told, frozen=True, kw_only=True):
    """How the run is. `wrong` is empty when all is well; `state` is starting, running or stopping,
    and stopped where a command finds none.

    `unknown_orders` are those whose outcome nothing proves. `fills` are the run's; of a live one
    that no longer tells, all that the journals have, over all runs. `is_controlled`: kills, clears
    and cancels are taken here, with the second token. None: only the run itself could tell; of a
    paper run that is up, and tells nothing, that is its orders too.
    """

    name: str
    mode: str
    state: str
    version: str
    config: str
    started_ns: int
    now_ns: int
    is_controlled: bool
    wrong: list[Wrong]
    strategies: list[str]
    venues: list[str]
    accounts: list[str]
    kills: list[KillTold]
    halts: list[HaltTold]
    faulted: dict[str, str]
    open_orders: int | None
    unknown_orders: int | None
    fills: int | None
    denials: int | None
    streams: list[StreamTold]
    oldest_stream: str
    clocks: list[ClockTold]
    budgets: list[BudgetTold]
    compared: list[ComparedTold]
    losses: list[LossTold]
    worth: list[WorthTold]
    latencies: list[LatencyTold]
    loop_lag_ms: float | None


class OrderTold(Told, frozen=True, kw_only=True):
    """An order that is not over. `ts_ns` is when it was sent, or taken by the engine to be held."""

    client_order_id: str
    venue_order_id: str | None
    strategy: str
    instrument: str
    side: str
    kind: str
    role: str
    state: str
    quantity: str
    filled: str
    price: str | None
    trigger_price: str | None
    trigger_condition: str | None
    time_in_force: str
    is_unknown: bool
    is_missing: bool
    cancel_requested: bool
    ts_ns: int


class PartTold(Told, frozen=True, kw_only=True):
    """One strategy's part of a position, signed base units."""

    strategy: str
    engine: str | None
    journal: str | None
    avg_price: str | None


class PositionTold(Told, frozen=True, kw_only=True):
    """A position as the engine counts it, the journal adds it up, and the venue tells it.

    Quantities count `unit`: `base`, or contracts with what one is (empty: no file tells it).
    `venue` is the account's balance of `base` on a cash account: it holds what was there before,
    too. None: not told (no engine is up, no journal on paper, no such balance on margin).
    `is_apart`: engine and journal differ by an increment or more, of a strategy or in all, beyond
    what rounded fees explain.
    """

    instrument: str
    base: str
    quote: str
    unit: str
    engine: str | None
    journal: str | None
    venue: str | None
    mark: str | None
    worth: str | None
    is_apart: bool
    strategies: list[PartTold]


class FillTold(Told, frozen=True, kw_only=True):
    """One execution of this run; `fee` is positive when paid."""

    client_order_id: str
    trade_id: str
    strategy: str
    instrument: str
    side: str
    quantity: str
    price: str
    fee: str
    fee_currency: str
    is_maker: bool | None
    ts_ns: int


class BookTold(Told, frozen=True, kw_only=True):
    """The state of an instrument's book, and its top."""

    instrument: str
    state: str
    since_ns: int
    last_update_ns: int
    gaps: int
    resyncs: int
    bid: str | None
    ask: str | None


Pair = Annotated[list[str], Meta(min_length=2, max_length=2)]


class Depth(Told, frozen=True, kw_only=True):
    """Levels of one book, best first: price and size."""

    instrument: str
    now_ns: int
    bids: list[Pair]
    asks: list[Pair]


class EquityPoint(Told, frozen=True, kw_only=True):
    """A sample of an account's worth."""

    ts_ns: int
    worth: str


class EquityTold(Told, frozen=True, kw_only=True):
    """Worth of an account by time, oldest first; of a long run every second sample is left out."""

    venue: str
    currency: str
    points: list[EquityPoint]


class DenialTold(Told, frozen=True, kw_only=True):
    """An order, or a change of one, that the gate refused."""

    ts_ns: int
    code: str
    message: str
    strategy: str
    instrument: str
    client_order_id: str


class Denials(Told, frozen=True, kw_only=True):
    """All that the gate refused, by code; the last of them whole, newest first."""

    counts: dict[str, int]
    last: list[DenialTold]


class Warned(Told, frozen=True, kw_only=True):
    """Something an operator should know; newest first. `count`: how often it came."""

    ts_ns: int
    code: str
    text: str
    count: int


class RunTold(Told, frozen=True, kw_only=True):
    """A run that is kept; `has_report`: its report is there to be opened."""

    id: str
    mode: str
    name: str
    begun_ns: int
    exit_code: int
    fills: int
    net: dict[str, str]
    has_report: bool


Text = Annotated[str, Meta(max_length=500)]
Key = Annotated[str, Meta(max_length=200)]


class KillAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`fairlead kill SCOPE KEY --action ACTION --reason REASON`."""

    scope: ScopeKind
    key: Key = ""
    action: Literal["halt", "cancel", "flatten"] = "cancel"
    reason: Text = ""


class ClearAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`fairlead kill SCOPE KEY --clear --reason REASON`."""

    scope: ScopeKind
    key: Key = ""
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Done(Told, frozen=True, kw_only=True):
    """What was done, in words."""

    text: str


class Ticket(Told, frozen=True, kw_only=True):
    """Where a kept run's report can be opened once, within half a minute."""

    path: str


class Problem(Told, frozen=True, kw_only=True):
    """Why a request was refused."""

    code: str
    message: str
