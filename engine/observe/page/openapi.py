"""The OpenAPI document of `/api/v1`, made of the shapes that are told."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.engine.observe.page import told

PREFIX = "/api/v1"
VERSION = "1.0.0"
_STREAM = f"""

`GET {PREFIX}/stream` is a WebSocket, which needs no header: a client's first message is its token,
`{{"token": "..."}}`; then it is told `{{"type": "whole", "changed": {{SECTION: {{KEY: ROW}}}}}}`,
and at most four times a second `{{"type": "change", "changed": ..., "gone": {{SECTION: [KEY]}}}}`.
A section is the last part of a path below, its rows have the same shapes. `{{"depth": INSTRUMENT}}`
asks for that book's levels beside it, in `depth`. Close codes: 4401 wrong token,
4408 none in time, 4503 too many.
"""
_REF = "#/components/schemas/{name}"
_PROBLEM = {
    "application/json": {"schema": {"$ref": _REF.format(name="Problem")}},
}
_REFUSALS = {
    "400": "a query parameter: there are none",
    "401": "the token is missing or wrong",
    "403": "of another origin, or without the second token",
    "404": "there is no such thing",
    "409": "nothing trades in this run",
    "413": "the body is too large",
    "415": "the body is not JSON",
    "422": "the body does not fit",
    "429": "too many requests",
    "500": "it could not be done",
}
_READ = ("400", "401", "403", "429", "500")
_DO = ("400", "401", "403", "404", "409", "413", "415", "422", "429", "500")

# Path: what it answers (a list of it: one tuple), in words, refusals beside those of every read.
_READS: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "status": (told.Status, "How the run is, and whether all is well", ()),
    "orders": (list[told.OrderTold], "Orders that are not over", ()),
    "positions": (
        list[told.PositionTold],
        "Positions as the engine, the journal and the venue see them",
        (),
    ),
    "fills": (list[told.FillTold], "The last executions, oldest first", ()),
    "books": (list[told.BookTold], "The state of each book, and its top", ()),
    "books/{instrument}": (told.Depth, "The levels of one book", ("404",)),
    "equity": (list[told.EquityTold], "What accounts were worth, by time", ()),
    "denials": (told.Denials, "What the gate refused", ()),
    "warnings": (list[told.Warned], "What an operator should know, newest first", ()),
    "runs": (list[told.RunTold], "Runs that are kept, newest first", ()),
}
_DOES: dict[str, tuple[Any, str]] = {
    "kill": (told.KillAsked, "Put a kill in force, as `fairlead kill` does"),
    "clear": (told.ClearAsked, "Clear a kill and halts, as `fairlead kill --clear` does"),
    "orders/{client_order_id}/cancel": (None, "Cancel one order"),
}


ABOUT = f"{told.__doc__ or ''}{_STREAM}"


def document(*, is_controlled: bool) -> dict[str, Any]:
    """`is_controlled`: with what the second token allows."""
    answers = [kind for kind, _, _ in _READS.values()]
    bodies = [kind for kind, _ in _DOES.values() if kind is not None]
    others = [told.Done, told.Ticket, told.Problem]
    kinds = [*answers, *bodies, *others]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    by_kind = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, Any] = {}
    for path, (kind, text, more) in _READS.items():
        paths[f"{PREFIX}/{path}"] = {
            "get": _operation(path, text, by_kind[id(kind)], (*_READ, *more))
        }
    paths[f"{PREFIX}/runs/{{id}}/ticket"] = {
        "post": _operation(
            "runs/{id}/ticket",
            "A path that opens the run's report, once",
            by_kind[id(told.Ticket)],
            (*_READ, "404"),
        )
    }
    for path, (kind, text) in _DOES.items() if is_controlled else ():
        refusals = _DO if kind is not None else (*_READ, "404")
        one = _operation(path, text, by_kind[id(told.Done)], refusals)
        one["security"] = [{"token": [], "control": []}]
        if kind is not None:
            one["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": by_kind[id(kind)]}},
            }
        paths[f"{PREFIX}/{path}"] = {"post": one}
    return {
        "openapi": "3.1.0",
        "info": {"title": "fairlead", "version": VERSION, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "control": {"type": "apiKey", "in": "header", "name": "Fairlead-Control"},
            },
        },
        "security": [{"token": []}],
    }


def _operation(
    path: str, text: str, schema: dict[str, Any], refusals: tuple[str, ...]
) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    answers: dict[str, Any] = {
        "200": {"description": text, "content": {"application/json": {"schema": schema}}}
    }
    for status in sorted(set(refusals)):
        answers[status] = {"description": _REFUSALS[status], "content": _PROBLEM}
    found: dict[str, Any] = {
        "operationId": path.replace("/", "_").replace("{", "").replace("}", ""),
        "summary": text,
        "responses": answers,
    }
    if names:
        found["parameters"] = [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": {"type": "string", "minLength": 1, "maxLength": 200},
            }
            for name in names
        ]
    return found
