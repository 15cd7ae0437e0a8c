"""NautilusTrader's node as a run sets it up: settings, its own log, who keeps market data coming.

Its log is a file of the state folder, and on the screen its errors only. Its warnings are many, and
some describe what is right (an order book that begins anew, an order that is filled as it
triggers). They are kept, in the file, where a person can look them up.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from nautilus_trader.common import (
    DataActor,
    Environment,
    FileWriterConfig,
    LoggerConfig,
    LogLevel,
)
from nautilus_trader.live import (
    LiveDataEngineConfig,
    LiveExecutionEngineConfig,
    LiveNodeConfig,
    LiveRiskEngineConfig,
    SubmissionRecoveryPolicy,
)
from nautilus_trader.model import BookType, InstrumentId, TraderId
from nautilus_trader.persistence import StreamingConfig

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.guard.offer import BOOK, MARK, TRADES
from fairlead.engine.run.modes import MODES, Mode, NodeMode
from fairlead.engine.run.simulated import post_stop_secs

TRADER_ID = "FAIRLEAD-001"
CONNECT_SECS = 60  # on top of the quarantine of unproven orders
POSITION_CHECK_SECS = 30.0  # NautilusTrader's positions against the journal's
ACCOUNT_EVENTS_MINS = 5
ASK_ALWAYS = (1 << 32) - 1  # NautilusTrader counts in 32 bits
NATIVE_RATE = "1000000/00:00:01"  # the gate's own rate is the limit; see order_rate
MIB = 1 << 20
BEGUN = r"_\d{4}-\d\d-\d\d_\d{6}.*"  # the time in the name of a file that is begun in turn
FOLDER = "logs"  # in the state folder
# A backtest's orders that go on waiting are failures there, an ERROR each time
EXCHANGE = "nautilus_execution::matching_engine"
LEVELS = {name: getattr(LogLevel, name) for name in ("DEBUG", "INFO", "WARNING", "ERROR")}


def node_config(
    loaded: LoadedConfig, mode: NodeMode, streaming: StreamingConfig | None
) -> LiveNodeConfig:
    """Of a run that is no backtest; `streaming` is where its events are recorded."""
    is_real = MODES[mode].is_real
    return LiveNodeConfig(
        environment=Environment.LIVE if is_real else Environment.SANDBOX,
        trader_id=TraderId(TRADER_ID),
        streaming=streaming,
        timeout_connection_secs=CONNECT_SECS + loaded.config.execution.absent_quarantine_secs,
        timeout_disconnection_secs=float(loaded.config.run.stop_timeout_secs),
        delay_post_stop_secs=post_stop_secs(loaded, simulated=MODES[mode].is_simulated),
        logging=logger_config(loaded, mode),
        data_engine=LiveDataEngineConfig(
            emit_quotes_from_book=True, time_bars_build_with_no_updates=False
        ),
        risk_engine=LiveRiskEngineConfig(
            max_order_submit_rate=NATIVE_RATE, max_order_modify_rate=NATIVE_RATE
        ),
        exec_engine=LiveExecutionEngineConfig(
            reconciliation=is_real,
            reconciliation_startup_delay_secs=0.0,
            submission_recovery_policy=SubmissionRecoveryPolicy.RETAIN_UNRESOLVED,
            # Where nothing is sent there is nobody else to ask.
            inflight_check_interval_ms=2_000 if is_real else 0,
            # What is asked in vain proves nothing: a cancel would be taken for done.
            inflight_check_retries=ASK_ALWAYS,
            open_check_interval_secs=10.0 if is_real else None,
            open_check_open_only=False,
            # An account of which it is told none it takes for flat, and makes up what would
            # close it; it compares those of all accounts of a run or of none.
            position_check_interval_secs=POSITION_CHECK_SECS
            if is_real and loaded.tells_positions
            else None,
            # What the venue executed is true, whatever was ordered: else positions are wrong.
            allow_overfills=True,
            # A state of the account comes with each fill; the last is kept whatever its age.
            purge_account_events_interval_mins=ACCOUNT_EVENTS_MINS,
            purge_account_events_lookback_mins=ACCOUNT_EVENTS_MINS,
        ),
    )


class MarketActor(DataActor):
    """Subscribes to book and trades: a recording is whole, and what is held has a price."""

    def __init__(self, instruments: Mapping[str, frozenset[str]]) -> None:
        """By instrument, the kinds of its data, in the words of an offer."""
        super().__init__()
        self._instruments = instruments

    def on_start(self) -> None:
        for name, kinds in self._instruments.items():
            instrument_id = InstrumentId.from_str(name)
            if BOOK in kinds:
                self.subscribe_book_deltas(instrument_id, BookType.L2_MBP, managed=True)
            if TRADES in kinds:
                self.subscribe_trades(instrument_id)
            if MARK in kinds:
                self.subscribe_mark_prices(instrument_id)


def log_path(loaded: LoadedConfig, mode: Mode) -> Path:
    """The file that a run of this mode appends to; where it `rotates`, see `begun`."""
    return loaded.state_dir / FOLDER / f"{loaded.config.name}-{mode}.log"


def logger_config(loaded: LoadedConfig, mode: Mode) -> LoggerConfig:
    """Of a run; one that may not write its state folder (a backtest may run so) has no file."""
    return LoggerConfig(
        stdout_level=LogLevel.ERROR,
        fileout_level=LEVELS[loaded.config.run.log_level],
        component_levels={EXCHANGE: "OFF"} if mode == "backtest" else None,
        is_colored=False,
        file_config=_file_config(loaded, mode),
    )


def _file_config(loaded: LoadedConfig, mode: Mode) -> FileWriterConfig | None:
    path, log = log_path(loaded, mode), loaded.config.log
    if not rotates(loaded, mode):
        return FileWriterConfig(str(path.parent), path.stem) if _is_ready(path) else None
    assert log is not None  # `logged` has made its file, so that the folder is there
    for old in begun(path)[log.keep :]:  # those of runs of before: it counts its own only
        old.unlink(missing_ok=True)
    rotation = (log.rotate_mb * MIB, log.keep)
    return FileWriterConfig(str(path.parent), path.stem, file_rotate=rotation)


def rotates(loaded: LoadedConfig, mode: Mode) -> bool:
    """Whether NautilusTrader's log is closed and begun anew: as `[log]` says for the run's own. A
    backtest has one file: it does not go on for months."""
    return loaded.config.log is not None and mode != "backtest"


def newest_log(loaded: LoadedConfig, mode: Mode) -> Path:
    """The file that a run of this mode writes now."""
    path = log_path(loaded, mode)
    return next(iter(begun(path)), path) if rotates(loaded, mode) else path


def begun(path: Path) -> list[Path]:
    """The files that NautilusTrader has begun in turn in place of `path`, the newest first: its
    name has the time in it."""
    name = re.compile(re.escape(path.stem) + BEGUN + re.escape(path.suffix))
    try:
        found = [one for one in path.parent.iterdir() if name.fullmatch(one.name)]
    except FileNotFoundError:
        return []
    return sorted((one for one in found if is_log(one)), reverse=True)


def is_log(path: Path) -> bool:
    """A file of its own, and no link to another."""
    return path.is_file() and not path.is_symlink()


def no_log() -> LoggerConfig:
    """Of the trials of a search: many, in processes side by side, and each can be run by itself."""
    return LoggerConfig(stdout_level=LogLevel.OFF, fileout_level=LogLevel.OFF)


def _is_ready(path: Path) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                os.fchmod(fd, 0o600)  # one of before, or of a mode that made it for all
        finally:
            os.close(fd)
    except OSError:
        return False
    return True
