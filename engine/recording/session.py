"""What one run records: raw frames per venue, normalized events, and the gaps between them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import Any

from nautilus_trader.persistence import StreamingConfig

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.model import Record
from fairlead.engine.errors import FairleadError
from fairlead.engine.recording.catalog import utc
from fairlead.engine.recording.compact import Joins
from fairlead.engine.recording.coverage import Coverage
from fairlead.engine.recording.definitions import define
from fairlead.engine.recording.gaps import GAPS_FILE, GapKind, GapLog, GapRow
from fairlead.engine.recording.journal import ROTATE_SECS, RunJournal
from fairlead.engine.recording.locks import FileLock
from fairlead.engine.recording.promotion import Promotion
from fairlead.engine.recording.raw import RAW_STOPPED, RawRecorder, RawSettings, RawStatus
from fairlead.engine.recording.redact import Redactor
from fairlead.engine.recording.watch import JournalWatch, Lost
from fairlead.engine.secrets import LITERAL_CHARS_MIN, Secret
from fairlead.engine.status import RunStatus

logger = logging.getLogger(__name__)

MIB = 1024 * 1024
LOOK_SECS = 1.0  # how often it is noted how far the recording is whole
FINISH_SECS = 60.0  # for the last rows to reach the catalog, when the run has ended
MAKE_WAY_SECS = 10.0  # for who reads the catalog, or moves its files, when the run has ended
PROBLEMS_MAX = 20  # kept for the summary; all are logged
NO_FRAMES = "no-frames.txt"
ENDING_SECS = 5.0  # for a killed run's lock, which a process that it just began may hold still
_LOCKED = 12  # exit code: locked by another run


class Recording:
    """The recording of a run. Layout: `raw/VENUE/*.fraw.zst`, `catalog/`.

    `close` when the run has ended, then `finish` when its node is gone. Raises FairleadError
    RECORD-LOCKED where another run records a venue into the same folder.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        secrets: Mapping[str, Mapping[str, Secret]],
        status: RunStatus,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.settings = loaded.config.record or Record()
        self.root: Path = loaded.resolve(self.settings.dir)
        self.catalog = self.root / "catalog"
        self.gaps = GapLog(self.catalog / GAPS_FILE)
        self.problems: list[str] = []
        self._secrets = secrets
        self._status = status
        self._now_ns = now_ns
        self._raw: dict[str, RawRecorder] = {}
        self.frameless: list[str] = []  # venues whose frames nobody can be shown
        self._venues = loaded.config.venues
        self._names: list[str] = []  # instruments of which events are recorded
        self._locks = self._take_locks()
        self._coverage = [
            Coverage(self.catalog, key, status, self.gaps, now_ns) for key in self._venues
        ]
        self._journal: RunJournal | None = None
        self._watch: JournalWatch | None = None
        self.lost: Lost | None = None  # from then on no events are recorded
        self.on_lost: Callable[[str], object] | None = None  # called from the keeper's thread
        self._promotion: Promotion | None = None  # the one at work
        self._keeper: threading.Thread | None = None
        self._ended = threading.Event()
        self._taken_ns = now_ns()  # when the disk last took something
        self._refused = False
        self._noticed_ns = 0  # that the journal was lost
        self._in_vain: Promotion | None = None  # at work when it was

    def _take_locks(self) -> list[FileLock]:
        """Frames and books of two runs in one folder could not be told apart."""
        self.catalog.mkdir(parents=True, exist_ok=True)
        locks: list[FileLock] = []
        for key in self._venues:
            lock = FileLock(self.root / f".recording-{key.lower()}.lock")
            if not lock.take(wait_secs=ENDING_SECS):
                for held in locks:
                    held.release()
                raise FairleadError(
                    "RECORD-LOCKED",
                    f"another run records {key} into {self.root}; expected a [record] dir of its "
                    "own, or the end of that run",
                    _LOCKED,
                )
            locks.append(lock)
        return locks

    def tap(self, venue: str) -> RawRecorder | None:
        """Where a venue's transports tell every frame and request; None: raw is switched off."""
        if not self.settings.raw:
            return None
        if venue not in self._raw:
            secrets = self._secrets.get(venue, {})
            short = [n for n, one in secrets.items() if len(one.reveal()) < LITERAL_CHARS_MIN]
            self._raw[venue] = RawRecorder(
                self.root,
                venue,
                redactor=Redactor(secrets.values(), names=short),
                settings=RawSettings(
                    rotate_bytes=self.settings.rotate_mb * MIB,
                    rotate_secs=self.settings.rotate_secs,
                ),
                gaps=self.gaps,
                on_stop=lambda why: self._raw_stopped(venue, why),
            )
        return self._raw[venue]

    def no_frames(self, venue: str, why: str) -> None:
        """The venue's frames can't be recorded: said where they would be. Raises OSError."""
        if self.settings.raw:
            folder = self.root / "raw" / venue
            folder.mkdir(parents=True, exist_ok=True)
            (folder / NO_FRAMES).write_text(f"{why}\n")
            self.frameless.append(venue)

    def streaming(self, instruments: Iterable[Any]) -> StreamingConfig | None:
        """NautilusTrader's own writer, whose files go to the catalog; None: switched off.

        `instruments` are the definitions of all that is recorded. Raises OSError.
        """
        config = None
        if self.settings.normalized:
            now_ns, recorded = self._now_ns(), list(instruments)
            for change in define(self.catalog, recorded, now_ns):
                self.problem(change)
            self._names = [str(one.id) for one in recorded]
            self._journal = RunJournal(self.catalog, self._names, now_ns)
            self._watch = JournalWatch(self._journal, now_ns)
            config = self._journal.streaming(min(ROTATE_SECS, self.settings.promote_secs))
        self._keeper = threading.Thread(target=self._keep, name="recording", daemon=True)
        self._keeper.start()
        return config

    def close(self) -> None:
        """Nothing more comes. What is in the journal is brought into the catalog by `finish`, once
        the node is gone."""
        self._ended.set()
        if self._keeper is not None:
            self._keeper.join(FINISH_SECS)
        for venue, recorder in self._raw.items():
            if not recorder.close():
                logger.error("raw recording of %s did not finish writing", venue)
        self.gaps.close()
        for lock in self._locks:
            lock.release()

    def finish(self) -> None:
        """Bring the run's last rows into the catalog; what went wrong is in `problems`."""
        if self._journal is None:
            return
        # Only now: the writer's files are closed with the node, and a promotion that is at work
        # would take one that is still written for a dead run's
        self._journal.close()
        self._journal = None
        try:
            promotion = Promotion(self.catalog, Joins.NONE, MAKE_WAY_SECS)
        except OSError as error:
            self.problem(f"rows stay in the journal, the next start tries again: {error}")
            return
        self._read(promotion)
        if self._promotion is not None:  # it has made way for the last one
            self._read(self._promotion)

    @property
    def raw_status(self) -> dict[str, RawStatus]:
        """Counters of the raw frames, by venue."""
        return {venue: recorder.status for venue, recorder in self._raw.items()}

    @property
    def holes(self) -> list[GapRow]:
        """Times before this run in which nothing was recorded, by instrument."""
        return [
            row for coverage in self._coverage for rows in coverage.holes.values() for row in rows
        ]

    # -- the keeper's thread ----------------------------------------------------------------------

    def _keep(self) -> None:
        with closing(self._watch) if self._watch is not None else nullcontext():
            self._look_on()

    def _look_on(self) -> None:
        """Note how far the recording is whole; promote now and then, in another process."""
        due = time.monotonic()
        joins = Joins.ALL  # of a folder that is old, once
        while True:
            is_over = self._ended.wait(LOOK_SECS)
            try:
                self._look_at_journal(is_over)
                if is_over:
                    self._settle()
                for coverage in self._coverage:
                    coverage.close() if is_over else coverage.look()
                self._disk_takes_it()
                if is_over:
                    return
                if self._promotion is not None and self._promotion.is_over:
                    self._look_at_journal(is_over)  # it may have failed by what it shows
                    self._read(self._promotion)
                    self._promotion = None
                if self._journal is not None and time.monotonic() >= due:
                    due = time.monotonic() + self.settings.promote_secs
                    if self._promotion is None:
                        self._promotion = Promotion(self.catalog, joins)
                        joins = Joins.RECENT
            except OSError as error:  # a disk that refuses must not end the watch
                self._refused = True
                self.problem(f"{self.catalog}: {error}")
                if is_over:
                    self.gaps.keep(self._refused_row(self._now_ns()))
                    return

    def _settle(self) -> None:
        """A run that was short: what others left is known when it is in the catalog."""
        if self._promotion is not None and not all(one.is_settled for one in self._coverage):
            self._read(self._promotion)
            self._promotion = None

    def _look_at_journal(self, is_over: bool) -> None:
        """Told once, at once; the row until the end of the run comes with its end."""
        now_ns = self._now_ns()
        if self.lost is not None:
            if is_over:
                self._lost_row(self._noticed_ns, now_ns)
            return
        if self._watch is None or (lost := self._watch.look(now_ns)) is None:
            return
        assert self._journal is not None
        self.lost, self._noticed_ns = lost, lost.from_ns
        self._in_vain = self._promotion
        self.problem(
            f"{lost.why}: events since {utc(lost.from_ns)} are lost, and this run records no more "
            "of them; a gap row says so. Start it again to record again"
        )
        if self.on_lost is not None:
            with suppress(RuntimeError):  # the run's loop is over already
                self.on_lost(lost.why)
        for coverage in self._coverage:
            coverage.lost(lost.from_ns)
        try:
            self._journal.abandon(now_ns)
        finally:  # on a disk that takes no row the last one tells it all
            self._lost_row(lost.from_ns, now_ns)
            self._noticed_ns = now_ns

    def _lost_row(self, from_ns: int, to_ns: int) -> None:
        assert self.lost is not None
        for name in self._names:
            self.gaps.append(
                GapRow(
                    kind=GapKind.STOPPED,
                    instrument=name,
                    reason=f"not recorded: {self.lost.why}",
                    from_ns=from_ns,
                    to_ns=to_ns,
                )
            )

    def _disk_takes_it(self) -> None:
        """What came while the disk refused is missing: a row says so. Raises OSError."""
        now_ns = self._now_ns()
        if self._refused:
            self.gaps.append(self._refused_row(now_ns))
            self._refused = False
        self._taken_ns = now_ns

    def _refused_row(self, now_ns: int) -> GapRow:
        return GapRow(
            kind=GapKind.STOPPED,
            instrument="",
            reason="the disk refused to take what came",
            from_ns=self._taken_ns,
            to_ns=now_ns,
        )

    def _read(self, promotion: Promotion) -> None:
        try:
            done = promotion.result(FINISH_SECS)
        except OSError as error:
            if promotion is self._in_vain:
                return
            self.problem(f"rows stay in the journal, the next start tries again: {error}")
            return
        if promotion is self._in_vain:
            return
        for problem in done.problems:
            self.problem(problem)
        if done.is_busy and self._journal is None and self._ended.is_set():
            self.problem(
                f"{self.catalog} is read by a backtest or another run: the last rows are in its "
                "journal, and come into the catalog with the next start or backtest"
            )

    def _raw_stopped(self, venue: str, why: str) -> None:
        """From its writer's thread, which has logged it. It lasts until the run ends."""
        text = why.removeprefix(f"{RAW_STOPPED}: ")
        self._status.problem(
            self._now_ns(), RAW_STOPPED, text, is_bad=True, lasts=f"raw frames of {venue}"
        )
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(text)

    def problem(self, text: str) -> None:
        """Say it, and keep it for the run's summary; once."""
        if text in self.problems:
            return
        logger.error("RECORDING: %s", text)
        self._status.problem(self._now_ns(), "RECORDING", text)
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(text)
