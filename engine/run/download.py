"""Bars and trades that a venue's REST tells of the past, into a catalog.

By windows of time, each written whole or not at all: a download that is cut short goes on where it
was. Times of receipt are not to be had: `ts_init` is `ts_event`. How fast a venue is asked is its
adapter's rate budget; a refusal for rate is waited out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import Bar, BarType, NautilusDataType, TradeTick
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.adapters import registry
from fairlead.adapters.base.aiohttp_transport import AiohttpTransport
from fairlead.adapters.base.transport import HttpTransport
from fairlead.adapters.base.venue import Adapter, AdapterContext, VenueError, VenueErrorKind
from fairlead.engine.bars import bar_minutes
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.recording.catalog import utc
from fairlead.engine.recording.gaps import GapKind, GapRow
from fairlead.engine.recording.importers.binance_instruments import held_instrument
from fairlead.engine.recording.importers.staging import StagedCatalog
from fairlead.engine.run.reach import adapter_of

MINUTE_NS = 60_000_000_000
BARS_PER_WINDOW = 1_000
TRADES_WINDOW_NS = 60 * MINUTE_NS
SETTLED_NS = 5_000_000_000  # newest trades that are left to the next time: their second may go on
TRIES_MAX = 8  # of one window, where the venue refuses for rate or can't be reached
WAIT_SECS_FIRST, WAIT_SECS_MAX = 1.0, 60.0
WINDOWS_MAX = 100_000

Progress = Callable[[int, int], None]  # ns done, ns in all


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; `bar` such as "1-MINUTE", empty for trades. Both ends are in it."""

    instrument: str
    bar: str
    start_ns: int
    end_ns: int


class Downloaded(msgspec.Struct, kw_only=True):
    """`held_ns`: how much of the time the catalog had; `missing`: bars that the venue lacks."""

    instrument: str
    kind: str
    start_ns: int
    end_ns: int
    rows: int = 0
    windows: int = 0
    files: int = 0
    held_ns: int = 0
    missing: int = 0
    waits: int = 0
    first_ns: int = 0
    last_ns: int = 0


def adapter_for(
    venue: str, instrument: str, loaded: LoadedConfig | None, http: HttpTransport
) -> Adapter:
    """Of the config's venue, else of the adapter of that name with its defaults. No key is read.

    Raises FairleadError.
    """
    if loaded is not None:
        key = next((one for one in loaded.config.venues if one.lower() == venue.lower()), None)
        if key is None:
            known = ", ".join(loaded.config.venues)
            raise FairleadError("DOWNLOAD-VENUE", f"{loaded.file} has {known}, no {venue}", 2)
        return adapter_of(loaded, key, {}, http)
    if venue.lower() not in registry.names():
        text = f"expected one of {', '.join(registry.names())}, received {venue!r}"
        raise FairleadError("DOWNLOAD-VENUE", text, int(Exit.USAGE))
    spec = registry.spec(venue.lower())
    return spec.create(
        AdapterContext(
            venue=instrument.rpartition(".")[2] or venue.upper(),
            options=spec.options(),
            secrets={},
            http=http,
            now_ns=time.time_ns,
            instruments=(instrument,),
        )
    )


