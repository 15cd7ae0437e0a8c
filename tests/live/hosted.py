"""Servers inside the test process: a simulated venue with options, and a host of web pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from fairlead.adapters.oceanex.simulator import OceanexSimulator
from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.adapters.piexgo.simulator import PiexgoSimOptions, PiexgoSimulator
from fairlead.adapters.poloniex.simulator import PoloniexSimOptions, PoloniexSimulator
from fairlead.adapters.zerocap.simulator import ZerocapSimOptions, ZerocapSimulator
from fairlead.engine.cli.venue import write_credentials
from tests.support.patience import PATIENCE_SECS
from tests.support.serving import serving

SIMULATORS: dict[type, Any] = {
    OceanexSimOptions: OceanexSimulator,
    PiexgoSimOptions: PiexgoSimulator,
    PoloniexSimOptions: PoloniexSimulator,
    ZerocapSimOptions: ZerocapSimulator,
}


@contextmanager
def simulated(folder: Path, options: Any, clock_secs: int = 0) -> Iterator[dict[str, Any]]:
    """The line that `fairlead venue` would print for the venue with these options.

    And the venue itself, as `simulator`, with `do`, which calls something on its thread. Its clock
    is ahead of ours by `clock_secs`.
    """

    def now_ns() -> int:
        return time.time_ns() + clock_secs * 1_000_000_000

    simulator = SIMULATORS[type(options)](now_ns=now_ns(), options=options)
    with serving(simulator, now_ns) as made:
        line = dict(made.served.describe())
        line["credentials"] = write_credentials(folder, line["credentials"])
        line["control"] = f"{made.served.http_base}/_sim/"
        line["simulator"], line["do"] = simulator, made.do
        yield line


class _Page(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.do_GET()

    def do_GET(self) -> None:
        body = b"<html><body>It works!</body></html>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def web_pages() -> Iterator[str]:
    """A host that answers every request with HTML; its base URL."""
    server = HTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_SECS)
