"""The demo: trade a simulated venue live, kill and restart the run, then backtest the recording.

Everything runs as a user would run it: the venue, and the two live runs, are processes of their
own; the config is the file that stays in the demo's folder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.observe import journaled, summary
from fairlead.engine.observe.summary import RunSummary
from fairlead.engine.orders.key_lock import FOLDER_VARIABLE
from fairlead.engine.processes import module_command
from fairlead.engine.recording.gaps import summary_of
from fairlead.engine.run.backtest import RunResult, run_backtest
from fairlead.engine.run.config import load
from fairlead.engine.run.summary import summed_up

CONFIG = "demo.toml"
VENUE_IN_CONFIG = "127.0.0.1:8610"
END_SECS = 300.0  # a start and an ordered stop, on a machine that is busy with something else
STOP_SECS = 20.0

Tell = Callable[[str], None]


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
    """`live` sums up both live runs from the journal; `proof` compares it with the venue.

    `kept` is the folder of the backtest.
    """

    live: RunSummary
    backtest: RunSummary
    proof: str
    is_whole: bool
    folder: Path
    kept: Path


def run_demo(template: Path, folder: Path, *, seconds: float, seed: int, tell: Tell) -> DemoResult:
    """Trade for about `seconds` in two live runs, the first one killed, then backtest.

    The venue is the one of the template. `folder` is emptied first. Raises FairleadError when a
    part of it fails.
    """
    (venue,) = load(template).config.venues.values()
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    with _venue(folder, venue.adapter, seed, tell) as line:
        loaded = load(_config(template, folder, line))
        journal = _journal(loaded)
        begin_ns = time.time_ns()
        outputs = _trade(loaded.path, folder, seconds, tell)
        end_ns = time.time_ns()
        proof, is_whole = _proof(journal, _get(line, "ledger"), line)
    tell("backtesting what was recorded")
    result = run_backtest(loaded)
    live = _live_summary(loaded, result, outputs, (begin_ns, end_ns))
    backtest = _column(result.summary)
    kept = Path(result.record().keep(loaded.state_dir).files["summary"]).parent
    result.dispose()
    return DemoResult(
        live=live, backtest=backtest, proof=proof, is_whole=is_whole, folder=folder, kept=kept
    )


def demo_files(template: Path, folder: Path) -> dict[str, Path]:
    """What a demo in `folder` leaves, by what it is."""
    journal = _journal(load(template)).name
    return {
        "config": folder / CONFIG,
        "journal": folder / "state" / journal,
        "recording": folder / "data",
        "logs": folder / "live.log",
    }


def _journal(loaded: LoadedConfig) -> Path:
    (key,) = loaded.config.venues
    return account_files(loaded, key).journal


@contextmanager
def _venue(folder: Path, adapter: str, seed: int, tell: Tell) -> Iterator[Mapping[str, Any]]:
    """The simulated venue as a process; gives its line of URLs and credentials."""
    account = folder / "venue"
    command = [*_fairlead("venue", adapter), "--port", "0", "--seed", str(seed)]
    with (folder / "venue.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--account-dir", str(account)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise FairleadError("DEMO-VENUE", f"the simulated venue did not start: {log.name}")
        found: dict[str, Any] = json.loads(line)
        tell(f"simulated {adapter} at {found['rest']}")
        yield found
    finally:
        _stop(process)


def _config(template: Path, folder: Path, line: Mapping[str, Any]) -> Path:
    """The template with the venue's real port, in the demo's folder."""
    address = urlsplit(str(line["rest"])).netloc
    path = folder / CONFIG
    path.write_text(template.read_text().replace(VENUE_IN_CONFIG, address))
    return path


def _trade(config: Path, folder: Path, seconds: float, tell: Tell) -> list[dict[str, Any]]:
    """Two live runs: killed without warning, then started again and stopped in order."""
    first = seconds / 2
    # The venue ends with the demo: nothing of its account is to stay in the user's home.
    env = {**os.environ, FOLDER_VARIABLE: str((folder / "locks").resolve())}
    with (folder / "live.log").open("w") as log:
        killed = subprocess.Popen(  # noqa: S603
            [*_fairlead("live", str(config)), "--json"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=env,
        )
        tell(f"live run 1: {first:.0f} s, then kill -9")
        try:
            killed.wait(first)
            raise FairleadError(
                "DEMO-LIVE", f"the live run ended by itself with {killed.returncode}: {log.name}"
            )
        except subprocess.TimeoutExpired:
            pass
        finally:
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        tell(f"live run 2: takes over the journal, {seconds - first:.0f} s, then an ordered stop")
        try:
            ended = subprocess.run(  # noqa: S603
                [*_fairlead("live", str(config)), "--json", "--for", str(seconds - first)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=env,
                text=True,
                timeout=seconds + END_SECS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            late = f"expected live run 2 to end within {error.timeout:.0f} s: {log.name}"
            raise FairleadError("DEMO-LIVE", late) from None
        if ended.returncode != Exit.OK:
            raise FairleadError(
                "DEMO-LIVE", f"live run 2 ended with {ended.returncode}: {log.name}"
            )
    return [json.loads(ended.stdout[ended.stdout.index("{") :])]


def _fairlead(*arguments: str) -> list[str]:
    return module_command("fairlead.engine.cli.main", *arguments)


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _get(line: Mapping[str, Any], what: str) -> Any:
    """From the simulator's own door, outside the venue's API."""
    url = str(line["control"]).rstrip("/") + f"/{what}"
    if urlsplit(url).hostname != "127.0.0.1":
        raise FairleadError("DEMO-VENUE", f"expected a loopback address, received {url}")
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback, checked
        return json.load(answer)


def _proof(journal: Path, ledger: Any, line: Mapping[str, Any]) -> tuple[str, bool]:
    """Every order and execution of the venue's true ledger against the journal."""
    (account,) = _get(line, "balances")
    true: defaultdict[str, Decimal] = defaultdict(Decimal)
    for entry in ledger["entries"]:
        if entry["type"] == "order" and entry["order"]["account"] == account:
            true[str(entry["order"]["id"])] += 0
        elif entry["type"] == "fill" and entry["account"] == account:
            true[str(entry["order_id"])] += Decimal(entry["quantity"])
    mine, fills = journaled.executed(journal)
    lost = len(true.keys() - mine.keys())
    doubled = len(mine) - len(set(mine))
    wrong = sum(mine[void] != executed for void, executed in true.items() if void in mine)
    text = (
        f"venue {len(true)} orders, journal {len(mine)}: {lost} lost, {doubled} doubled, "
        f"{wrong} with other executions; {fills} fills"
    )
    return text, not (lost or doubled or wrong or true.keys() != mine.keys())


