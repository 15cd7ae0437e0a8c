"""Files that hold an account's own data: readable by its owner alone, replaced whole, synced."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_folder(folder: str | Path) -> None:
    """Make the folder, for its owner alone; one that is there stays as it is. Raises OSError."""
    if not os.path.isdir(folder):
        os.makedirs(folder, mode=FOLDER_MODE, exist_ok=True)
        sync(os.path.dirname(os.path.abspath(folder)))


def open_private(path: str | Path, flags: int) -> int:
    """A descriptor of the file itself: a link is refused (ELOOP). Raises OSError."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)


def make_private(path: str | Path) -> None:
    """Make the file if it is not there, for its owner alone; others lose what they could read.

    Raises OSError, also for a link.
    """
    descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)


def write_whole(
    path: str | Path,
    content: bytes,
    *,
    temporary: str | Path | None = None,
    durable: bool = True,
) -> None:
    """Write beside, then rename: whatever dies, the old or the new file is there, whole.

    `temporary` is in the same folder (default: `.NAME.new`). `durable`: it is on the disk on
    return, so that a power cut loses nothing either. Raises OSError.
    """
    folder, name = os.path.split(os.path.abspath(path))
    if temporary is None:
        temporary = os.path.join(folder, f".{name}.new")
    descriptor = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with open(descriptor, "wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)
    if durable:
        sync(folder)


def decoded[T](content: bytes | str, kind: type[T]) -> T | None:
    """The JSON of a file of our own; None where it holds no `kind`, whatever its damage."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def sync(path: str | Path) -> None:
    """A file's content, or a folder's renames and removals, on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