async def download(
    adapter: Adapter,
    wanted: Wanted,
    catalog: Path,
    *,
    progress: Progress | None = None,
    now_ns: Callable[[], int] = time.time_ns,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Downloaded:
    """Whatever the catalog lacks of it. Raises FairleadError; what came before stays."""
    run = _Download(adapter, wanted, catalog, now_ns, sleep)
    try:
        await run.patiently(lambda: adapter.connect(trading=False))
        return await run.all(progress)
    finally:
        await adapter.close()


async def download_over_http(
    venue: str,
    wanted: Wanted,
    catalog: Path,
    loaded: LoadedConfig | None,
    progress: Progress | None = None,
) -> Downloaded:
    """Raises FairleadError."""
    http = AiohttpTransport()
    try:
        adapter = _made(venue, wanted, loaded, http)
        return await download(adapter, wanted, catalog, progress=progress)
    finally:
        await http.close()


def _made(venue: str, wanted: Wanted, loaded: LoadedConfig | None, http: HttpTransport) -> Adapter:
    try:
        return adapter_for(venue, wanted.instrument, loaded, http)
    except VenueError as error:
        raise FairleadError(error.code, error.message, int(Exit.VENUE)) from error


class _Download:
    def __init__(
        self,
        adapter: Adapter,
        wanted: Wanted,
        catalog: Path,
        now_ns: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._adapter = adapter
        self._wanted = wanted
        self._catalog = catalog
        self._now_ns = now_ns
        self._sleep = sleep
        self._kind: Any = NautilusDataType.TradeTick
        self._name = wanted.instrument
        self._bar_type: Any = None
        self._step_ns = 0
        if wanted.bar:
            self._name = f"{wanted.instrument}-{wanted.bar}-LAST-EXTERNAL"
            self._kind = NautilusDataType.Bar
            self._bar_type = _bar_type(self._name)
            self._step_ns = bar_minutes(self._bar_type) * MINUTE_NS
        self._told = Downloaded(
            instrument=wanted.instrument,
            kind=self._name if wanted.bar else "trades",
            start_ns=wanted.start_ns,
            end_ns=wanted.end_ns,
        )

    async def all(self, progress: Progress | None) -> Downloaded:
        """Every window that the catalog does not hold, oldest first."""
        wanted, told = self._wanted, self._told
        if wanted.instrument not in self._adapter.instruments:
            known = sorted(self._adapter.instruments)[:8]
            text = f"{self._adapter.venue} has no {wanted.instrument}; it has {', '.join(known)}"
            raise FairleadError("DOWNLOAD-INSTRUMENT", text, int(Exit.NO_DATA))
        settled_ns = 0 if self._step_ns else SETTLED_NS
        end_ns = min(wanted.end_ns, self._now_ns() - settled_ns)
        total = max(1, end_ns - wanted.start_ns)
        missing = self._missing(wanted.start_ns, end_ns)
        told.held_ns = total - sum(b - a for a, b in missing)
        for begin, end in _windows(missing, self._window_ns()):
            rows = await self._ask(begin, end)
            told.windows += 1
            try:
                self._keep(rows, begin, end)
            except OSError as error:
                text = f"{self._catalog}: {error}; what was downloaded before stays"
                raise FairleadError("DOWNLOAD-DISK", text, int(Exit.FAILED)) from error
            if progress is not None:
                progress(min(end - wanted.start_ns, total), total)
        return told

    def _window_ns(self) -> int:
        return self._step_ns * BARS_PER_WINDOW if self._step_ns else TRADES_WINDOW_NS

    def _missing(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """Parts of the time that no file of the catalog covers."""
        if start_ns > end_ns:
            return []
        if not (self._catalog / "data").is_dir():
            return [(start_ns, end_ns)]
        held = ParquetDataCatalog(str(self._catalog)).get_intervals(self._kind, self._name)
        found, at = [], start_ns
        for begin, end in sorted(held):
            if begin > end_ns or at > end_ns:
                break
            if begin > at:
                found.append((at, begin - 1))
            at = max(at, end + 1)
        if at <= end_ns:
            found.append((at, end_ns))
        return found

    async def _ask(self, begin: int, end: int) -> list[Any]:
        data, instrument = self._adapter.market_data, self._wanted.instrument
        if self._bar_type is not None:
            return await self.patiently(lambda: data.history_bars(self._bar_type, begin, end, 0))
        return await self.patiently(lambda: data.history_trades(instrument, begin, end, 0))

    async def patiently[T](self, ask: Callable[[], Awaitable[T]]) -> T:
        """A refusal for rate, and a venue that can't be reached, are waited out. Raises
        FairleadError."""
        wait_secs = WAIT_SECS_FIRST
        for left in reversed(range(TRIES_MAX)):
            try:
                return await ask()
            except VenueError as error:
                is_for_now = error.kind in (VenueErrorKind.RATE_LIMITED, VenueErrorKind.UNKNOWN)
                if not is_for_now or not left:
                    text = f"{error.message}; what was downloaded stays, run it again to go on"
                    raise FairleadError(error.code, text, int(Exit.VENUE)) from error
                self._told.waits += 1
                await self._sleep(min(max(wait_secs, error.retry_after_secs), WAIT_SECS_MAX))
                wait_secs *= 2
        raise AssertionError("the last try returns or raises")

    # -- writing -----------------------------------------------------------------------------------

    def _keep(self, rows: Sequence[Any], begin: int, end: int) -> None:
        """As one file, whole or not at all. Raises FairleadError."""
        rows = sorted((_as_recorded(row) for row in rows), key=lambda row: row.ts_init)
        rows = [row for row in rows if begin <= row.ts_init <= end]
        told = self._told
        with StagedCatalog(self._catalog) as staged:
            if held_instrument(self._catalog, self._wanted.instrument) is None:
                definition = self._adapter.instruments[self._wanted.instrument].nautilus
                staged.catalog.write_instruments([definition])
            if rows and self._bar_type is not None:
                # Named by the time that was asked for, up to the last bar that is closed
                staged.catalog.write_bars(rows, start=begin, end=self._covered(rows, end))
                for row in self._holes(rows):
                    staged.gaps.append(row)
                    told.missing += row.count
            elif rows:
                staged.catalog.write_trade_ticks(rows)
            staged.commit()
        if rows:
            told.files += 1
            told.rows += len(rows)
            told.first_ns = told.first_ns or rows[0].ts_event
            told.last_ns = rows[-1].ts_event

    def _covered(self, rows: Sequence[Bar], end: int) -> int:
        """No later than what can't change any more: the newest bar where the time is not over."""
        is_over = end + self._step_ns < self._now_ns()
        return end if is_over else int(rows[-1].ts_init)

    def _holes(self, rows: Sequence[Bar]) -> Iterator[GapRow]:
        for one, other in pairwise(rows):
            missing = (other.ts_event - one.ts_event) // self._step_ns - 1
            if missing > 0:
                yield GapRow(
                    kind=GapKind.GAP,
                    instrument=self._wanted.instrument,
                    reason=f"{missing} bars of {self._name} that the venue does not tell",
                    from_ns=one.ts_event,
                    to_ns=other.ts_event - self._step_ns,
                    count=missing,
                )


def _windows(spans: Sequence[tuple[int, int]], step_ns: int) -> Iterator[tuple[int, int]]:
    """Raises FairleadError for more than WINDOWS_MAX."""
    count = sum((end - begin) // step_ns + 1 for begin, end in spans)
    if count > WINDOWS_MAX:
        text = f"expected at most {WINDOWS_MAX:,} requests, the time takes {count:,}; ask for less"
        raise FairleadError("DOWNLOAD-SPAN", text, int(Exit.USAGE))
    for begin, end in spans:
        for at in range(begin, end + 1, step_ns):
            yield at, min(at + step_ns - 1, end)


def _bar_type(text: str) -> BarType:
    """Raises FairleadError."""
    try:
        found = BarType.from_str(text)
        if bar_minutes(found) <= 0:
            raise ValueError("bars of whole minutes expected")
    except ValueError as error:
        raise FairleadError("DOWNLOAD-BAR", f"{text}: {error}", int(Exit.USAGE)) from error
    return found


def _as_recorded(row: Any) -> Any:
    """When it was asked for says nothing of the market."""
    if isinstance(row, Bar):
        values = (row.open, row.high, row.low, row.close, row.volume)
        return Bar(row.bar_type, *values, row.ts_event, row.ts_event)
    return TradeTick(
        row.instrument_id,
        row.price,
        row.size,
        row.aggressor_side,
        row.trade_id,
        row.ts_event,
        row.ts_event,
    )


def summary_of(told: Downloaded, catalog: Path) -> str:
    """One line or two for a person."""
    span = f"{utc(told.start_ns)} to {utc(told.end_ns)}"
    held = f"; {told.held_ns / 1e9:,.0f} s of it were held" if told.held_ns > 0 else ""
    lines = [
        f"downloaded {told.rows:,} {told.kind} of {told.instrument} into {catalog}",
        f"  asked     {span}{held}",
        f"  came      {utc(told.first_ns)} to {utc(told.last_ns)}"
        if told.rows
        else "  came      -",
        f"  requests  {told.windows:,} windows, {told.files:,} files, {told.waits:,} waits",
    ]
    if told.missing:
        lines.append(f"  gaps      {told.missing:,} bars that the venue does not tell")
    if told.first_ns - told.start_ns > 2 * TRADES_WINDOW_NS and told.held_ns <= 0:
        lines.append("  WARNING   the venue tells nothing before the first: it keeps no more")
    return "\n".join(lines)
