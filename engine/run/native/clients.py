"""The clients of one of NautilusTrader's own adapters, made from a venue's table of the config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from nautilus_trader.model import AccountId

from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.engine.run.native.found import Builtin, Half
from fairlead.engine.run.native.options import made
from fairlead.engine.secrets import Secret


class Clients:
    """Adds them to a node's builder. Secrets go to the compiled config objects, which show none."""

    def __init__(
        self,
        builtin: Builtin,
        *,
        venue: str,
        account: str,
        options: Any,
        secrets: Mapping[str, Secret],
        instruments: Sequence[str],
    ) -> None:
        self.builtin = builtin
        self.venue = venue
        self.account_id = f"{venue}-{account}"
        self.options = options
        self._secrets = secrets
        self._instruments = tuple(instruments)

    def add_data(self, builder: Any) -> Any:
        """Raises VenueError where the adapter refuses its config."""
        half = self.builtin.data
        if half is None:
            raise self._lacks("market data")
        return builder.add_data_client(None, self._factory(half), self._config(half))

    def add_execution(self, builder: Any) -> Any:
        """Raises VenueError where the adapter refuses its config, or has no execution."""
        half = self.builtin.execution
        if half is None:
            raise self._lacks("execution")
        return builder.add_exec_client(None, self._factory(half), self._config(half))

    def addresses(self) -> Iterator[tuple[str, str]]:
        """Secrets that may be addresses, by name: to reach, and not to show."""
        return ((name, one.reveal()) for name, one in self._secrets.items() if "url" in name)

    def _factory(self, half: Half) -> Any:
        return getattr(import_module(self.builtin.module), half.factory)()

    def _config(self, half: Half) -> Any:
        given: dict[str, Any] = {name: one.reveal() for name, one in self._secrets.items()}
        given["account_id"] = AccountId(self.account_id)
        try:
            return made(self.builtin, half.config, self.options, given, self._instruments)
        except Exception as error:  # whatever the class refuses; of a secret it may show the value
            text = str(error)
            for secret in self._secrets.values():
                text = text.replace(secret.reveal(), "(not shown)")
            raise VenueError(
                VenueErrorKind.REFUSED,
                f"{self.venue}-CONFIG",
                f"{half.config} of {self.builtin.module} refuses its options: "
                f"{type(error).__name__}: {text}",
                is_sent=False,
            ) from None

    def _lacks(self, what: str) -> VenueError:
        return VenueError(
            VenueErrorKind.REFUSED,
            f"{self.venue}-LACKS",
            f"{self.builtin.module} has no {what}",
            is_sent=False,
        )
