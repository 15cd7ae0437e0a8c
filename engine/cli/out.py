"""The folder of `--out`: proven before the run, and gone again where the run left nothing in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def out_folder(out: Path | None) -> Iterator[None]:
    """Make the folder for the run within, and take away what was made of it and is still empty.

    Raises FairleadError `OUT-UNWRITABLE`.
    """
    from engine.orders.files import require_writable

    if out is None:
        yield
        return
    made = [one for one in (out, *out.parents) if not one.exists()]
    require_writable(out, "OUT-UNWRITABLE", "choose another --out")
    try:
        yield
    finally:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
