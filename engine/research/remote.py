"""A catalog in an object store: `s3://BUCKET/PATH`, of S3 or what speaks as it does.

A backtest reads every row more than once, so it reads a copy on this machine, of which only what
changed is fetched again. Address and keys come from the environment, as other S3 clients read them:
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.recording.checking import CHECKSUMS
from fairlead.engine.recording.gaps import GAPS_FILE
from fairlead.engine.research.extra import need

SCHEME = "s3://"
COPIES = "catalogs"  # folder of the state folder
READ_BYTES = 1 << 20
ROOT_FILES = (GAPS_FILE, CHECKSUMS)

_fetched: set[tuple[str, Path]] = set()  # by this process

Progress = Callable[[str, int, int], None]  # phase, done, of


class Copied(msgspec.Struct, kw_only=True):
    """What was copied; `same`: files that were there already, `removed`: those that are gone."""

    source: str
    target: str
    files: int = 0
    bytes: int = 0
    same: int = 0
    removed: int = 0


def is_remote(place: str) -> bool:
    return place.startswith(SCHEME)


def local_catalog(loaded: LoadedConfig, *, again: bool = True) -> Path:
    """The folder of the config's catalog: itself, or the copy of a store, brought up to date.

    Not `again`: once in the life of this process is enough. Raises FairleadError.
    """
    place = loaded.config.backtest.catalog
    if not is_remote(place):
        return loaded.resolve(place)
    digest = hashlib.sha256(place.encode()).hexdigest()[:8]
    name = place.removeprefix(SCHEME).strip("/").replace("/", "-")[-60:]
    folder = loaded.state_dir / COPIES / f"{name}-{digest}"
    if again or (place, folder) not in _fetched:
        fetch(place, folder)
        _fetched.add((place, folder))
    return folder


def fetch(url: str, folder: Path, progress: Progress | None = None) -> Copied:
    """Bring `folder` up to date with the store: its files are those there, and no others.

    A file is fetched where size or time differ, whole or not at all. Raises FairleadError.
    """
    store, root = _open(url)
    done = Copied(source=url, target=str(folder))
    with _told(url):
        there = _files(store, root)
        if not any(name.startswith("data/") for name in there):
            text = f"{url} holds no catalog; expected data/... as `fairlead data copy` writes it"
            raise FairleadError("CATALOG-MISSING", text, int(Exit.NO_DATA))
        for number, (name, info) in enumerate(sorted(there.items())):
            if progress is not None:
                progress("fetch", number, len(there))
            target = folder / name
            if _is_same(target, info):
                done.same += 1
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.{os.getpid()}.part")
            try:
                with store.open_input_stream(info.path) as source, part.open("wb") as file:
                    shutil.copyfileobj(source, file, READ_BYTES)
                _require_whole(url, name, part.stat().st_size, info.size)
                os.utime(part, ns=(info.mtime_ns, info.mtime_ns))
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
            done.files += 1
            done.bytes += info.size
        done.removed = _remove_others(folder, there)
    return done


def push(folder: Path, url: str, progress: Progress | None = None) -> Copied:
    """Write a catalog's files into the store. Those that are there with the same size stay.

    Raises FairleadError, also for a file of the same name that is another.
    """
    store, root = _open(url)
    done = Copied(source=str(folder), target=url)
    names = [str(one.relative_to(folder)) for one in sorted(folder.glob("data/**/*.parquet"))]
    names += [name for name in ROOT_FILES if (folder / name).exists()]
    with _told(url):
        there = _files(store, root)
        for number, name in enumerate(names):
            if progress is not None:
                progress("push", number, len(names))
            size = (folder / name).stat().st_size
            known = there.get(name)
            if known is not None and known.size == size and name not in ROOT_FILES:
                done.same += 1
                continue
            if known is not None and name not in ROOT_FILES:
                text = f"{url}/{name} has {known.size} bytes, and {folder / name} has {size}"
                raise FairleadError("STORE-DIFFERS", f"{text}; nothing of it is written over", 9)
            with (
                (folder / name).open("rb") as source,
                store.open_output_stream(f"{root}/{name}") as file,
            ):
                shutil.copyfileobj(source, file, READ_BYTES)
            done.files += 1
            done.bytes += size
    return done


def kernel_options(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What NautilusTrader's own catalog takes as `storage_options`: it reads no environment."""
    names = {
        "access_key_id": "AWS_ACCESS_KEY_ID",
        "secret_access_key": "AWS_SECRET_ACCESS_KEY",
        "session_token": "AWS_SESSION_TOKEN",
        "region": "AWS_REGION",
        "endpoint_url": "AWS_ENDPOINT_URL",
    }
    found = {key: environment[name] for key, name in names.items() if environment.get(name)}
    if found.get("endpoint_url", "").startswith("http://"):
        found["allow_http"] = "true"
    return found


# -- parts


def _open(url: str) -> tuple[Any, str]:
    """The store, and the path in it. Raises FairleadError."""
    parts = urlsplit(url)
    root = f"{parts.netloc}{parts.path}".strip("/")
    if not parts.netloc or parts.scheme != "s3" or parts.query:
        text = f"{url[:100]!r}: expected s3://BUCKET/PATH"
        raise FairleadError("STORE-URL", text, int(Exit.USAGE))
    fs = need("pyarrow.fs", "a catalog in an object store")
    told = kernel_options()
    endpoint = urlsplit(told.get("endpoint_url", ""))
    options: dict[str, Any] = {
        "access_key": told.get("access_key_id"),
        "secret_key": told.get("secret_access_key"),
        "session_token": told.get("session_token"),
        "region": told.get("region") or "us-east-1",
    }
    if endpoint.netloc:
        options |= {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}
    if not options["access_key"]:
        text = f"{url}: expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
        raise FairleadError("STORE-KEYS", text, int(Exit.VENUE))
    with _told(url):
        return fs.S3FileSystem(**options, connect_timeout=10, request_timeout=60), root


class _told:
    """What the store refuses, in one line. Raises FairleadError in place of OSError."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            text = f"{self._url}: {str(error)[:300]}"
            raise FairleadError("STORE-FAILED", text, int(Exit.VENUE)) from error


def _files(store: Any, root: str) -> dict[str, Any]:
    """The catalog's files by name. Raises OSError."""
    fs = need("pyarrow.fs", "a catalog in an object store")
    selector = fs.FileSelector(root, recursive=True, allow_not_found=True)
    found = {}
    for info in store.get_file_info(selector):
        name = info.path.removeprefix(f"{root}/")
        is_data = name.startswith("data/") and name.endswith(".parquet")
        if info.is_file and (is_data or name in ROOT_FILES) and ".." not in name.split("/"):
            found[name] = info
    return found


def _is_same(target: Path, info: Any) -> bool:
    if not target.exists():
        return False
    told = target.stat()
    return bool(told.st_size == info.size and told.st_mtime_ns == info.mtime_ns)


def _require_whole(url: str, name: str, came: int, size: int) -> None:
    if came != size:
        raise OSError(f"{url}/{name}: {size} bytes expected, {came} received")


def _remove_others(folder: Path, there: Mapping[str, Any]) -> int:
    removed = 0
    for path in (*folder.glob("data/**/*.parquet"), *(folder / name for name in ROOT_FILES)):
        if path.exists() and str(path.relative_to(folder)) not in there:
            path.unlink()
            removed += 1
    return removed
