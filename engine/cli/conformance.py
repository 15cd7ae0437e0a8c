"""`fairlead conformance`: the cards that every adapter must pass, on its own simulated venue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.errors import Exit

if TYPE_CHECKING:
    from fairlead.engine.conformance.verdict import Verdict


def command(
    name: Annotated[str, typer.Argument(help="Adapter with a simulator, of any package")],
    cards: Annotated[
        str, typer.Option("--cards", help="Names or groups with commas between; empty: all")
    ] = "",
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, max=1_000_000, help="Sessions of the last card")
    ] = 200,
    trace: Annotated[bool, typer.Option("--trace", help="Tell every event of one card")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Play the cards on an adapter: orders, data, restart, limits, secrets, parsers, sessions.

    The real adapter trades with its own simulator through the real order desk, gate and journal,
    on a clock that jumps. A card that the adapter's capabilities rule out is "not offered", with
    the reason. Exit code 15 if a card failed.
    """
    from fairlead.engine.conformance.run import chosen, play_all, require_venue

    require_venue(name)
    picked = chosen([one.strip() for one in cards.split(",") if one.strip()])
    if trace and len(picked) != 1:
        raise typer.BadParameter("--trace takes one card; name it with --cards")
    verdicts = []
    for verdict in play_all(name, picked, seeds=seeds, emit=typer.echo if trace else None):
        verdicts.append(verdict)
        if not as_json:
            _tell(verdict)
    failed = [one for one in verdicts if one.is_failed]
    if as_json:
        import msgspec

        told = {"venue": name, "cards": verdicts, "failed": len(failed)}
        typer.echo(msgspec.json.encode(told).decode())
    else:
        typer.echo(_sum(name, verdicts))
    raise typer.Exit(int(Exit.NOT_CONFORMING if failed else Exit.OK))


def _tell(verdict: Verdict) -> None:
    """A row as soon as it is known: some cards take a while."""
    import textwrap

    from fairlead.engine.cli.out import WIDE

    head = f"{verdict.card:<24} {verdict.result.value:<12} "
    seen = f"{verdict.seen} (asked: {verdict.asks})" if verdict.is_failed else verdict.seen
    lines = textwrap.wrap(seen, WIDE - len(head)) or [""]
    typer.echo(head + f"\n{' ' * len(head)}".join(lines))


def _sum(name: str, verdicts: list[Verdict]) -> str:
    from collections import Counter

    count = Counter(one.result.value for one in verdicts)
    text = ", ".join(f"{number} {result}" for result, number in sorted(count.items()))
    return f"{name}: {len(verdicts)} cards, {text}"
