"""`fairlead config`: what a config file may hold."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer


def command(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a config file.")
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Explain one key or section, e.g. risk.price_collar_bps."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: the schema, or the text of one key.")
    ] = False,
) -> None:
    """List the config's keys; explain one (meaning, unit, default, limits); or print it all as JSON
    Schema.
    """
    from fairlead.engine.run import config as docs

    if schema and explain is not None:
        raise typer.BadParameter("expected one of --schema and --explain KEY")
    if as_json and explain is not None:
        text = msgspec.json.encode({"key": explain, "text": docs.explain(explain)})
        typer.echo(text.decode())
    elif schema or as_json:
        text = msgspec.json.encode(docs.json_schema())
        typer.echo(msgspec.json.format(text, indent=2).decode())
    else:
        typer.echo(docs.overview() if explain is None else docs.explain(explain))
