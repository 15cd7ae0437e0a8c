"""The sign that a run gives of itself in its state folder: what is wrong, and that it lives.

It is for who asks without the page. The loop writes it, so that its age tells that the loop turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fairlead.engine.files import decoded, write_whole
from fairlead.engine.observe.page.status import wrong_now
from fairlead.engine.observe.page.told import Wrong

if TYPE_CHECKING:
    from fairlead.engine.config.loaded import LoadedConfig
    from fairlead.engine.observe.page.sources import Sources

logger = logging.getLogger(__name__)

SIGN = ".sign.json"
SIGN_SECS = 0.5
BYTES_MAX = 1 << 20  # of the file
SECOND_NS = 1_000_000_000


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """Of the run in process `pid`; `wrong` is what its page would tell. `is_up`: it has said that
    it runs, and its loop is to turn from then on."""

    pid: int
    state: str
    is_up: bool
    wrong: list[Wrong]


def stem_of(loaded: LoadedConfig, mode: str, pid: int) -> str:
    """Of the files by which a run is found: two configs of one name have two."""
    return f"{loaded.config.name}-{mode}-{pid}"


def sign_file(loaded: LoadedConfig, mode: str, pid: int) -> Path:
    """In the state folder; one a run."""
    return loaded.state_dir / f"{stem_of(loaded, mode, pid)}{SIGN}"


class Signing:
    """Of one run. A sign that can't be written is taken away, or emptied where its folder keeps it:
    an old one would be a false one."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._path = sign_file(sources.loaded, sources.mode, os.getpid())
        self._last = b""
        self._is_failure_told = False
        self._withdraw()  # of a dead run of this number, as in a container: it is not ours

    async def run(self) -> None:
        """Until cancelled. Never raises anything else."""
        observe = self._sources.loaded.config.observe
        measures = observe.page is None and observe.alerts is None  # else they do
        try:
            while True:
                self.give()
                due = time.monotonic_ns() + round(SIGN_SECS * SECOND_NS)
                await asyncio.sleep(SIGN_SECS)
                if measures:
                    self._sources.loop_lag_ns = max(time.monotonic_ns() - due, 0)
        finally:
            self._withdraw()

    def give(self) -> None:
        """Once: written where it changed, else only its time is. Never raises."""
        try:
            sources = self._sources
            wrong = wrong_now(sources, sources.now_ns())
            state, is_up = sources.state(), sources.is_up
            sign = Sign(pid=os.getpid(), state=state, is_up=is_up, wrong=wrong)
            content = msgspec.json.encode(sign)
            if content == self._last:
                os.utime(self._path)
                return
            write_whole(self._path, content, durable=False)
            self._last = content
        except Exception as error:
            self._withdraw()
            if not self._is_failure_told:
                self._is_failure_told = True
                logger.warning(
                    "SIGN: %s can't be written: %s: %s; `fairlead status` asks the page, or does "
                    "not see all",
                    self._path,
                    type(error).__name__,
                    error,
                )

    def _withdraw(self) -> None:
        self._last = b""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(self._path, 0)


def sign_of(loaded: LoadedConfig, mode: str, pid: int) -> tuple[Sign, float] | None:
    """Of the run in process `pid`, and its age in seconds; None: it has given none."""
    path = sign_file(loaded, mode, pid)
    try:
        with path.open("rb") as file:
            age_secs = time.time() - os.fstat(file.fileno()).st_mtime
            sign = decoded(file.read(BYTES_MAX), Sign)
    except OSError:
        return None
    return (sign, age_secs) if sign is not None and sign.pid == pid else None
