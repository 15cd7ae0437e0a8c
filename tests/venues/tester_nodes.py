"""The node and the DataTester settings that NautilusTrader's testers run with on any client."""

from __future__ import annotations

from typing import Any

from nautilus_trader.common import Environment, FileWriterConfig, LoggerConfig, LogLevel
from nautilus_trader.config import DataClientConfig
from nautilus_trader.live import LiveDataEngineConfig, LiveNode
from nautilus_trader.model import BarType, ClientId, InstrumentId, TraderId
from nautilus_trader.testkit import DataTesterConfig

from fairlead.adapters.base.data_client import make_data_factory
from fairlead.adapters.base.runtime import VenueRuntime

POST_STOP_SECS = 2


def builder(
    log_dir: str, runtime: VenueRuntime, client: str, *, post_stop_secs: int = POST_STOP_SECS
) -> Any:
    """A node with this data client; its log is a JSON file in `log_dir`."""
    log = LoggerConfig(
        stdout_level=LogLevel.OFF,
        fileout_level=LogLevel.INFO,
        file_config=FileWriterConfig(directory=log_dir, file_name="node", file_format="json"),
    )
    return (
        LiveNode.builder("TESTER", TraderId("TESTER-001"), Environment.LIVE)
        .with_logging(log)
        .with_delay_post_stop_secs(post_stop_secs)
        .with_data_engine_config(LiveDataEngineConfig(emit_quotes_from_book=True))
        .add_data_client(client, make_data_factory(runtime), DataClientConfig())
    )


def data_tester(client: str, instrument: str, bars: str) -> DataTesterConfig:
    """Every subscription and request that a data client of ours has; `bars` is like 1-HOUR."""
    return DataTesterConfig(
        client_id=ClientId(client),
        instrument_ids=[InstrumentId.from_str(instrument)],
        bar_types=[BarType.from_str(f"{instrument}-{bars}-LAST-EXTERNAL")],
        subscribe_book_deltas=True,
        subscribe_book_depth=True,
        subscribe_book_at_interval=True,
        subscribe_quotes=True,
        subscribe_trades=True,
        subscribe_bars=True,
        subscribe_instrument=True,
        subscribe_instrument_status=True,
        request_instruments=True,
        request_trades=True,
        request_bars=True,
        request_book_snapshot=True,
        can_unsubscribe=True,
        manage_book=True,
        book_interval_ms=50,
    )
