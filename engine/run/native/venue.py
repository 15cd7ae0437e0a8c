"""A venue of the config that NautilusTrader's own clients have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import closing
from functools import partial

from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournaledOrder
from fairlead.engine.run.kernel import node_config
from fairlead.engine.run.modes import NodeMode
from fairlead.engine.run.native.adapter import NativeAdapter, NativeSpec
from fairlead.engine.run.native.clients import Clients
from fairlead.engine.run.native.look import Seen, may_have_moved
from fairlead.engine.run.takeover import held_beyond
from fairlead.engine.secrets import Secret


def native_of(
    loaded: LoadedConfig, key: str, secrets: Mapping[str, Secret], mode: NodeMode
) -> NativeAdapter | None:
    """The venue `key` as NautilusTrader's own clients have it; None: an adapter of ours has."""
    spec, venue = loaded.specs[key], loaded.config.venues[key]
    if not isinstance(spec, NativeSpec):
        return None
    held = _held(loaded, key, venue.instruments) if mode == "live" else []
    names = [*venue.instruments, *held]
    clients = Clients(
        spec.builtin,
        venue=key.upper(),
        account=venue.account,
        options=loaded.options[key],
        secrets=secrets,
        instruments=names,
    )

    def lost() -> list[JournaledOrder]:
        path = account_files(loaded, key).journal
        if not path.exists():
            return []
        with closing(Journal.reading(path)) as journal:
            return journal.open_orders()

    def moved(seen: Seen) -> bool:
        path = account_files(loaded, key).journal
        if venue.account_type != "margin" or not path.exists():
            return False  # such an account tells no positions
        with closing(Journal.reading(path)) as journal:
            return may_have_moved(seen, journal)

    config = partial(node_config, loaded, mode, None)
    return NativeAdapter(clients, config, names, lost, moved)


def _held(loaded: LoadedConfig, key: str, named: Collection[str]) -> list[str]:
    """Instruments that the journal holds and the config names no more: a live run counts them."""
    path = account_files(loaded, key).journal
    if not path.exists():
        return []
    with closing(Journal.reading(path)) as journal:
        return [one.instrument for one in held_beyond(journal, named)]
