"""Writes down every credential and every signature that a Python process of the test suite has.

`tests/conftest.py` puts this folder on PYTHONPATH, so that each child process loads it at its start
and tells its own. What is written down is what no artefact of the suite may hold.

The returns of a few functions are watched (PEP 669); each other function is seen once and costs
nothing after that.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

FOLDER = "FAIRLEAD_TEST_CANARIES"  # environment variable: where to write them down
WATCHED = {
    ("engine/secrets.py", "Secret.reveal"),
    ("adapters/oceanex/signing.py", "Signer.token"),
    ("adapters/piexgo/signing.py", "sign"),
    ("adapters/poloniex/signing.py", "sign"),
    ("adapters/zerocap/signing.py", "signature"),
}
TEXT_CHARS_MAX = 16_384
TEXTS_MAX = 200_000  # of one process; reaching it fails the session
_TOOL = 3  # of sys.monitoring; 0 to 2 and 5 have names
_NAMES = {name for _, name in WATCHED}
_told: set[str] = set()
_muted = 0


@contextmanager
def muted() -> Iterator[None]:
    """Not what a fuzz makes up: it holds pieces of anything."""
    global _muted
    _muted += 1
    try:
        yield
    finally:
        _muted -= 1


def tell(text: str) -> None:
    """Append to this process' file; a process that is killed has told what it had until then."""
    if _muted or text in _told or len(text) > TEXT_CHARS_MAX or len(_told) >= TEXTS_MAX:
        return
    _told.add(text)
    path = os.path.join(os.environ[FOLDER], f"{os.getpid()}.jsonl")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, json.dumps(text).encode() + b"\n")
    finally:
        os.close(descriptor)


def _returned(code: CodeType, _: int, value: object) -> Any:
    if code.co_qualname in _NAMES:
        file = code.co_filename.replace(os.sep, "/")
        if any(file.endswith(end) and code.co_qualname == name for end, name in WATCHED):
            if isinstance(value, str):
                tell(value)
            return None
    return sys.monitoring.DISABLE


def watch() -> None:
    """Begin, once a process."""
    monitoring = sys.monitoring
    if monitoring.get_tool(_TOOL) is None:
        monitoring.use_tool_id(_TOOL, "canaries")
        monitoring.register_callback(_TOOL, monitoring.events.PY_RETURN, _returned)
        monitoring.set_events(_TOOL, monitoring.events.PY_RETURN)
        atexit.register(monitoring.set_events, _TOOL, 0)  # before the module's names are gone


if os.environ.get(FOLDER):
    watch()
