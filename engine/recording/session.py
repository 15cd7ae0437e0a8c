"""What one run records: raw frames per venue, normalized events, and the gaps between them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from nautilus_trader.persistence import StreamingConfig

from engine.config.loader import LoadedConfig
from engine.config.model import Record
from engine.recording.catalog import recover, streaming_config
from engine.recording.gaps import GAPS_FILE, GapLog
from engine.recording.raw import RawRecorder, RawSettings
from engine.recording.redact import Redactor
from engine.secrets import LITERAL_CHARS_MIN, Secret

logger = logging.getLogger(__name__)

MIB = 1024 * 1024


class Recording:
    """The recording of a run, closed with it. Layout: `raw/VENUE/*.fraw.zst`, `catalog/`."""

    def __init__(self, loaded: LoadedConfig, secrets: Mapping[str, Mapping[str, Secret]]) -> None:
        self.settings = loaded.config.record or Record()
        self.root: Path = loaded.resolve(self.settings.dir)
        self.catalog = self.root / "catalog"
        self.gaps = GapLog(self.catalog / GAPS_FILE)
        self._secrets = secrets
        self._raw: dict[str, RawRecorder] = {}

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
                on_stop=lambda why: logger.error("raw recording of %s stopped: %s", venue, why),
            )
        return self._raw[venue]

    def streaming(self) -> StreamingConfig | None:
        """NautilusTrader's own writer, promoted to the Parquet catalog; None: switched off."""
        if not self.settings.normalized:
            return None
        self.catalog.mkdir(parents=True, exist_ok=True)
        recover(self.catalog, self.catalog)  # what a killed run left behind
        return streaming_config(self.catalog, self.catalog)

    def close(self) -> None:
        for venue, recorder in self._raw.items():
            if not recorder.close():
                logger.error("raw recording of %s did not finish writing", venue)
        self.gaps.close()
