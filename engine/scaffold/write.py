"""Writes the beginnings: a distribution with a venue, a strategy with its config.

The code is that of this folder, which the project's own tests run, under another name.
"""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import msgspec

from fairlead.adapters import registry
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.sessions.scene import instrument_of

FOLDER = Path(__file__).parent
NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")
PORT = 8610
SETUPTOOLS = 77  # the major version that builds what is written (PYPROJECT)
START_NS = 1_767_225_600_000_000_000
ADDRESSES = {  # an option, and what the simulator calls it
    "http_url": ("rest",),
    "ws_url": ("ws", "public_ws"),
    "private_ws_url": ("private_ws",),
}

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "fairlead-toy"
version = "0.1.0"
dependencies = ["fairlead"]

[project.entry-points."fairlead.adapters"]
toy = "fairlead_toy.adapter:SPEC"

[project.entry-points."fairlead.simulators"]
toy = "fairlead_toy.simulator:create"

[tool.setuptools]
packages = ["fairlead_toy"]

[tool.ruff]
line-length = 100
"""

TEST = '''\
"""Toy keeps the contract of an adapter: every card of `fairlead conformance toy`."""

import subprocess
import sys


def test_every_card() -> None:
    command = [sys.executable, "-m", "fairlead.engine.cli.main", "conformance", "toy"]
    ended = subprocess.run([*command, "--seeds", "5"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
'''

CONFIG = """\
name = "{name}"

[venues.{venue}]
adapter = "{venue}"
instruments = ["{instrument}"]
{fees}
[venues.{venue}.options]                  # its simulator on loopback; take them out to trade there
{options}

[venues.{venue}.credentials]
{credentials}

[[strategies]]
id = "{title}-001"
path = "{name}:{title}"

[strategies.params]                       # the arguments of {title}Config
instrument_id = "{instrument}"
quantity = "{quantity}"

[risk]
max_order_notional = "1000 {quote}"
max_position = {{ "{instrument}" = "{most}" }}

[simulated]                               # of backtests and paper runs
balances = ["10000 {quote}"]
"""


def venue(name: str, folder: Path) -> list[Path]:
    """A distribution in a folder that is empty or new. Raises FairleadError."""
    _require_name(name)
    taken = name in registry.names() or name in registry.RESERVED
    if taken:
        raise _wrong(f"{name} is taken by an adapter that is there; choose another name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise _wrong(f"{folder} is there already; name a folder that is new, or empty")
    package = folder / f"fairlead_{name}"
    files = {
        folder / "pyproject.toml": PYPROJECT,
        folder / "tests" / "test_conformance.py": TEST,
    }
    for module in ("__init__", "adapter", "simulator"):
        files[package / f"{module}.py"] = _sorted((FOLDER / "toy" / f"{module}.py").read_text())
    return _write({path: _renamed(text, "toy", name) for path, text in files.items()})


def build_needs() -> list[str]:
    """What this environment lacks to build a distribution without a network, as commands."""
    try:
        has = int(version("setuptools").partition(".")[0]) >= SETUPTOOLS
    except (PackageNotFoundError, ValueError):
        has = False
    return [] if has else [f'pip install "setuptools>={SETUPTOOLS}"']


def strategy(name: str, folder: Path, venue_name: str) -> list[Path]:
    """A strategy and its config for a venue with a simulator. Raises FairleadError."""
    _require_name(name)
    if _is_module(name):
        raise _wrong(f"{name} is a module of Python's or of a package; choose another name")
    at = chosen(venue_name)
    code = _renamed(_sorted((FOLDER / "strategy.py").read_text()), "mine", name)
    config = _config(name, at)
    return _write({folder / f"{name}.py": code, folder / f"{name}.toml": config})


def chosen(venue_name: str) -> str:
    """The venue of this name, the first that has a simulator without one. Raises FairleadError."""
    known = registry.playable()
    found = venue_name or known[0]
    if found not in known:
        raise _wrong(f"no venue {found!r} with a simulator; known: {', '.join(known)}")
    return found


def _config(name: str, at: str) -> str:
    instrument, market = instrument_of(at)
    simulated = registry.simulator(at)(now_ns=START_NS, seed=1)
    spec = simulated.exchange.markets[market].spec
    price = simulated.exchange.markets[market].tape.last_price
    assert price is not None, "a simulated market begins with a price"
    step = spec.size_step
    quantity = max((100 / price / step).to_integral_value() * step, spec.min_quantity, step)
    loopback = f"127.0.0.1:{PORT}"
    described: Any = simulated.describe(f"http://{loopback}", f"ws://{loopback}")
    can = registry.spec(at).capabilities
    return CONFIG.format(
        name=name,
        title=_title(name),
        venue=at,
        instrument=instrument,
        quote=spec.quote,
        quantity=f"{quantity:f}",
        most=f"{quantity * 2:f}",
        options="\n".join(_options(at, described)),
        credentials="\n".join(f'{one} = "file:venue/{one}"' for one in described["credentials"]),
        fees="" if can.public_fees else 'fees = { maker = "0.001", taker = "0.001" }\n',
    )


def _options(at: str, described: Mapping[str, object]) -> list[str]:
    fields = {one.name for one in msgspec.structs.fields(registry.spec(at).options)}
    return [
        f'{option} = "{described[name]}"'
        for option, names in ADDRESSES.items()
        for name in names
        if option in fields and name in described
    ]


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise _wrong(f"expected a name of small letters, digits and _, received {name[:40]!r}")


def _is_module(name: str) -> bool:
    """Whether `import NAME` finds another than what is written: the config would load that."""
    return (
        name in sys.stdlib_module_names
        or name == __name__.partition(".")[0]
        or name in packages_distributions()
    )


def _sorted(code: str) -> str:
    """With the imports in a user's order: there, fairlead is a package as the others are."""
    lines = code.split("\n")
    at = next((n for n, line in enumerate(lines) if line.startswith("from fairlead import")), None)
    if at is None:
        return code
    ours = lines.pop(at)
    del lines[at - 1]  # the empty line before it
    later = [n for n, line in enumerate(lines[:at]) if line.startswith("from nautilus_trader")]
    lines.insert(later[0] if later else at - 1, ours)
    return "\n".join(lines)


def _title(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _renamed(text: str, old: str, new: str) -> str:
    """In small letters, as a class, and in capitals."""
    for pattern, word in (
        (old, new),
        (old.capitalize(), _title(new)),
        (old.upper(), new.upper()),
    ):
        text = re.sub(rf"(?<![A-Za-z]){pattern}(?=[^a-z]|$)", word, text)
    return text


def _write(files: Mapping[Path, str]) -> list[Path]:
    """All, or none where one is there. Raises FairleadError."""
    there = [path for path in files if path.exists()]
    if there:
        raise _wrong(f"{there[0]} is there already; nothing was written")
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    except OSError as error:
        raise FairleadError(
            "OUT-UNWRITABLE", f"{error.filename}: {error.strerror}", Exit.USAGE
        ) from error
    return list(files)


def _wrong(text: str) -> FairleadError:
    return FairleadError("E-NEW", text, Exit.USAGE)
