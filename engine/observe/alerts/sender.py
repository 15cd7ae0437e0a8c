"""The run's side of its courier: a process with two pipes that the run never waits for."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import time
from collections.abc import Callable

import msgspec

from fairlead.engine.files import decoded
from fairlead.engine.observe.alerts.messages import (
    BODY_CHARS_MAX,
    LINE_BYTES_MAX,
    TITLE_CHARS_MAX,
    Hello,
    Message,
    Word,
)
from fairlead.engine.observe.deliveries import Delivery
from fairlead.engine.processes import module_command
from fairlead.engine.secrets import redact
from fairlead.engine.status import shortened

logger = logging.getLogger(__name__)

MODULE = "fairlead.engine.observe.alerts.courier"
AGAIN_SECS = 60.0  # between two starts of a courier that has died
END_SECS = 5.0  # that the run's end waits for it; it goes on by itself for as long again
READ_BYTES = 65_536

_encode = msgspec.json.Encoder().encode
_BEAT = _encode(Word()) + b"\n"
_STUCK = _encode(Word(is_stuck=True)) + b"\n"
_END = _encode(Word(is_end=True)) + b"\n"


def line_of(message: Message, clean: Callable[[str], str] = redact) -> bytes:
    """Without secrets, and so short that a pipe takes it whole."""
    title = shortened(clean(message.title), TITLE_CHARS_MAX)
    body = shortened(clean(message.body), BODY_CHARS_MAX)
    while True:
        told = msgspec.structs.replace(message, title=title, body=body)
        line = _encode(Word(message=told)) + b"\n"
        if len(line) <= LINE_BYTES_MAX:
            return line
        body = shortened(body, len(body) // 2)  # of characters that take many bytes


class Sender:
    """Of one run. Its calls don't block; what finds no room in the pipe is counted as dropped.

    `deliveries` are what became of each endpoint's messages, by name.
    """

    def __init__(
        self,
        hello: Hello,
        now_secs: Callable[[], float] = time.monotonic,
        command: list[str] | None = None,
    ) -> None:
        self.dropped = 0
        self.starts = 0
        self.trouble = ""  # of the courier itself
        self._hello = hello
        self._now_secs = now_secs
        self._command = command or module_command(MODULE)
        self._before: dict[str, Delivery] = {}  # of couriers that have died
        self._told: dict[str, Delivery] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._partial = b""
        self._started = 0.0

    @property
    def deliveries(self) -> dict[str, Delivery]:
        found = {name: Delivery(endpoint=name) for name in self._hello.endpoints}
        for told in (self._before, self._told):
            for name, one in told.items():
                mine = found.setdefault(name, Delivery(endpoint=name))
                mine.sent += one.sent
                mine.failed += one.failed
                mine.lost += one.lost
                mine.waiting, mine.trouble = one.waiting, one.trouble
        return found

    def start(self) -> None:
        """Never raises: a run trades without its alerts, and says so."""
        self._started = self._now_secs()
        self.starts += 1
        try:
            self._process = process = subprocess.Popen(  # noqa: S603 - our own module
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,  # a Ctrl-C is the run's
            )
            assert process.stdin is not None
            assert process.stdout is not None
            os.set_blocking(process.stdout.fileno(), False)
            os.write(process.stdin.fileno(), _encode(self._hello) + b"\n")
            os.set_blocking(process.stdin.fileno(), False)
        except OSError as error:
            self.trouble = f"the courier of alerts can't be started: {error.strerror}"

    def send(self, message: Message) -> None:
        """From any thread."""
        self._write(line_of(message))

    def send_last(self, message: Message) -> None:
        """Of a process that ends at once, perhaps within a signal's handler: no lock is taken."""
        self._write(line_of(message, str), counts=False)
        self._write(_END, counts=False)

    def beat(self) -> None:
        """The loop turns."""
        self._write(_BEAT, counts=False)

    def stuck(self) -> None:
        """The loop does not turn; from any thread."""
        self._write(_STUCK)

    def _write(self, line: bytes, *, counts: bool = True) -> None:
        process = self._process
        is_written = False
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # full, or dead
                is_written = os.write(process.stdin.fileno(), line) == len(line)
        self.dropped += counts and not is_written

    def look(self) -> None:
        """Hear what the courier tells, and start one that has died again."""
        self._read()
        process = self._process
        if process is None or process.poll() is not None:
            if process is not None:
                self.trouble = f"the courier of alerts has died ({process.returncode})"
                self._bury(process)
            if self._now_secs() - self._started >= AGAIN_SECS:
                self.start()
        elif self._told:
            self.trouble = ""

    def _read(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        try:
            data = os.read(process.stdout.fileno(), READ_BYTES)
        except (OSError, ValueError):
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if (told := decoded(line, Delivery)) is not None:
                self._told[told.endpoint] = told

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        self._process = None
        self._before = self.deliveries
        self._told = {}
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def close(self, secs: float = END_SECS) -> None:
        """The run has ended, and has said so: wait a little for the courier. Never raises."""
        process = self._process
        if process is None:
            return
        self._write(_END, counts=False)
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(secs)
        self._read()
        self._bury(process)
        for one in self.deliveries.values():
            if one.trouble:
                logger.warning("ALERTS: %s: %s", one.endpoint, one.trouble)
