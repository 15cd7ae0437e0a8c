"""Commands in processes forked from one that has imported them: two thirds of a start's time.

python -m tests.support.forks SOCKET

The server listens on the Unix socket until its stdin ends. Each connection is one process: a line
of JSON (`Request`) comes with three descriptors, its stdin, stdout and stderr; two lines go back,
the process's id, and its exit code once it has ended, negative for a signal.
"""

from __future__ import annotations

import array
import contextlib
import gc
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import msgspec

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "fairlead.engine.cli.main:main"
PRELOADED = (
    "fairlead.engine.cli.node",
    "fairlead.engine.cli.backtest",
    "fairlead.engine.cli.venue",
    "fairlead.engine.run.node",
    "fairlead.engine.run.backtest",
    "fairlead.engine.run.summary",
    "fairlead.engine.config.resolved",
    "fairlead.adapters.simulation.server",
)
LOOK_SECS = 0.01
BACKLOG = 64


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """`program` is a `module:function` that takes `arguments` from sys.argv."""

    program: str
    arguments: list[str]
    environment: dict[str, str]
    cwd: str


class Process:
    """One forked process, with what a test needs of `subprocess.Popen`."""

    def __init__(self, told: socket.socket, arguments: list[str], stdout: IO[str] | None) -> None:
        self.args = arguments
        self.stdout = stdout
        self.returncode: int | None = None
        self._told = told
        self.pid = int(self._line())

    def poll(self) -> int | None:
        if self.returncode is None and _readable(self._told, 0):
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not _readable(self._told, timeout):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        self.returncode = int(self._line())
        self._told.close()

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            byte = self._told.recv(1)
            assert byte, "the process that forks has ended"
            line += byte
        return line


class Forks:
    """The server, and what asks it. It ends with this process, what it forked does not."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "forks"
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forks", str(self._path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": _paths(os.environ)},
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline(), "the process that forks did not start"

    def start(
        self,
        arguments: list[str],
        *,
        stdout: int | IO[Any],
        stderr: int | IO[Any] = subprocess.STDOUT,
        program: str = COMMAND,
        environment: dict[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> Process:
        """A process whose stdin has ended. `subprocess.PIPE` is known for stdout only."""
        pipe: IO[str] | None = None
        with open(os.devnull, "rb") as nothing:
            out = stdout if isinstance(stdout, int) else stdout.fileno()
            if out == subprocess.PIPE:
                ours, out = os.pipe()
                pipe = os.fdopen(ours, encoding="utf-8", errors="replace")
            err = stderr if isinstance(stderr, int) else stderr.fileno()
            err = out if err == subprocess.STDOUT else err
            request = Request(
                program=program,
                arguments=arguments,
                environment=environment or dict(os.environ),
                cwd=str(cwd),
            )
            told = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            told.connect(str(self._path))
            _send(told, request, [nothing.fileno(), out, err])
            process = Process(told, arguments, pipe)
        if pipe is not None:
            os.close(out)
        return process


def _paths(environment: Any) -> str:
    return os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH", "")]))


def _readable(one: socket.socket, timeout: float | None) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ)
        return bool(selector.select(timeout))


def _send(told: socket.socket, request: Request, descriptors: list[int]) -> None:
    body = msgspec.json.encode(request) + b"\n"
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    sent = told.sendmsg([body], rights)
    told.sendall(body[sent:])


def _received(told: socket.socket) -> tuple[Request, list[int]] | None:
    """None of a connection that ended before it had asked for anything."""
    body, descriptors, _, _ = socket.recv_fds(told, 1 << 16, 3)
    while not body.endswith(b"\n"):
        more = told.recv(1 << 16)
        if not more:
            return None
        body += more
    return msgspec.json.decode(body, type=Request), descriptors


def serve(path: str) -> Request | None:
    """The request, in each process forked for one; None when the server is over.

    Raises RuntimeError where an import has started a thread: a fork would lose it.
    """
    from fairlead.adapters import registry

    for name in PRELOADED:
        import_module(name)
    for name in registry.names():
        registry.spec(name)
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("more than one thread before a fork")
    gc.collect()
    gc.freeze()  # else every collection of a child copies what it shares
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a keyboard's goes to the tests, which end it
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(path)
    listening.listen(BACKLOG)
    print("listening", flush=True)
    living: dict[int, socket.socket] = {}
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
    while True:
        for key, _ in selector.select(LOOK_SECS if living else None):
            if key.fileobj is not listening:
                return None
            told, _ = listening.accept()
            asked = _received(told)
            if asked is None:
                told.close()
                continue
            request, descriptors = asked
            pid = os.fork()
            if pid == 0:
                for ours in (selector, listening, told, *living.values()):
                    ours.close()
                _become(request, descriptors)
                return request
            for one in descriptors:
                os.close(one)
            told.sendall(f"{pid}\n".encode())
            living[pid] = told
        _tell_the_ended(living)


def _tell_the_ended(living: dict[int, socket.socket]) -> None:
    for pid in list(living):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            told = living.pop(pid)
            with contextlib.suppress(OSError):  # who asked for it has gone
                told.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            told.close()


def _become(request: Request, descriptors: list[int]) -> None:
    """This process, forked, as if it had been started for the request."""
    for ours, theirs in zip(descriptors, range(3), strict=True):
        os.dup2(ours, theirs)
        os.close(ours)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request.environment)
    if hasattr(time, "tzset"):
        time.tzset()
    os.chdir(request.cwd)
    sys.argv = ["fairlead", *request.arguments]


def main() -> None:
    request = serve(sys.argv[1])
    if request is not None:
        module, _, function = request.program.partition(":")
        getattr(import_module(module), function)()


if __name__ == "__main__":
    main()
