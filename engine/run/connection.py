"""One venue of a run: what talks to it, and the clients that a node gets of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nautilus_trader.config import DataClientConfig, ExecutionClientConfig

from fairlead.adapters.base.aiohttp_transport import AiohttpTransport, AiohttpWsTransport
from fairlead.adapters.base.data_client import make_data_factory
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.processes import boot_id
from fairlead.engine.recording.session import Recording
from fairlead.engine.run.reach import adapter_of
from fairlead.engine.secrets import Secret
from fairlead.engine.status import RunStatus


class VenueConnection:
    """Through an adapter of ours; `close` it when the run has ended.

    Where another maker of clients comes in (NautilusTrader's own factories): the run calls
    `connect`, `instruments`, `add_to` and `close`; what trades a real account takes `runtime`.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        key: str,
        secrets: Mapping[str, Secret],
        *,
        trading: bool,
        recording: Recording | None,
        rng: random.Random,
        status: RunStatus,
        on_fatal: Callable[[str, str], None],
    ) -> None:
        tap = recording.tap(key) if recording is not None else None
        http, ws = AiohttpTransport(tap), AiohttpWsTransport(tap)
        self._transports = (http, ws)
        self.runtime = VenueRuntime(
            adapter=adapter_of(loaded, key, secrets, http),
            ws=ws,
            instruments=tuple(loaded.config.venues[key].instruments),
            trading=trading,
            now_ns=time.time_ns,
            boot=boot_id(),
            rng=rng,
            status=status,
            on_fatal=on_fatal,
            gaps=recording.gaps if recording is not None else None,
        )

    async def connect(self) -> None:
        """Raises FairleadError; where the venue answers, but lacks an instrument, of the config."""
        runtime = self.runtime
        try:
            await runtime.ensure_connected()
        except Exception as error:
            failure = runtime.failure
            if failure is None:
                raise
            known = runtime.adapter.instruments
            lacks = known and any(name not in known for name in runtime.instruments)
            code = Exit.CONFIG if lacks else Exit.VENUE
            raise FairleadError(failure.code, failure.message, code) from error

    def instruments(self) -> Iterator[Any]:
        """NautilusTrader's own, once it is connected."""
        for name in self.runtime.instruments:
            yield self.runtime.adapter.instruments[name].nautilus

    def add_to(self, builder: Any, execution: Any) -> Any:
        """The node's builder with the venue's clients; `execution` None: nobody executes."""
        name = self.runtime.adapter.venue
        builder = builder.add_data_client(name, make_data_factory(self.runtime), DataClientConfig())
        if execution is None:
            return builder
        return builder.add_exec_client(name, execution, ExecutionClientConfig())

    async def close(self) -> None:
        for transport in self._transports:
            await transport.close()
