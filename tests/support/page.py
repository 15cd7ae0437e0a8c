"""A running engine's page, asked over HTTP as a browser or a script would."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.patience import PATIENCE_SECS
from tests.support.processes import wait_for

OBSERVE = """
[observe]
page = "127.0.0.1:0"
control = true
"""
_ADDRESS = re.compile(r"page: http://127\.0\.0\.1:(\d+)/")


class PageOf:
    """Of the run whose outputs are in `log`; its tokens are in `state`."""

    def __init__(self, log: Path, state: Path) -> None:
        wait_for(lambda: log.exists() and _ADDRESS.search(log.read_text()), f"the page; see {log}")
        found = _ADDRESS.findall(log.read_text())
        self.base = f"http://127.0.0.1:{found[-1]}"
        self.token = (state / "page.token").read_text().strip()
        self.control = (state / "page.control.token").read_text().strip()

    def ask(
        self,
        path: str,
        *,
        body: Any = None,
        method: str = "",
        control: bool = False,
        **headers: str,
    ) -> tuple[int, Any]:
        """Status and decoded answer; a header of "" is left out. Too often: it is asked again."""
        sent = {"Authorization": f"Bearer {self.token}"}
        if control:
            sent["Fairlead-Control"] = self.control
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            f"{self.base}{path}",
            data=data,
            method=method or ("GET" if data is None else "POST"),
            headers={name: value for name, value in sent.items() if value},
        )
        while True:
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_SECS) as answer:
                    return answer.status, _decoded(answer.read())
            except urllib.error.HTTPError as error:
                if error.code != 429:
                    return error.code, _decoded(error.read())
                time.sleep(0.1)

    def get(self, what: str) -> Any:
        status, told = self.ask(f"/api/v1/{what}")
        assert status == 200, told
        return told

    def do(self, what: str, **body: Any) -> Any:
        status, told = self.ask(f"/api/v1/{what}", body=body or None, method="POST", control=True)
        assert status == 200, told
        return told

    def wrong(self) -> set[str]:
        """Codes of what is wrong."""
        return {one["code"] for one in self.get("status")["wrong"]}


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()
