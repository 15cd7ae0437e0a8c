"""Run the fairlead command in a process that can die at one step of the order path.

python -m tests.crash.launch '{"arguments": ["live", CONFIG], "trail": ..., "role": ..., ...}'
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from fairlead.engine.cli import main as command
from fairlead.engine.sessions.plan import Death
from tests.crash import seam
from tests.support.bare import lay_bare


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A command's arguments. `trail` is the file that gets the steps: none, and nothing is wrapped.

    `point` empty is a dry run. `log` takes both outputs.
    """

    arguments: list[str]
    trail: str = ""
    role: seam.Role = "script"
    point: str = ""
    number: int = 0
    log: str = ""
    bare: str = ""  # the venue that has no stops in this life


def run(request: Request) -> None:
    if request.bare:
        lay_bare(request.bare)
    if request.trail:
        death = Death(request.point, request.number) if request.point else None
        seam.install(seam.Trail(Path(request.trail), request.role, death))
    sys.argv = ["fairlead", *request.arguments]
    command.main()


def main() -> None:
    run(msgspec.json.decode(sys.argv[1], type=Request))


if __name__ == "__main__":
    main()
