"""The courier: a process beside the run that brings its messages to people, at its own pace.

It reads lines from the run (`fairlead.engine.observe.alerts.messages`), has a thread and a bounded
queue for each endpoint, and tells what became of them. It outlives the run by a few seconds: a run
that is gone without a word, killed or cut off, is told by the courier. Signals that end the run do
not end it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque

import msgspec

from fairlead.engine.config.endpoints import Endpoint, EndpointError
from fairlead.engine.observe.alerts.messages import Hello, Message, Word
from fairlead.engine.observe.deliveries import Delivery
from fairlead.engine.secrets import Secret

QUEUE_MAX = 100  # messages that wait for one endpoint
WAITS_SECS = (2.0, 10.0, 30.0, 60.0)  # between tries of one message; after the last it is lost
LATE_SECS = 60.0  # a try that takes longer is told as a failure while it lasts
END_SECS = 10.0  # after the run's end
END_WAIT_SECS = 1.0
LOOK_SECS = 1.0

_decode_word = msgspec.json.Decoder(Word).decode
_encode = msgspec.json.Encoder().encode


class Route:
    """One endpoint: its queue, and the thread that empties it."""

    def __init__(self, name: str, url: str, report: Reports) -> None:
        self.told = Delivery(endpoint=name)
        self._url = Secret(url, f"observe.alerts.endpoints.{name}")
        self._report = report
        self._waiting: deque[Message] = deque()
        self._changed = threading.Condition()
        self._is_busy = False
        self._began = 0.0  # of the try that is on its way
        self._is_ending = False
        self._is_late = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def put(self, message: Message) -> None:
        """Where it is full, the oldest that is not urgent goes, else the oldest."""
        with self._changed:
            if len(self._waiting) >= QUEUE_MAX:
                plain = (one for one in self._waiting if not one.is_urgent)
                self._waiting.remove(next(plain, self._waiting[0]))
                self.told.lost += 1
            self._waiting.append(message)
            self._changed.notify_all()

    def end(self) -> None:
        """Try what waits, soon."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()

    def is_empty(self) -> bool:
        with self._changed:
            return not self._waiting and not self._is_busy

    def look(self) -> None:
        """A try that does not come back is a failure, too."""
        with self._changed:
            late = self._began and time.monotonic() - self._began > LATE_SECS
            if late and not self._is_late:
                self._is_late = True
                self.told.failed += 1
                self.told.trouble = f"it has not answered for {LATE_SECS:.0f} s"
                self._tell()

    def _tell(self) -> None:
        self.told.waiting = len(self._waiting) + self._is_busy
        self._report(self.told)

    def _work(self) -> None:
        endpoint: Endpoint | None = None
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                message = self._waiting.popleft()
                self._is_busy = True
            try:
                endpoint = endpoint or Endpoint(self._url)
                is_taken = self._bring(endpoint, message)
            except EndpointError as error:
                is_taken = self._failed(f"expected {error}")
            with self._changed:
                self._is_busy = False
                self.told.lost += not is_taken
                self._tell()

    def _bring(self, endpoint: Endpoint, message: Message) -> bool:
        for wait_secs in (*WAITS_SECS, 0.0):
            with self._changed:
                self._began = time.monotonic()
            why = endpoint.deliver(message.title, message.body, message.kind)
            with self._changed:
                self._began, self._is_late = 0.0, False
                if not why:
                    self.told.sent += 1
                    self.told.trouble = ""
                    return True
                self._failed(why)
                if wait_secs:
                    self._changed.wait_for(lambda: self._is_ending, wait_secs)
            if self._is_ending and wait_secs:
                time.sleep(END_WAIT_SECS)
        return False

    def _failed(self, why: str) -> bool:
        with self._changed:
            self.told.failed += 1
            self.told.trouble = why
            self._tell()
        return False


class Reports:
    """Lines to the run. They hold sums, so that one that finds no room is no loss."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        os.set_blocking(fd, False)

    def __call__(self, told: Delivery) -> None:
        try:
            os.write(self._fd, _encode(told) + b"\n")
        except OSError:  # full, or the run is gone
            return


class Beats:
    """Whether the run's loop turns: it says so every second, once it has begun to. That it stands
    still the run's watch says, and its own silence where nothing of the process goes on."""

    def __init__(self, hello: Hello) -> None:
        self._hello = hello
        self._last = 0.0
        self._is_stuck = False
        self._lock = threading.Lock()  # it is looked at by one thread and heard by another

    def heard(self) -> Message | None:
        with self._lock:
            self._last = time.monotonic()
            was_stuck, self._is_stuck = self._is_stuck, False
        return self._hello.turned if was_stuck else None

    def look(self) -> Message | None:
        with self._lock:
            if not self._last or time.monotonic() - self._last < self._hello.stuck_secs:
                return None
            return self._once()

    def stuck(self) -> Message | None:
        """The run's watch says so."""
        with self._lock:
            return self._once()

    def _once(self) -> Message | None:
        was_stuck, self._is_stuck = self._is_stuck, True
        return None if was_stuck else self._hello.stuck


class Courier:
    """Of one run."""

    def __init__(self, hello: Hello, report: Reports) -> None:
        self._hello = hello
        self._beats = Beats(hello)
        self._has_ended = False
        self._routes = {name: Route(name, url, report) for name, url in hello.endpoints.items()}
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def read(self) -> None:
        """Until the run is gone."""
        for line in sys.stdin.buffer:
            try:
                word = _decode_word(line)
            except msgspec.MsgspecError:  # a run that was cut off within a line
                continue
            self._has_ended = self._has_ended or word.is_end
            if word.message is not None:
                self._put(word.message)
            elif word.is_stuck:
                self._put(self._beats.stuck())
            elif not word.is_end:
                self._put(self._beats.heard())
        if not self._has_ended:
            self._put(self._hello.orphan)

    def finish(self) -> None:
        """Bring what waits, within END_SECS."""
        self._has_ended = True
        until = time.monotonic() + END_SECS
        for route in self._routes.values():
            route.end()
        while time.monotonic() < until and not all(r.is_empty() for r in self._routes.values()):
            time.sleep(0.02)

    def _put(self, message: Message | None) -> None:
        for name in () if message is None else message.to:
            if message is not None and name in self._routes:
                self._routes[name].put(message)

    def _watch(self) -> None:
        while not self._has_ended:
            time.sleep(LOOK_SECS)
            for route in self._routes.values():
                route.look()
            if not self._has_ended:
                self._put(self._beats.look())


def main() -> None:
    """Ends at most END_SECS after the run, whatever an endpoint does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    hello = msgspec.json.decode(sys.stdin.buffer.readline(), type=Hello)
    courier = Courier(hello, Reports(sys.stdout.fileno()))
    courier.read()
    courier.finish()
    os._exit(0)


if __name__ == "__main__":
    main()
