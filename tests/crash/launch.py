"""Run the fairlead command in a process that can die at one step of the order path.

python -m tests.crash.launch '{"arguments": ["live", CONFIG], "trail": ..., "role": ..., ...}'
python -m tests.crash.launch --fork

With `--fork` every line of stdin is such a request: each runs in a process forked from this one,
which has only imported the command (two thirds of a start's time) and started nothing. Answers are
two lines, the process's id and, once it has ended, its exit code, negative for a signal.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

import msgspec

from fairlead.adapters import registry
from fairlead.engine.cli.main import main
from fairlead.engine.simulate.plan import Death
from tests.crash import seam

PRELOADED = (
    "fairlead.engine.cli.node",
    "fairlead.engine.run.node",
    "fairlead.engine.run.summary",
    "fairlead.engine.config.resolved",
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A command's arguments. `trail` is the file that gets the steps: none, and nothing is wrapped.

    `point` empty is a dry run. `log` takes both outputs of a forked process.
    """

    arguments: list[str]
    trail: str = ""
    role: seam.Role = "script"
    point: str = ""
    number: int = 0
    log: str = ""


def run(request: Request) -> None:
    if request.trail:
        death = Death(request.point, request.number) if request.point else None
        seam.install(seam.Trail(Path(request.trail), request.role, death))
    sys.argv = ["fairlead", *request.arguments]
    main()


def serve() -> None:
    """Raises RuntimeError where an import has started a thread: a fork would lose it."""
    for name in PRELOADED:
        import_module(name)
    for name in registry.names():
        registry.spec(name)
    import_module("tests.crash.script")
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("more than one thread before a fork")
    for line in sys.stdin:
        request = msgspec.json.decode(line, type=Request)
        pid = os.fork()
        if pid == 0:
            _child(request)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _child(request: Request) -> None:
    """Never returns."""
    log = os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, theirs in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(ours, theirs)
    code: object = 1
    try:
        run(request)
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    if sys.argv[1] == "--fork":
        serve()
    else:
        run(msgspec.json.decode(sys.argv[1], type=Request))
