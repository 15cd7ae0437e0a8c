"""The page of a running engine: a server on the run's own loop that costs nothing unseen.

Whatever fails here is told, and the run goes on: also where its address is taken.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import logging
import re
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from fairlead.engine.errors import FairleadError
from fairlead.engine.observe.page.access import CONTROL_FILE, LOOK_FILE, Access, hosts_of, token_of
from fairlead.engine.observe.page.api import BODY_BYTES_MAX, SAFE, STREAM, Api, answer
from fairlead.engine.observe.page.metrics import HOW, KIND, Metrics
from fairlead.engine.observe.page.snapshot import Snapshot
from fairlead.engine.observe.page.stream import Hub
from fairlead.engine.secrets import redact

if TYPE_CHECKING:
    from fairlead.engine.config.model import Observe
    from fairlead.engine.observe.page.sources import Sources

logger = logging.getLogger(__name__)

PAGE_FILE = Path(__file__).with_name("page.html")
CHARTS_FILE = "plotly.min.js"
CLOSE_SECS = 1.0
LAG_LOOK_SECS = 0.5
LENT_TRIES = 5
HEADER_BYTES_MAX = 8_190


class Page:
    """Of one run. `start` it before the venues are connected, `stop` it at the end."""

    def __init__(self, sources: Sources, settings: Observe) -> None:
        self._sources = sources
        self._settings = settings
        self._runner: web.AppRunner | None = None
        self._hub: Hub | None = None
        self._ticking: asyncio.Task[None] | None = None
        self.snapshot = Snapshot(sources, is_controlled=settings.control)
        self._metrics: Metrics | None = None
        self.address = ""  # once it is served

    async def start(self) -> list[str]:
        """What a person is told of it. Never raises: a run trades without its page, too."""
        try:
            return await self._start()
        except (OSError, FairleadError) as error:
            text = error.message if isinstance(error, FairleadError) else str(error)
            self._problem(f"the page is not served at {self._settings.page}: {text}")
        except Exception as error:
            logger.exception("PAGE")
            self._problem(f"the page is not served: {type(error).__name__}: {error}")
        await self.stop()
        self.address = ""
        return []

    def _problem(self, text: str) -> None:
        logger.error("PAGE: %s", text)
        self._sources.status.problem(self._sources.now_ns(), "PAGE", redact(text))

    async def _start(self) -> list[str]:
        settings, folder = self._settings, self._sources.loaded.state_dir
        assert settings.page is not None
        host, _, port = settings.page.rpartition(":")
        look = token_of(folder / LOOK_FILE)
        control = token_of(folder / CONTROL_FILE) if settings.control else None
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        self._runner = runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=CLOSE_SECS,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
        )
        hosts: list[str] = []
        access = Access(look, control, hosts)
        api = Api(self.snapshot, self._sources, access)
        self._hub = Hub(self.snapshot, self._sources, access)
        app.middlewares.append(api.guard)
        app.add_routes(api.routes())
        app.add_routes(
            [
                web.get("/", _page),
                web.get("/charts.js", _charts),
                web.get(STREAM, self._hub.handle),
                web.get("/healthz", _health),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._measured),
            ]
        )
        with contextlib.suppress(ImportError):  # it is told to who asks for them
            self._metrics = Metrics(self._sources, self.snapshot)
        await runner.setup()
        site = web.TCPSite(runner, host.strip("[]"), int(port))
        await site.start()
        bound = runner.addresses[0][1]
        access.lead_here(hosts_of(host, bound, settings.hosts))
        self.address = f"http://{host}:{bound}/"
        self._ticking = asyncio.get_running_loop().create_task(self._tick())
        told = [f"page: {self.address} (its token: {folder / LOOK_FILE})"]
        if control is not None:
            told.append(f"the page's second token: {folder / CONTROL_FILE}")
        return told

    async def stop(self) -> None:
        """Never raises."""
        try:
            if self._ticking is not None:
                self._ticking.cancel()
            if self._hub is not None:
                await self._hub.close()
            if self._runner is not None:
                await self._runner.cleanup()
        except Exception:
            logger.exception("PAGE: its end")

    async def _tick(self) -> None:
        """How late the loop is, and what accounts are worth; never raises."""
        while True:
            due = time.monotonic_ns() + round(LAG_LOOK_SECS * 1e9)
            await asyncio.sleep(LAG_LOOK_SECS)
            self._sources.loop_lag_ns = max(time.monotonic_ns() - due, 0)
            with contextlib.suppress(Exception):
                self.snapshot.sample()

    async def _measured(self, _: web.Request) -> web.Response:
        if self._metrics is None:
            return answer(f"needs prometheus-client: {HOW}\n".encode(), status=501, kind=KIND)
        for _try in range(LENT_TRIES):
            try:
                return answer(self._metrics.text(), kind=KIND)
            except RuntimeError:  # NautilusTrader lends its cache
                await asyncio.sleep(0)
        return answer(b"the cache is lent\n", status=503, kind=KIND)

    async def _ready(self, _: web.Request) -> web.Response:
        """Whether it does what it was started for; without the token it says no more."""
        is_ready = self._sources.state() == "running"
        text = b"ready\n" if is_ready else b"not ready\n"
        return answer(text, status=200 if is_ready else 503, kind="text/plain")


async def _health(_: web.Request) -> web.Response:
    """The loop has its turn."""
    return answer(b"ok\n", kind="text/plain")


async def _page(_: web.Request) -> web.Response:
    body, policy = _read_page()
    headers = SAFE | {
        "Content-Security-Policy": policy,
        "Content-Type": "text/html; charset=utf-8",
    }
    return web.Response(body=body, headers=headers)


async def _charts(_: web.Request) -> web.StreamResponse:
    """Plotly, of the extra `research`; the page draws without it, too."""
    if (path := charts_path()) is None:
        return answer(b"", status=404, kind="text/plain")
    headers = SAFE | {
        "Content-Type": "text/javascript; charset=utf-8",
        "Cache-Control": "max-age=86400",
    }
    return web.FileResponse(path, headers=headers)


@cache
def charts_path() -> Path | None:
    """Plotly's own file; it is not imported."""
    found = find_spec("plotly")
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        path = Path(folder) / "package_data" / CHARTS_FILE
        if path.is_file():
            return path
    return None


@cache
def _read_page() -> tuple[bytes, str]:
    """The file, and what a browser may do with it: its own script, and no other place."""
    body = PAGE_FILE.read_bytes()
    scripts = re.findall(rb"<script>(.*?)</script>", body, re.S)
    hashes = [base64.b64encode(hashlib.sha256(one).digest()).decode() for one in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return body, (
        f"default-src 'none'; script-src 'self' {allowed}; style-src 'unsafe-inline'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
