"""What a run needs to know of its venues before it connects: their adapters, their credentials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from adapters import registry
from adapters.base.venue import AdapterSpec
from engine.config.loaded import LoadedConfig
from engine.errors import Exit, FairleadError
from engine.secrets import Secret, read_credentials


def venue_specs(loaded: LoadedConfig, mode: str) -> dict[str, AdapterSpec]:
    """The adapter of each venue. Raises FairleadError for one that is only a recording."""
    specs = {}
    for key, venue in loaded.config.venues.items():
        if venue.adapter == "recorded":
            raise FairleadError(
                "VENUE-RECORDED",
                f"venue {key} exists only as a recording; expected an adapter "
                f"({', '.join(registry.names())}) to run {mode}",
                Exit.CONFIG,
            )
        specs[key] = registry.spec(venue.adapter)
    return specs


def venue_secrets(
    loaded: LoadedConfig, specs: Mapping[str, AdapterSpec], names: Iterable[str]
) -> dict[str, Mapping[str, Secret]]:
    """Credentials of the venues in `names`, none of the others. Raises FairleadError."""
    secrets: dict[str, Mapping[str, Secret]] = {key: {} for key in specs}
    for key in names:
        references = loaded.config.venues[key].credentials
        secrets[key], failed = read_credentials(
            references, specs[key].credentials, loaded.path.parent
        )
        for error in failed.values():
            raise error
    return secrets
