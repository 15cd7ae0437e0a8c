"""A short node of NautilusTrader, run to look at one venue through NautilusTrader's own clients.

Those can be reached through a node only, and a run must know instruments, open orders and positions
before its own node is built. One node at a time lives in a thread: this one is gone when the run's
is made.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec
from nautilus_trader.live import LiveNodeBuilder, LiveNodeConfig
from nautilus_trader.model import InstrumentId, StrategyId
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.engine.run.native.clients import Clients
from fairlead.engine.run.native.words import Words, kept_back

logger = logging.getLogger(__name__)

UP_SECS = 45.0  # for the adapter to connect, with retries of its own
REACH_SECS = 5.0  # for a host that the config names to take a connection
INSTRUMENT_SECS = 10.0  # for instruments that an adapter loads when they are asked for
STOP_SECS = 15.0
LOOK_SECS = 0.02


class Looker(Strategy):
    """What stands in the short node; it claims the venue's orders, and sends none."""

    def __init__(self, instruments: Sequence[str]) -> None:
        super().__init__(
            StrategyConfig(strategy_id=StrategyId("LOOK-001"), log_events=False, log_commands=False)
        )
        self.wanted = [InstrumentId.from_str(name) for name in instruments]
        self.is_up = False

    def on_start(self) -> None:
        for instrument_id in self.missing():
            self.request_instrument(instrument_id)
        self.is_up = True

    def missing(self) -> list[InstrumentId]:
        return [one for one in self.wanted if self.cache.instrument(one) is None]


@asynccontextmanager
async def session(
    clients: Clients,
    config: Callable[[], LiveNodeConfig],
    instruments: Sequence[str],
    *,
    trading: bool,
) -> AsyncIterator[Looker]:
    """A node with the venue's clients, up, and with each instrument that the venue has.

    Raises VenueError where the adapter does not connect.
    """
    await require_reachable(clients)
    words = Words()
    try:
        with kept_back(words):
            async with _node(clients, config, instruments, trading=trading) as looker:
                yield looker
    except VenueError as error:
        if not words.last:
            raise
        text = f"{error.message}; its last error: {words.last}"
        raise VenueError(error.kind, error.code, text) from error


@asynccontextmanager
async def _node(
    clients: Clients,
    config: Callable[[], LiveNodeConfig],
    instruments: Sequence[str],
    *,
    trading: bool,
) -> AsyncIterator[Looker]:
    builder = clients.add_data(LiveNodeBuilder.from_config("LOOK", config()))
    if trading:
        builder = clients.add_execution(builder)
    try:
        node = builder.build()
    except RuntimeError as error:
        raise _unreachable(clients, str(error)) from error
    handle = node.handle()
    looker = Looker(instruments)
    node.add_strategy(looker)
    looker.set_external_order_instrument_ids(looker.wanted)
    running = asyncio.ensure_future(node.run_async())
    try:
        await _up(clients, looker, running)
        yield looker
    finally:
        handle.stop()
        await asyncio.wait({running}, timeout=STOP_SECS)
        if not running.done():
            running.cancel()
        ended = (await asyncio.gather(running, return_exceptions=True))[0]
        if isinstance(ended, Exception):
            logger.info("the look at %s ended: %s", clients.venue, ended)
        node.dispose()
        del node, builder, running
        gc.collect()  # NautilusTrader refuses a second node while anything still holds the first


async def _up(clients: Clients, looker: Looker, running: asyncio.Future[None]) -> None:
    loop = asyncio.get_running_loop()
    latest = loop.time() + UP_SECS
    while not looker.is_up:
        if running.done():
            error = running.exception()
            raise _unreachable(clients, "it ended" if error is None else str(error))
        if loop.time() > latest:
            raise _unreachable(clients, f"it did not connect in {UP_SECS:g} s")
        await asyncio.sleep(LOOK_SECS)
    latest = loop.time() + INSTRUMENT_SECS
    while True:
        if not looker.missing() or loop.time() > latest or running.done():
            return
        await asyncio.sleep(LOOK_SECS)


async def require_reachable(clients: Clients) -> None:
    """Whether the hosts that the config names take a connection at all: the adapter itself tells
    only that it failed. Raises VenueError."""
    for name, shown, host, port in _addresses(clients):
        try:
            async with asyncio.timeout(REACH_SECS):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            why = (getattr(error, "strerror", None) or type(error).__name__).lower()
            raise _unreachable(clients, f"{name}{shown}: {why}") from error
        writer.close()


def _addresses(clients: Clients) -> Iterator[tuple[str, str, str, int]]:
    """(option, as it may be shown, host, port) of each address that the config names: a URL, a host
    with its port, or the two as options of their own. Of a URL that is a secret the name is shown.
    """
    options = msgspec.to_builtins(clients.options)
    for name, value in options.items():
        if isinstance(value, str) and (at := _split(value)) is not None:
            yield name, f" {at[0]}:{at[1]}", *at
    if isinstance(host := options.get("host"), str) and isinstance(options.get("port"), int):
        yield "host", f" {host}:{options['port']}", host, options["port"]
    for name, value in clients.addresses():
        if (at := _split(value)) is not None:
            yield name, "", *at


def _split(text: str) -> tuple[str, int] | None:
    """Host and port; None: it is no address."""
    if "://" not in text:
        host, colon, port = text.rpartition(":")
        return (host, int(port)) if colon and host and port.isdecimal() else None
    try:
        parts = urlsplit(text)
        port_given = parts.port
    except ValueError:
        return None
    if parts.hostname is None:
        return None
    return parts.hostname, port_given or (80 if parts.scheme in ("http", "ws") else 443)


def _unreachable(clients: Clients, why: str) -> VenueError:
    return VenueError(
        VenueErrorKind.UNKNOWN,
        f"{clients.venue}-UNREACHABLE",
        f"NautilusTrader's adapter {clients.builtin.name} could not connect: {why}; its own log "
        "may tell more",
    )
