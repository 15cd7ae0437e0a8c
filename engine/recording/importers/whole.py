"""One file of an import, whole or not at all; begun again where a later line knows more."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

from fairlead.engine.recording.importers.converting import HelperEnded
from fairlead.engine.recording.importers.events import Refused
from fairlead.engine.recording.importers.lines import Unreadable
from fairlead.engine.recording.importers.report import ImportReport
from fairlead.engine.recording.importers.staging import ImportFailed, StagedCatalog, refused_by

BEGINNINGS_MAX = 64  # each knows more than the one before


HELPED_BYTES_MIN = 1 << 20  # of a file; of a smaller one helpers have hardly started at its end


def is_worth_helpers(file_bytes: int) -> bool:
    """Whether processes beside this one save more than their start costs."""
    return file_bytes >= HELPED_BYTES_MIN and (os.process_cpu_count() or 1) > 1


class Again(Exception):
    """A line needs what was not known at the beginning, and is known now."""


def import_whole(
    file: Path, target: Path, name: str, write: Callable[[ImportReport, StagedCatalog], None]
) -> ImportReport:
    """Have `write` import the file of the format `name`; what it wrote joins the catalog at the
    end. Raises ImportFailed, and then the catalog is as it was."""
    started = time.perf_counter()
    is_alone = False
    is_collecting = gc.isenabled()
    gc.disable()  # rows hold no circles; to look for some takes a tenth of the time
    try:
        for _ in range(BEGINNINGS_MAX):
            report = ImportReport(file=str(file), format=name, catalog=str(target))
            report.file_bytes = file.stat().st_size
            is_helped = not is_alone and is_worth_helpers(report.file_bytes)
            try:
                with StagedCatalog(target, is_helped=is_helped) as staged:
                    write(report, staged)
                    staged.settle()
                    for path in staged.path.rglob("*.parquet"):
                        report.files += 1
                        report.catalog_bytes += path.stat().st_size
                    staged.commit()
            except Again:
                continue
            except HelperEnded:
                is_alone = True
                continue
            report.seconds = round(time.perf_counter() - started, 3)
            return report
        raise ImportFailed("IMPORT-FORMAT", f"{file} goes on telling finer numbers")
    except Refused as e:
        text = str(e) if str(file) in str(e) else f"{file}: {e}"
        raise ImportFailed("IMPORT-FORMAT", f"{text}; nothing was imported") from e
    except Unreadable as e:
        raise ImportFailed("IMPORT-FORMAT", f"{file} cannot be read: {e}") from e
    except OSError as e:
        raise refused_by(e, file, target) from e
    finally:
        if is_collecting:
            gc.enable()
