"""What a run says once it is connected: what runs where, and where its files are."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

import msgspec

from engine.config.loaded import LoadedConfig, account_files
from engine.run.ended import Mode
from engine.run.kernel_log import log_path

logger = logging.getLogger("fairlead")  # shown at INFO, whatever the run's log level

DOES = {
    "live": "trades live, with real orders",
    "paper": "trades live data with simulated execution, nothing is sent",
    "record": "records, nothing is traded",
}


def say_running(loaded: LoadedConfig, mode: Mode, recording: str | None) -> None:
    """A few lines for the person who started it."""
    config = loaded.config
    logger.info("%s %s: %s; Ctrl-C stops it in order", config.name, mode, DOES[mode])
    for key, venue in config.venues.items():
        account = f", account {venue.account}" if mode == "live" else ""
        names = ", ".join(venue.instruments)
        logger.info("connected to %s (%s)%s: %s", key.upper(), _host(loaded, key), account, names)
    if mode != "record":
        strategies = (f"{one.id} ({one.path.rpartition(':')[2]})" for one in config.strategies)
        logger.info("strategies: %s", ", ".join(strategies))
    files = {"log": str(log_path(loaded, mode))}
    for key in config.venues if mode == "live" else ():
        files[f"journal of {key}"] = str(account_files(loaded, key).journal)
    if recording is not None:
        files["recording"] = recording
    logger.info("%s", "; ".join(f"{name}: {path}" for name, path in files.items()))


def _host(loaded: LoadedConfig, key: str) -> str:
    """Where the venue is: a simulated one on loopback must not look like the real one."""
    options = msgspec.to_builtins(loaded.options[key])
    urls = (text for text in options.values() if isinstance(text, str) and "://" in text)
    return urlsplit(next(urls, "")).netloc or "no address"
