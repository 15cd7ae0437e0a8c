"""Credentials and venues: whether keys can be read and are taken, and how far clocks are off."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator, Mapping

from fairlead.adapters.base.aiohttp_transport import AiohttpWsTransport
from fairlead.adapters.base.transport import NO_HEADERS, TransportError
from fairlead.adapters.base.venue import (
    Adapter,
    SignedHandshake,
    StreamProtocol,
    VenueError,
    VenueErrorKind,
)
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.orders.model import VenueUnavailable
from fairlead.engine.run.health.found import Check, Trouble, check
from fairlead.engine.run.native.found import PREFIX
from fairlead.engine.run.reach import PlainReach
from fairlead.engine.secrets import Secret, SecretError, read_credentials, redact

ASK_SECS = 20.0
KEY_STATUSES = frozenset({401, 403})  # of a handshake with the key in it
Secrets = dict[str, dict[str, Secret]]


def keys(loaded: LoadedConfig) -> tuple[list[Check], Secrets]:
    """A look at each credential's source; and what could be read, by venue, where it is whole."""
    checks, whole = [], {}
    for key in loaded.traded:
        wanted = loaded.specs[key].credentials
        named = loaded.config.venues[key].credentials
        found, failed = read_credentials(named, wanted, loaded.path.parent)
        troubles = [_secret(key, name, named, error) for name, error in failed.items()]
        checks.append(check(f"keys of {key}", f"{len(found)} read", troubles))
        if not failed:
            whole[key] = found
    return checks, whole


def _secret(key: str, name: str, named: Mapping[str, str], error: SecretError) -> Trouble:
    source = named.get(name, "")
    file = shlex.quote(source.removeprefix("file:").removeprefix("env:"))
    remedies = {
        "E-CFG-042": f'name it in [venues.{key}.credentials]: {name} = "file:PATH"',
        "E-SEC-001": "put it into a file of mode 0600, and name that as file:PATH",
        "E-SEC-002": f"export {file} before the start, or name a file",
        "E-SEC-003": f"put the credential into {file}",
        "E-SEC-004": f"put the credential into {file}, mode 0600, beside the config",
        "E-SEC-005": "name a file of its own",
        "E-SEC-006": f"chmod 600 {file} (relative to the config's folder)",
        "E-SEC-007": "put the credential, and nothing else, into that file: one line of text",
        "E-SEC-008": f"put the venue's private key, as PEM, whole, into {file}",
        "E-SEC-009": f"openssl pkey -in {file} -out {file}.plain, chmod 600 it, and name that",
        "E-SEC-010": f"put the private key into {file}, not the public one",
    }
    return Trouble(
        code=error.code,
        text=f"{key} {name}: {error.message}",
        remedy=remedies.get(error.code, "see what the text says"),
        level="look" if error.code == "E-CFG-042" else "bad",
        exit_code=int(Exit.VENUE),
    )


def look(loaded: LoadedConfig, secrets: Secrets) -> Iterator[Check]:
    """Each venue of the config, asked: its markets, its clock, its streams, and with whole keys
    its balances.
    """
    for key, spec in loaded.specs.items():
        if loaded.config.venues[key].adapter.startswith(PREFIX):
            yield check(f"venue {key}", "NautilusTrader's own adapter: only a run asks it")
            continue
        is_keyed = bool(spec.credentials) and key in secrets
        if spec.keyed_data and not is_keyed:
            yield check(f"venue {key}", "not asked: it needs the keys")
            continue
        seen, troubles = asyncio.run(_ask(loaded, key, secrets.get(key, {}), is_keyed=is_keyed))
        yield check(f"venue {key}", seen, troubles)


async def _ask(
    loaded: LoadedConfig, key: str, secrets: Mapping[str, Secret], *, is_keyed: bool
) -> tuple[str, list[Trouble]]:
    try:
        reached = PlainReach(loaded, key, secrets)
    except (FairleadError, VenueError) as error:
        return "not asked", [_refused(key, error.code, error.message)]
    seen: list[str] = []
    troubles: list[Trouble] = []
    try:
        async with asyncio.timeout(ASK_SECS):
            await reached.connect()
            seen.append(f"{len(reached.adapter.instruments)} instruments")
            await reached.adapter.measure_clock()
            troubles += _clock(loaded, key, reached.adapter.clock_offset_ms, seen)
            if is_keyed:
                await reached.orders.balances()
                seen.append("the key is taken")
            troubles += await _streams(reached.adapter, key, seen, is_keyed=is_keyed)
    except TimeoutError:
        troubles.append(_away(key, "TIMED-OUT", f"no whole answer in {ASK_SECS:g} s"))
    except VenueUnavailable as error:
        of = _refused if error.is_auth else _away
        troubles.append(of(key, error.code, error.message))
    except VenueError as error:
        of = _refused if error.kind is VenueErrorKind.AUTH else _away
        troubles.append(of(key, error.code, error.told))
    finally:
        await reached.close()
    return ", ".join(seen), troubles


async def _streams(adapter: Adapter, key: str, seen: list[str], *, is_keyed: bool) -> list[Trouble]:
    """Whether a run could open them; each is opened, and closed again. Raises VenueError."""
    asked: dict[str, StreamProtocol] = {"public": adapter.market_data.public_stream()}
    if is_keyed and (private := adapter.private_stream()) is not None:
        asked["private"] = private
    transport = AiohttpWsTransport()
    troubles = []
    try:
        for name, protocol in asked.items():
            if not protocol.url:  # the venue has none
                continue
            headers = protocol.handshake() if isinstance(protocol, SignedHandshake) else NO_HEADERS
            try:
                await (await transport.connect(protocol.url, headers)).close()
            except TransportError as error:
                is_refused = bool(headers) and error.status in KEY_STATUSES
                of = _refused if is_refused else _away
                troubles.append(of(key, error.code, f"its {name} stream: {error.message}"))
            else:
                seen.append(f"{name} stream open")
    finally:
        await transport.close()
    return troubles


def _clock(
    loaded: LoadedConfig, key: str, offset_ms: float | None, seen: list[str]
) -> list[Trouble]:
    limit_ms = loaded.config.risk.max_clock_offset_ms
    if offset_ms is None:
        return []
    seen.append(f"clock {offset_ms:+.0f} ms of {limit_ms}")
    if abs(offset_ms) <= limit_ms:
        return []
    return [
        Trouble(
            code="CLOCK",
            text=f"{key}'s clock is {offset_ms:+.0f} ms off this machine's, risk."
            f"max_clock_offset_ms allows {limit_ms}: no order is created",
            remedy="set this machine's clock (NTP: timedatectl set-ntp true)",
            exit_code=int(Exit.VENUE),
        )
    ]


def _away(key: str, code: str, text: str) -> Trouble:
    return Trouble(
        code=code,
        text=redact(f"{key} does not answer as it should: {text}"),
        remedy=f"look at the network, the venue's status page, and the addresses in "
        f"[venues.{key}.options]",
        exit_code=int(Exit.VENUE),
    )


def _refused(key: str, code: str, text: str) -> Trouble:
    return Trouble(
        code=code,
        text=redact(f"{key} refuses the key: {text}"),
        remedy="make a new key at the venue, with the right to trade and this machine's address "
        f"allowed, and name it in [venues.{key}.credentials]",
        exit_code=int(Exit.VENUE),
    )
