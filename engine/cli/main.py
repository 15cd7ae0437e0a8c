"""The `fairlead` command's entry point."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; the entry point of the distribution.

    `fairlead kill` in its plain forms goes past the command line library, which needs longer to
    import than the kill needs to be in force.
    """
    if sys.argv[1:2] == ["kill"]:
        from engine.cli import kill_fast

        if (code := kill_fast.run(sys.argv[2:])) is not None:
            sys.exit(code)
    from engine.cli.app import app

    app(prog_name="fairlead")


if __name__ == "__main__":
    main()
