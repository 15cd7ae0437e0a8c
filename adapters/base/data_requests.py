"""The requests half of the market data client: history, snapshots, instruments.

A request hook that raises would leave its strategy waiting for ever, with no error callback. So
every request is answered: with nothing, and a warning, when the venue has no answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from nautilus_trader.live import (
    BarsResponse,
    BookDeltasResponse,
    BookDepthResponse,
    BookResponse,
    CustomDataResponse,
    FundingRatesResponse,
    InstrumentResponse,
    InstrumentsResponse,
    OptionChainReferencePriceResponse,
    QuotesResponse,
    TradesResponse,
)
from nautilus_trader.live.clients import MarketDataClient
from nautilus_trader.model import BookType, InstrumentId, OrderBook, Venue

from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.adapters.base.streamed_book import StreamedBook
from fairlead.engine.warner import Warner


class Unserved(MarketDataClient):
    """Subscriptions that no venue here serves: told, and nothing to stop."""

    def _unsupported(self, what: str, instrument: str) -> None:
        raise NotImplementedError

    async def _subscribe(self, command: Any) -> None:
        self._unsupported(f"custom data {command.data_type}", "")

    async def _subscribe_index_prices(self, command: Any) -> None:
        self._unsupported("index prices", str(command.instrument_id))

    async def _subscribe_funding_rates(self, command: Any) -> None:
        self._unsupported("funding rates", str(command.instrument_id))

    async def _subscribe_instrument_close(self, command: Any) -> None:
        self._unsupported("closing prices", str(command.instrument_id))

    async def _subscribe_option_greeks(self, command: Any) -> None:
        self._unsupported("option greeks", str(command.instrument_id))

    async def _nothing_to_stop(self, command: Any) -> None:
        """The subscription was refused."""

    _unsubscribe = _unsubscribe_index_prices = _nothing_to_stop
    _unsubscribe_funding_rates = _unsubscribe_instrument_close = _nothing_to_stop
    _unsubscribe_option_greeks = _nothing_to_stop


class DataRequests(Unserved):
    """Answers requests; the subclass streams."""

    _account: VenueRuntime
    _books: dict[InstrumentId, StreamedBook]
    _warn: Warner

    async def _request_bars(self, request: Any) -> None:
        def respond(bars: list[Any]) -> Any:
            return BarsResponse(
                self.client_id, request.bar_type, bars, request.request_id, *self._stamps(request)
            )

        async def fetch() -> list[Any]:
            return await self._account.adapter.market_data.history_bars(
                request.bar_type, request.start_ns, request.end_ns, self._rows(request)
            )

        await self._answer(f"bars {request.bar_type}", fetch, respond, [])

    async def _request_trades(self, request: Any) -> None:
        instrument = str(request.instrument_id)

        def respond(trades: list[Any]) -> Any:
            return TradesResponse(
                self.client_id,
                request.instrument_id,
                trades,
                request.request_id,
                *self._stamps(request),
            )

        async def fetch() -> list[Any]:
            return await self._account.adapter.market_data.history_trades(
                instrument, request.start_ns, request.end_ns, self._rows(request)
            )

        await self._answer(f"trades of {instrument}", fetch, respond, [])

    async def _request_book_snapshot(self, request: Any) -> None:
        """Answer with the streamed book where there is one.

        The answer replaces the engine's managed book: a snapshot of another moment than the
        stream's would make that book wrong, and nothing would say so.
        """

        def respond(book: OrderBook) -> Any:
            return BookResponse(
                self.client_id,
                request.instrument_id,
                book,
                request.request_id,
                self._account.now_ns(),
            )

        async def fetch() -> OrderBook:
            instrument_id = request.instrument_id
            book = OrderBook(instrument_id, BookType.L2_MBP)
            if instrument_id not in self._books:
                deltas = await self._account.adapter.market_data.book_snapshot(
                    str(instrument_id), request.depth or 0
                )
                if instrument_id not in self._books:  # no stream has begun meanwhile
                    book.apply_deltas(deltas)
                    return book
            kept = self._books[instrument_id]
            if kept.is_whole:
                book.apply_deltas(kept.snapshot(self._account.now_ns()))
            return book

        empty = OrderBook(request.instrument_id, BookType.L2_MBP)
        await self._answer(f"book of {request.instrument_id}", fetch, respond, empty)

    async def _request_instrument(self, request: Any) -> None:
        instrument = self._account.adapter.instruments.get(str(request.instrument_id))
        if instrument is None:
            self._problem("REQUEST-EMPTY", f"{request.instrument_id}: no such instrument")
            self._answer_instruments(request, [])
            return
        self._handle_response(
            InstrumentResponse(
                self.client_id,
                request.instrument_id,
                instrument.nautilus,
                request.request_id,
                *self._stamps(request),
            )
        )

    async def _request_instruments(self, request: Any) -> None:
        known = self._account.adapter.instruments.values()
        self._answer_instruments(request, [instrument.nautilus for instrument in known])

    def _answer_instruments(self, request: Any, instruments: list[Any]) -> None:
        self._handle_response(
            InstrumentsResponse(
                self.client_id,
                Venue(self._account.adapter.venue),
                instruments,
                request.request_id,
                *self._stamps(request),
            )
        )

    # -- history that no venue here keeps ---------------------------------------------------------

    async def _request_quotes(self, request: Any) -> None:
        self._answer_nothing(request, "quotes", QuotesResponse)

    async def _request_book_deltas(self, request: Any) -> None:
        self._answer_nothing(request, "book deltas", BookDeltasResponse)

    async def _request_book_depth(self, request: Any) -> None:
        self._answer_nothing(request, "book depth", BookDepthResponse)

    async def _request_funding_rates(self, request: Any) -> None:
        self._answer_nothing(request, "funding rates", FundingRatesResponse)

    async def _request_data(self, request: Any) -> None:
        self._problem("REQUEST-EMPTY", f"{self.venue} has no {request.data_type}")
        response = CustomDataResponse(
            self.client_id,
            request.data_type,
            self.venue,
            [],
            request.request_id,
            self._account.now_ns(),
        )
        self._handle_response(response)

    async def _request_option_chain_reference_price(self, request: Any) -> None:
        self._problem("REQUEST-EMPTY", f"{self.venue} has no options")
        response = OptionChainReferencePriceResponse(
            self.client_id, request.series_id, None, request.request_id, self._account.now_ns()
        )
        self._handle_response(response)

    def _answer_nothing(self, request: Any, what: str, response: Callable[..., Any]) -> None:
        self._problem("REQUEST-EMPTY", f"{self.venue} keeps no history of {what}")
        self._handle_response(
            response(
                self.client_id,
                request.instrument_id,
                [],
                request.request_id,
                *self._stamps(request),
            )
        )

    # -- common -----------------------------------------------------------------------------------

    async def _answer[T](
        self,
        what: str,
        fetch: Callable[[], Awaitable[T]],
        respond: Callable[[T], Any],
        nothing: T,
    ) -> None:
        """Send the venue's answer, or `nothing` and a warning."""
        try:
            async with asyncio.timeout(self._account.request_limits.timeout_secs):
                response = respond(await fetch())
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            self._problem("REQUEST-FAILED", f"{what}: answered with nothing: {cause}")
            response = respond(nothing)
        self._handle_response(response)

    def _problem(self, code: str, message: str) -> None:
        text = f"{code}: {message}"
        self._warn(text, text)
        self._account.status.problem(self._account.now_ns(), code, message)

    def _rows(self, request: Any) -> int:
        return request.limit or self._account.request_limits.history_rows

    def _stamps(self, request: Any) -> tuple[int, int | None, int | None]:
        """`ts_init`, `start` and `end` of a response, ns."""
        return self._account.now_ns(), request.start_ns, request.end_ns
