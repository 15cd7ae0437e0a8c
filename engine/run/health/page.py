"""The page: whether its address is free, its tokens are private, and the run behind it answers."""

from __future__ import annotations

import errno
import shlex
import socket
from collections.abc import Iterator

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.observe.page.access import CONTROL_FILE, LOOK_FILE, token_of
from fairlead.engine.observe.page.client import Asked
from fairlead.engine.observe.page.told import Status
from fairlead.engine.run.health.found import Check, Trouble, check
from fairlead.engine.run.up import Up


def look(loaded: LoadedConfig, up: Up) -> Iterator[Check]:
    page = loaded.config.observe.page
    if page is None:
        return
    yield check("page's tokens", f"in {loaded.state_dir}", _tokens(loaded))
    if up.address:
        yield check("page", f"process {up.pid} serves {up.address}", _answer(loaded, up))
    else:
        yield check("page", f"{page} is not served now", _address(page))


def _tokens(loaded: LoadedConfig) -> Iterator[Trouble]:
    for name in (LOOK_FILE, CONTROL_FILE):
        path = loaded.state_dir / name
        if not path.exists():
            continue
        try:
            token_of(path)
        except FairleadError as error:
            remedy = f"rm {shlex.quote(str(path))}: the next start makes a new one"
            yield Trouble(code=error.code, text=error.message, remedy=remedy)


def _answer(loaded: LoadedConfig, up: Up) -> Iterator[Trouble]:
    try:
        Asked(up.address, loaded.state_dir).get("status", Status)
    except FairleadError as error:
        yield Trouble(
            code=error.code,
            text=error.message,
            remedy=f"`fairlead kill all --config CONFIG` works all the same; then kill -9 {up.pid}",
            exit_code=int(Exit.TIMED_OUT),
        )


def _address(page: str) -> Iterator[Trouble]:
    """Bound for a moment, as a run would bind it."""
    host, _, port = page.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
            probe.listen(1)
        except OSError as error:
            is_taken = error.errno == errno.EADDRINUSE
            yield Trouble(
                code="PAGE-PORT",
                text=f"observe.page = {page!r}: {error.strerror}; a run would trade without its "
                "page",
                remedy=f"end what has it (ss -ltnp 'sport = :{port}'), or name another port"
                if is_taken
                else "name an address of this machine in observe.page: 127.0.0.1:PORT",
            )
