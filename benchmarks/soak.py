"""A live run under mild faults with its page open: what grows, hour by hour.

    python benchmarks/soak.py [--minutes N] [--warm-up N] [--browser] [--out FILE]

Two simulated venues with mild faults, the three shipped strategies at each, recording, page and
metrics. Each minute: resident memory of the run (without its children), its threads, open files and
sockets, the loop's unfinished tasks, orders and fills. `--browser` opens the page in Chromium; else
a WebSocket reads it. Exit 1 where memory after the warm-up grows by more than 5 MB an hour (least
squares), or files, sockets or tasks of the last quarter are above those of the first after it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support import configs  # noqa: E402
from tests.support.processes import FAIRLEAD, Venue, venue, wait_for  # noqa: E402

MARKETS = {
    "oceanex": ("BTC_USDT", "ETH_USDT", "VET_USDT"),
    "poloniex": ("BTC_USDT", "ETH_USDT"),
}
GROWTH_MB_AN_HOUR_MAX = 5.0
SPREAD = 4  # files, sockets and tasks come and go by as many
STRATEGIES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("Maker", "imbalance_maker:ImbalanceMaker", "BTC_USDT", {"order_quantity": "0.02"}),
    (
        "Trend",
        "trend_follower:TrendFollower",
        "ETH_USDT",
        {"order_quantity": "0.5", "bar": "1-SECOND-LAST", "fast": 2, "slow": 5, "atr": 5},
    ),
    (
        "Breakout",
        "breakout:Breakout",
        "VET_USDT",
        {"order_quantity": "5000", "bar": "1-SECOND-LAST", "lookback": 4, "buffer_bps": "0.5"},
    ),
)
MAKER = {
    "max_inventory": "0.10",
    "start_inventory": "0.10",
    "half_spread_bps": "2",
    "imbalance_bps": "1",
    "skew_bps": "1",
    "requote_bps": "1",
    "requote_ms": 500,
    "allow_short": False,
}
MORE = """
[risk]
max_order_notional = "5000 USDT"
max_open_orders = 40
max_orders_per_second = 20
price_collar_bps = "100"
[execution]
poll_ms = 250
absent_quarantine_secs = 2.0
[record]
dir = "data"
[observe]
page = "127.0.0.1:0"
"""


def written(folder: Path, served: list[Venue]) -> Path:
    """One config of both venues."""
    texts = []
    for number, one in enumerate(served):
        key = str(one.line["venue"])
        markets = MARKETS[key]
        table = [
            {
                "id": f"{name}-{number}0{place}",
                "path": f"fairlead.strategies.{path}",
                "params": {"instrument_id": f"{market}.{key.upper()}"}
                | params
                | (MAKER if name == "Maker" else {"allow_short": False}),
            }
            for place, (name, path, market, params) in enumerate(STRATEGIES)
            if market in markets
        ]
        path = configs.write(
            folder, one, strategies=table, name=key, instruments=markets, more="[run]\n"
        )
        texts.append(path.read_text().replace("[run]", ""))
        path.unlink()
    first, *others = texts
    rest = [text.partition("\n")[2] for text in others]  # without its name
    whole = folder / "soak.toml"
    whole.write_text("\n".join([first, *rest, configs.PATIENT_STOP, MORE]))
    return whole


class Look:
    """The page, open all along."""

    def __init__(self, address: str, token: str, *, is_browser: bool) -> None:
        self.messages = 0
        self._address, self._token = address, token
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._browse if is_browser else self._listen, daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(20)

    def _browse(self) -> None:
        from tests.support.browser import browser, opened

        told: list[str] = []
        with browser() as started:
            page = opened(started, f"{self._address}#token={self._token}", told=told)
            while not self._ended.wait(10):
                self.messages = len(page.inner_text("body"))
        for line in told:
            print(f"the browser's console: {line}")

    def _listen(self) -> None:
        import asyncio

        asyncio.run(self._read())

    async def _read(self) -> None:
        from aiohttp import ClientSession

        from fairlead.engine.observe.page.api import STREAM

        async with (
            ClientSession() as session,
            session.ws_connect(self._address.rstrip("/") + STREAM) as socket,
        ):
            await socket.send_json({"token": self._token})
            async for _ in socket:
                self.messages += 1
                if self._ended.is_set():
                    return


def measured(pid: int, address: str, token: str) -> dict[str, float]:
    status = Path(f"/proc/{pid}/status").read_text()
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(os.readlink(link))
    request = urllib.request.Request(
        f"{address}metrics", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    sockets = sum(link.startswith("socket:") for link in links)
    return {
        "rss_mb": int(found(r"VmRSS:\s+(\d+)", status)) / 1024,
        "threads": int(found(r"Threads:\s+(\d+)", status)),
        "files": len(links) - sockets,
        "sockets": sockets,
        "tasks": figure(text, "fairlead_loop_tasks"),
        "open": figure(text, "fairlead_open_orders"),
        "unknown": figure(text, "fairlead_unknown_orders"),
        "fills": figure(text, "fairlead_fills_total"),
        "reconnects": figure(text, "fairlead_reconnects_total"),
    }


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, f"no {pattern} in {text[:200]!r}"
    return match[1]


def figure(text: str, name: str) -> float:
    """The sum over its labels; 0 where there is none."""
    rows = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
    return sum(map(float, rows))


def slope_mb_an_hour(rows: list[dict[str, float]]) -> float:
    minutes = [row["minute"] for row in rows]
    return statistics.linear_regression(minutes, [row["rss_mb"] for row in rows]).slope * 60


def verdict(rows: list[dict[str, float]]) -> bool:
    quarter = max(len(rows) // 4, 1)
    grown = slope_mb_an_hour(rows)
    holds = grown <= GROWTH_MB_AN_HOUR_MAX
    print(f"memory: {grown:+.2f} MB an hour (at most {GROWTH_MB_AN_HOUR_MAX:g})")
    for name in ("threads", "files", "sockets", "tasks"):
        first = statistics.median(row[name] for row in rows[:quarter])
        last = statistics.median(row[name] for row in rows[-quarter:])
        print(f"{name}: {first:g} in the first quarter, {last:g} in the last")
        holds &= last <= first + SPREAD
    return holds


@contextlib.contextmanager
def served_at(folder: Path) -> Iterator[list[Venue]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(venue(name, folder / name, "--faults", "mild", "--seed", "7"))
            for name in MARKETS
        ]


def soak(folder: Path, minutes: int, warm_up: int, is_browser: bool, out: Path | None) -> bool:
    rows: list[dict[str, float]] = []
    with served_at(folder) as served:
        log = folder / "run.log"
        with log.open("w") as told_to:
            running = subprocess.Popen(
                [FAIRLEAD, "live", str(written(folder, served))], stdout=told_to, stderr=told_to
            )
        try:
            wait_for(
                lambda: "page: http" in log.read_text() or running.poll() is not None,
                f"the page; see {log}",
            )
            told = re.search(r"page: (\S+) \(its token: (.+?)\)", log.read_text())
            assert told is not None, log.read_text()[-3000:]
            address, token = told[1], Path(told[2]).read_text().strip()
            look = Look(address, token, is_browser=is_browser)
            for minute in range(1, minutes + 1):
                time.sleep(60)
                if running.poll() is not None:
                    print(f"the run ended by itself, exit {running.poll()}; see {log}")
                    return False
                rows.append({"minute": minute} | measured(running.pid, address, token))
                print(json.dumps(rows[-1] | {"page": look.messages}), flush=True)
                if out is not None:
                    out.write_text(json.dumps(rows))
            look.end()
        finally:
            running.send_signal(signal.SIGTERM)
            print(f"exit {running.wait(120)}")
    return verdict(rows[warm_up:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=int, default=120)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"in {folder}")
    holds = soak(folder, given.minutes, given.warm_up, given.browser, given.out)
    print("holds" if holds else "BROKEN")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
