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
from fairlead.adapters.base.venue import Adapter
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.processes import boot_id
from fairlead.engine.recording.session import Recording
from fairlead.engine.run.modes import NodeMode
from fairlead.engine.run.native.adapter import NATIVE, NativeSpec
from fairlead.engine.run.native.venue import native_of
from fairlead.engine.run.reach import adapter_of
from fairlead.engine.secrets import Secret
from fairlead.engine.status import RunStatus

FRAMELESS = (
    "Market data of this venue come through NautilusTrader's own client, which shows no frame that "
    "it receives: the events are in the catalog, raw frames are not to be had."
)


class VenueConnection:
    """Through an adapter of ours, or one of NautilusTrader's own (`nautilus:NAME`).

    `close` it when the run has ended. The run calls `connect`, `instruments`, `add_to` and `close`;
    what trades a real account takes `runtime`, and `native` where NautilusTrader's clients do it.
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
        mode: NodeMode,
    ) -> None:
        self.native = native_of(loaded, key, secrets, mode)
        tap = None
        if recording is not None and self.native is not None:
            recording.no_frames(key, FRAMELESS)
        elif recording is not None:
            tap = recording.tap(key)
        http, ws = AiohttpTransport(tap), AiohttpWsTransport(tap)
        self._transports = (http, ws)
        adapter: Adapter | None = self.native
        self.runtime = VenueRuntime(
            adapter=adapter_of(loaded, key, secrets, http) if adapter is None else adapter,
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
        """The node's builder with the venue's clients; `execution` None: nobody executes.

        Raises VenueError where NautilusTrader's adapter refuses its config.
        """
        name = self.runtime.adapter.venue
        if self.native is not None:
            builder = self.native.clients.add_data(builder)
            if execution is NATIVE:
                return self.native.clients.add_execution(builder)
        else:
            builder = self._with_data(builder, name)
        if execution is None:
            return builder
        return builder.add_exec_client(name, execution, ExecutionClientConfig())

    def _with_data(self, builder: Any, name: str) -> Any:
        return builder.add_data_client(name, make_data_factory(self.runtime), DataClientConfig())

    async def close(self) -> None:
        for transport in self._transports:
            await transport.close()


def natives(loaded: LoadedConfig) -> frozenset[str]:
    """Keys of the venues that NautilusTrader's own clients trade."""
    return frozenset(k for k, spec in loaded.specs.items() if isinstance(spec, NativeSpec))
