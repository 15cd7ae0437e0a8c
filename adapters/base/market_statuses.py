"""Whether instruments trade: told when it changes, polled, since venues push it nowhere."""

from __future__ import annotations

import asyncio
from typing import Any

from nautilus_trader.model import InstrumentId, InstrumentStatus, MarketStatusAction

from fairlead.adapters.base.polled import Polled


class MarketStatuses(Polled):
    """What is wanted of them, as it was told last."""

    name = "instrument status"

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._told: dict[InstrumentId, tuple[bool, str]] = {}

    def want(self, instrument_id: InstrumentId) -> None:
        """Tell its status now, and each change from now on."""
        self._told.pop(instrument_id, None)
        self._tell(instrument_id)
        self.begin()

    def drop(self, instrument_id: InstrumentId) -> None:
        self._told.pop(instrument_id, None)

    async def poll(self) -> None:
        """Until none is wanted."""
        while True:
            await asyncio.sleep(self._account.request_limits.status_poll_secs)
            if not self._told:
                return
            try:
                await self._account.adapter.refresh_instruments()
            except Exception as error:
                self._problem("INSTRUMENT-REFRESH", f"{type(error).__name__}: {error}")
                continue
            for instrument_id in list(self._told):
                self._tell(instrument_id)

    def _tell(self, instrument_id: InstrumentId) -> None:
        instrument = self._account.adapter.instruments.get(str(instrument_id))
        tradable, state = (instrument.tradable, instrument.state) if instrument else (False, "")
        if self._told.get(instrument_id) == (tradable, state):
            return
        self._told[instrument_id] = (tradable, state)
        now_ns = self._account.now_ns()
        action = MarketStatusAction.TRADING if tradable else MarketStatusAction.HALT
        status = InstrumentStatus(
            instrument_id, action, now_ns, now_ns, reason=state or None, is_trading=tradable
        )
        self._hand_on(status)
