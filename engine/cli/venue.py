"""`fairlead venue`: a simulated venue on loopback, for demos, paper runs, and other clients."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.processes import stop_signals

if TYPE_CHECKING:
    from fairlead.adapters.simulation.faults import Profile
    from fairlead.adapters.simulation.venue import SimulatedVenue

HOST = "127.0.0.1"
PROFILES: tuple[Profile, ...] = ("none", "mild", "bad")


def command(
    name: Annotated[str, typer.Argument(help="Name of an adapter with a simulator")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on loopback; 0 takes a free one")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the market and of the faults")] = 1,
    replay: Annotated[
        Path | None, typer.Option("--replay", help="Catalog whose recording drives the market")
    ] = None,
    instrument: Annotated[
        str | None, typer.Option("--instrument", help="Instrument id in the catalog")
    ] = None,
    market: Annotated[
        str | None, typer.Option("--market", help="The venue's market that the recording drives")
    ] = None,
    faults: Annotated[
        str, typer.Option("--faults", help="Faults on the wire: none, mild or bad")
    ] = "none",
    account_dir: Annotated[
        Path | None,
        typer.Option(
            "--account-dir", help="Folder of the test credentials: made if absent, kept if there"
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="What it prints is one JSON object with or without.")
    ] = False,
) -> None:
    """Serve a simulated venue until SIGINT, SIGTERM or SIGHUP.

    When ready, one line of JSON tells its URLs and test credentials; `credentials` are references
    that a config takes as they are. The true ledger is at `/_sim/ledger`.
    """
    if faults not in PROFILES:
        raise typer.BadParameter(f"expected one of {', '.join(PROFILES)}, received {faults!r}")
    if (replay is None) != (instrument is None):
        raise typer.BadParameter("--replay and --instrument go together")
    if market is not None and replay is None:
        raise typer.BadParameter("--market needs --replay")
    venue = _build(name, seed, replay, instrument, market)
    venue.faults.profile = faults
    raise typer.Exit(asyncio.run(_serve(venue, port, account_dir)))


def _build(
    name: str, seed: int, replay: Path | None, instrument: str | None, market: str | None
) -> SimulatedVenue:
    """Raises FairleadError for a venue without simulator, or a recording that can't be used."""
    from fairlead.adapters.simulation.replay import CatalogReplay

    more: dict[str, Any] = {}
    try:
        if replay is not None and instrument is not None:
            from fairlead.engine.recording.reading import bring_in

            for note in bring_in(replay):
                typer.echo(note, err=True)
            more["replay"] = CatalogReplay(replay, instrument)
        if market is not None:
            more["replay_market"] = market
        now_ns = time.time_ns()
        # A venue that is started again never gives a number twice: microseconds run ahead of it.
        ids = now_ns // 1_000
        venue = _simulator(name)(now_ns=now_ns, seed=seed, ids_from=ids, **more)
    except (ValueError, OSError) as e:
        raise FairleadError("E-VENUE-REPLAY", str(e), Exit.NO_DATA) from e
    return venue


def _simulator(name: str) -> Callable[..., SimulatedVenue]:
    from fairlead.adapters import registry

    known = registry.simulated()
    if name in known:
        return registry.simulator(name)
    if name in registry.names():
        raise FairleadError("E-VENUE-NONE", f"adapter {name} has no simulator", Exit.USAGE)
    raise typer.BadParameter(f"no adapter {name!r}; known: {', '.join(known)}", param_hint="NAME")


def _reason(error: OSError) -> str:
    """asyncio wraps the system's own words in a sentence with the address in it."""
    return os.strerror(error.errno) if error.errno else str(error.strerror)


async def _serve(venue: SimulatedVenue, port: int, account_dir: Path | None) -> int:
    from fairlead.adapters.simulation.server import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stop_signals():
        loop.add_signal_handler(number, stop.set)
    try:
        served = await serve(venue, HOST, port)
    except OSError as e:
        raise FairleadError(
            "E-VENUE-PORT",
            f"can't listen on {HOST}:{port}: {_reason(e)}; "
            "choose another --port, or --port 0 for a free one",
            Exit.USAGE,
        ) from e
    try:
        with _account_folder(account_dir) as folder:
            line = _account(venue, served.describe, folder)
            line["control"] = f"{served.http_base}/_sim/"
            typer.echo(json.dumps(line))
            await served.run_until(stop)
    finally:
        await served.stop()
    return int(Exit.OK)


@contextmanager
def _account_folder(named: Path | None) -> Iterator[Path]:
    """The folder that was named, which stays; else one that goes with this process."""
    if named is not None:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="fairlead-venue-") as temporary:
        yield Path(temporary)


def _account(
    venue: SimulatedVenue, describe: Callable[[], Mapping[str, object]], folder: Path
) -> dict[str, object]:
    """What is told of the venue, with references to the credentials in `folder`.

    Raises FairleadError.
    """
    line = dict(describe())
    made = _texts(line.get("credentials"))
    try:
        if kept := kept_credentials(folder, made):
            _take(venue, folder, kept)
            line = dict(describe())
            line["credentials"] = references(folder, kept)
        else:
            line["credentials"] = write_credentials(folder, made)
    except (OSError, UnicodeDecodeError) as e:
        why = e.strerror if isinstance(e, OSError) else "it holds no text"
        raise FairleadError(
            "E-VENUE-ACCOUNT",
            f"the credentials can't be kept in {folder}: {why}; name another --account-dir",
            Exit.USAGE,
        ) from e
    return line


def _texts(credentials: object) -> Mapping[str, str]:
    return credentials if isinstance(credentials, Mapping) else {}


def write_credentials(folder: Path, credentials: Mapping[str, str]) -> dict[str, str]:
    """Write each credential to a file of mode 0600; references by name, absolute."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in credentials.items():
        path = folder.resolve() / name
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    return references(folder, credentials)


def references(folder: Path, names: Iterable[str]) -> dict[str, str]:
    return {name: f"file:{folder.resolve() / name}" for name in names}


def kept_credentials(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """What an earlier start left there, whole; a second start must not invalidate its config."""
    paths = {name: folder / name for name in names}
    if not paths or not all(path.is_file() for path in paths.values()):
        return {}
    return {name: path.read_text() for name, path in paths.items()}


def _take(venue: SimulatedVenue, folder: Path, kept: Mapping[str, str]) -> None:
    try:
        venue.take_credentials(kept)
    except ValueError as e:
        raise FairleadError(
            "E-VENUE-ACCOUNT",
            f"the credentials in {folder} can't be used: {e}; remove them, or name another "
            "--account-dir",
            Exit.USAGE,
        ) from e
