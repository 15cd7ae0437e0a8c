"""Who is told of a run, on loopback: a webhook, a mailbox, a dead endpoint, the Bot API."""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from tests.support.processes import wait_for

HOOK_TOKEN = f"hook-{secrets.token_hex(12)}"  # found nowhere but where it leaked


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _reply(self, status: int, told: Any) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        with suppress(ConnectionError):  # who asked is gone
            self.end_headers()
            self.wfile.write(body)


class _Served:
    """An HTTP server in a thread."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


class Hook(_Served):
    """A webhook: `got` are the messages as they came; while `refuses` it answers 503."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.asked = 0
        self.refuses = False
        hook = self

        class Handler(_Quiet):
            def do_POST(self) -> None:
                told = self._body()
                hook.asked += 1
                if hook.refuses:
                    self._reply(503, {})
                    return
                hook.got.append(told)
                self._reply(200, {})

        super().__init__(Handler)
        self.url = f"json://127.0.0.1:{self.port}/{HOOK_TOKEN}"

    @property
    def titles(self) -> list[str]:
        return [one["title"] for one in self.got]

    def text_of(self, code: str) -> str:
        """Of the first message whose title ends with the code, once it is there."""
        found: list[str] = []

        def is_there() -> bool:
            found[:] = [one["message"] for one in self.got if one["title"].endswith(f": {code}")]
            return bool(found)

        wait_for(is_there, f"an alert {code}; came {self.titles}")
        return found[0]


class Mailbox:
    """A real SMTP server; `got` are the mails."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=_free_port())
        self._controller.start()
        port = self._controller.port
        self.url = f"mailto://127.0.0.1:{port}?from=run@example.com&to=me@example.com"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.got.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    @property
    def subjects(self) -> list[str]:
        return [str(one["subject"]) for one in self.got]

    def close(self) -> None:
        self._controller.stop()


class Dead:
    """It accepts, and never answers; `count` are those that came."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[socket.socket] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"json://127.0.0.1:{self._socket.getsockname()[1]}/dead"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self._kept.append(self._socket.accept()[0])
                self.count += 1
            except OSError:
                return

    def close(self) -> None:
        self._socket.close()
        for one in self._kept:
            one.close()


class BotApi(_Served):
    """Telegram's Bot API, as far as a bot uses it: getUpdates as a long poll, sendMessage."""

    TOKEN = f"123456789:AAF-{secrets.token_hex(12)}"

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.refused = 0
        self.polls = 0  # long ones
        self.is_broken = False
        self._updates: list[dict[str, Any]] = []
        self._next = 1000
        self._changed = threading.Condition()
        api = self

        class Handler(_Quiet):
            def do_POST(self) -> None:
                body = self._body()
                _, token, method = self.path.split("/")
                if token != f"bot{BotApi.TOKEN}" or api.is_broken:
                    api.refused += 1
                    self._reply(401, {"ok": False, "description": "Unauthorized"})
                elif method == "getUpdates":
                    self._reply(200, {"ok": True, "result": api._since(body)})
                elif method == "sendMessage":
                    with api._changed:
                        api.sent.append(body)
                    self._reply(200, {"ok": True, "result": {"message_id": len(api.sent)}})

        super().__init__(Handler)
        self.url = f"http://127.0.0.1:{self.port}"

    def _since(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Those from the offset on; what is before it is confirmed, and forgotten."""
        until = time.monotonic() + body["timeout"]
        self.polls += body["timeout"] > 0
        with self._changed:
            kept = [one for one in self._updates if one["update_id"] >= body["offset"]]
            self._updates = kept
            while not self._updates and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            return list(self._updates)

    def put(self, update: dict[str, Any]) -> None:
        with self._changed:
            self._next += 1
            self._updates.append({"update_id": self._next, **update})
            self._changed.notify_all()

    def says(self, text: str, *, chat: int = 42, user: int = 7) -> None:
        """Somebody writes to the bot."""
        who = {"id": user, "username": "ann"}
        self.put({"message": {"chat": {"id": chat}, "from": who, "text": text, "date": 0}})

    def asked(self, text: str, *, chat: int = 42, user: int = 7) -> str:
        """The same, and the answer to it."""
        before = len(self.sent)
        self.says(text, chat=chat, user=user)
        wait_for(lambda: len(self.sent) > before, f"an answer to {text!r}")
        return str(self.sent[before]["text"])


@contextmanager
def open_people(*made: Any) -> Iterator[None]:
    """Close them at the end."""
    try:
        yield
    finally:
        for one in made:
            one.close()


def secret_file(folder: Path, name: str, text: str) -> str:
    """A reference to the text in a file of its own."""
    path = folder / name
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return f"file:{path}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
