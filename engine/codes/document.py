"""docs/error-codes.md, made of the tables of codes and of the exit codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fairlead.engine.codes.asked import ASKED
from fairlead.engine.codes.code import Code
from fairlead.engine.codes.commands import COMMANDS
from fairlead.engine.codes.config import CODES
from fairlead.engine.codes.running import RUNNING
from fairlead.engine.errors import MEANING, Exit

PARTS: Mapping[str, Mapping[str, Code]] = {
    "Config and credentials": CODES,
    "Commands, data, research": COMMANDS,
    "A run that trades": RUNNING,
    "What a second shell is told": ASKED,
}
HEAD = """# Every error code, and what to do

An error, a warning or a finding begins with its code, which never changes its meaning: `CODE: what
was expected, what came, what to do`. The line has the details of the case; this page has what holds
in each. What is not here:

- codes in capitals with `_`, as `PRICE_COLLAR`: the risk gate's refusals, [risk.md](risk.md);
- codes that begin with a venue's name, as `VENUE-HTTP-429`: what that venue answered, in the README
  of its adapter. Of an order it is a refusal that is final; where a create's outcome is not proven
  the order is UNKNOWN, and looked for;
- what the page says in its red or yellow field: [operate.md](operate.md)."""


def page() -> str:
    """The whole of it, as Markdown."""
    parts = [HEAD]
    for title, codes in PARTS.items():
        parts += [f"## {title}", "\n".join(_table(codes))]
    parts += ["## Exit codes of a process", "\n".join(_exits())]
    return "\n\n".join(parts) + "\n"


def _table(codes: Mapping[str, Code]) -> Iterator[str]:
    yield "| code | it means | do |"
    yield "|---|---|---|"
    for name, code in sorted(codes.items()):
        yield f"| `{name}` | {code.means} | {code.do} |"


def _exits() -> Iterator[str]:
    yield "| exit code | it means |"
    yield "|---|---|"
    for code in Exit:
        yield f"| {code.value} | {MEANING[code]} |"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