def _live_summary(
    loaded: LoadedConfig, result: RunResult, outputs: list[dict[str, Any]], span_ns: tuple[int, int]
) -> RunSummary:
    """Both live runs as one, from the journal; marks and instruments are the recording's."""
    from nautilus_trader.model import InstrumentId

    cache, (begin_ns, end_ns) = result.cache, span_ns
    ids = {name: InstrumentId.from_str(name) for name in loaded.config.instruments}
    instruments = {name: cache.instrument(one) for name, one in ids.items()}
    marks = {name: mark for name, one in ids.items() if (mark := summary.mark_price(cache, one))}
    traded = journaled.trading(_journal(loaded), instruments, marks, begin_ns, end_ns)
    second = outputs[-1]
    found = summed_up(
        loaded,
        "live",
        traded,
        cache,
        end=(int(second["exit_code"]), "killed, then stopped"),
        span_ns=span_ns,
        run_state=RunState(),
        used=result.parts.used,
        gaps=summary_of(loaded.resolve("data/catalog"), start_ns=begin_ns, end_ns=end_ns),
        tick_to_order_ns=second["tick_to_order_ns"],
    )
    return _column(found, mode="live, 2 runs", denials=second["denials"])


def _column(found: RunSummary, **changes: Any) -> RunSummary:
    """The demo names its own files; what only one of two columns has, or can have, is left out."""
    return msgspec.structs.replace(found, files={}, equity={}, balance_changes={}, **changes)
