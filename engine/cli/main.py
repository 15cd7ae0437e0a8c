"""The `fairlead` command's entry point."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; the entry point of the distribution."""
    try:
        from fairlead.engine.cli import process

        process.begin()
    except KeyboardInterrupt:  # before there is anything to end in order
        sys.exit(130)
    try:
        code = _run()
    except SystemExit as end:
        code = process.interrupted() if process.is_interrupt(end.code) else end.code
    except KeyboardInterrupt:
        code = process.interrupted()
    sys.exit(process.finish(code if isinstance(code, int) else int(code is not None)))


def _run() -> int | str | None:
    """`fairlead kill` in its plain forms goes past the command line library, which needs longer to
    import than the kill needs to be in force.
    """
    if sys.argv[1:2] == ["kill"]:
        from fairlead.engine.cli import kill_fast

        if (code := kill_fast.run(sys.argv[2:])) is not None:
            return code
    from fairlead.engine.cli.app import app

    app(prog_name="fairlead")
    return None


if __name__ == "__main__":
    main()
