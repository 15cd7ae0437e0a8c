"""What the folder's page says of options and files is so."""

from __future__ import annotations

import re

import msgspec

from fairlead.adapters.mudawyl.config import MudawylOptions
from fairlead.adapters.mudawyl.simulator_markets import MudawylSimOptions
from tests.support.processes import ROOT

FOLDER = ROOT / "adapters" / "mudawyl"
PAGE = (FOLDER / "README.md").read_text()


def rows_of(head: str) -> list[str]:
    table = PAGE.partition(head)[2].partition("\n\n")[0]
    cells = " ".join(re.findall(r"^\| (`[^|]*)\|", table, re.M))
    return re.findall(r"`(\w+)`", cells)


def test_every_option_has_a_row_and_no_row_is_of_an_option_that_is_gone() -> None:
    names = [field.name for field in msgspec.structs.fields(MudawylOptions)]
    assert sorted(rows_of("| option | default |")) == sorted(names)


def test_the_options_of_the_simulated_gateway_are_there() -> None:
    names = {field.name for field in msgspec.structs.fields(MudawylSimOptions)}
    told = rows_of("| option | what it is |")
    assert told
    assert set(told) <= names


def test_every_file_is_named() -> None:
    files = {path.name for path in FOLDER.glob("*.py")}
    named = set(re.findall(r"`(\w+\.py)`", PAGE)) | {"__init__.py"}
    assert {name for name in files if not name.startswith("simulator")} <= named
