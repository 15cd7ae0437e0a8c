"""An address without its scheme, or with a mistyped one, stops a config at its line."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path

import msgspec
import pytest

from fairlead.adapters import registry
from fairlead.adapters.base.aiohttp_transport import AiohttpTransport, AiohttpWsTransport
from fairlead.adapters.base.plain_transport import PlainTransport
from fairlead.adapters.base.transport import HttpRequest, TransportError
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.run.config import load

ROOT = Path(__file__).resolve().parents[2]
HTTP, WS = "a URL that begins with https:// or http://", "a URL that begins with wss:// or ws://"
CONFIG = """
name = "addresses"
[venues.one]
adapter = "{adapter}"
instruments = ["BTC_USDT.ONE"]
[venues.one.options]
{option} = "{value}"
"""
# What was written, and what is proposed for it; {s} is the scheme without an s at its end.
WRONG = (
    ("127.0.0.1:8847", "{s}://127.0.0.1:8847"),
    ("localhost:8847/v1", "{s}://localhost:8847/v1"),
    ("api.venue.com/v1", "{s}s://api.venue.com/v1"),
    ("htp://api.venue.com", "{s}s://api.venue.com"),
    ("//api.venue.com", "{s}s://api.venue.com"),
    ("https//api.venue.com", "{s}s://api.venue.com"),
    ("HTTP://127.0.0.1:1", "{s}://127.0.0.1:1"),
    ("ftp://api.venue.com", "{s}s://api.venue.com"),
    ("{s}s://api.venue.com ", "{s}s://api.venue.com"),
    ("{s}s://", ""),
    ("{s}s:///v1", ""),
    ("{s}://127.0.0.1:99999", ""),
    ("{s}://127.0.0.1:0", ""),
    ("{s}://127.0.0.1:x", ""),
    ("{s}s://some one.com", ""),
    ("{s}s://user:word@venue.com", ""),
    ("{s}s://venue.com/v1#part", ""),
    ("", ""),
)


def kinds() -> list[tuple[type, str, str]]:
    """Options, name and scheme of every option that is an address, offered or not yet."""
    files = sorted((ROOT / "adapters").glob("*/config.py"))
    modules = [
        importlib.import_module(f"fairlead.adapters.{file.parent.name}.config") for file in files
    ]
    return [
        (kind, field.name, "ws" if "ws" in field.name else "http")
        for module in modules
        for name, kind in vars(module).items()
        if name.endswith("Options")
        for field in msgspec.structs.fields(kind)
        if field.name.endswith("url")
    ]


def offered() -> list[tuple[str, str, str]]:
    names = {registry.spec(name).options: name for name in registry.names()}
    return [(names[kind], option, scheme) for kind, option, scheme in kinds() if kind in names]


def test_every_venue_has_its_addresses_looked_at() -> None:
    folders = {file.parent.name for file in (ROOT / "adapters").glob("*/config.py")}
    assert {kind.__module__.split(".")[-2] for kind, _, _ in kinds()} == folders
    assert {adapter for adapter, _, _ in offered()} == set(registry.names())


@pytest.mark.parametrize(("value", "proposed"), WRONG)
@pytest.mark.parametrize(("adapter", "option", "scheme"), offered())
def test_a_wrong_address_is_told_with_its_line(
    tmp_path: Path, adapter: str, option: str, scheme: str, value: str, proposed: str
) -> None:
    path = tmp_path / "run.toml"
    value, proposed = value.format(s=scheme), proposed.format(s=scheme)
    path.write_text(CONFIG.format(adapter=adapter, option=option, value=value))
    with pytest.raises(ConfigError) as caught:
        load(path)
    (found,) = [str(p) for p in caught.value.problems if "options" in str(p)]
    assert f"{path}:7:" in found
    assert f"venues.one.options.{option}" in found
    assert (WS if scheme == "ws" else HTTP) in found
    assert (f'write "{proposed}"' in found) is bool(proposed)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("http://me:secretword@venue.com/", "no user or password"),
        ("me:secretword@venue.com/", "no user or password"),
        ("http://me:secret/word@venue.com/", "no user or password"),
        ("http://venue.com:99999", 'the port is a number from 1 to 65535, not "99999"'),
        ("http://[::1]:0/v1", "the port is a number"),
        ("http://venue.com:abc/v1", 'not "abc"'),
        ("http://venue.com?x=1", "no ? and"),
        ("http://venue.com/v1#x", "no # and"),
        ("http://ven ue.com", "no blank"),
        ("http://[::1/v1", "the bracket of the host is not closed"),
        ("http:///v1", "the host is missing"),
    ],
)
def test_the_part_that_is_wrong_is_named_and_no_password(
    tmp_path: Path, value: str, part: str
) -> None:
    path = tmp_path / "run.toml"
    adapter, option, _ = next(one for one in offered() if one[2] == "http")
    path.write_text(CONFIG.format(adapter=adapter, option=option, value=value))
    with pytest.raises(ConfigError) as caught:
        load(path)
    (found,) = [str(p) for p in caught.value.problems if "options" in str(p)]
    assert part in found
    assert "secret" not in found
    assert "word@" not in found


@pytest.mark.parametrize(("kind", "option", "scheme"), kinds())
def test_no_options_are_made_of_a_wrong_address(kind: type, option: str, scheme: str) -> None:
    for value, _ in WRONG:
        with pytest.raises(msgspec.ValidationError, match=option):
            msgspec.convert({option: value.format(s=scheme)}, kind)
    for host in ("a", "api.venue.com", "127.0.0.1:1", "[::1]:65535", "under_score.io/v2/a-b"):
        for each in (scheme, f"{scheme}s"):
            address = f"{each}://{host}"
            assert getattr(msgspec.convert({option: address}, kind), option) == address


@pytest.mark.parametrize(
    "url", ["127.0.0.1:1/markets", "htp://127.0.0.1:1", "ws://127.0.0.1:1", "http://h:99999/"]
)
def test_an_address_of_no_scheme_that_a_transport_has_is_not_sent(url: str) -> None:
    async def codes() -> list[tuple[str, bool]]:
        found = []
        request = HttpRequest(method="GET", url=url, headers={}, body=b"", timeout_secs=60)
        for transport in (AiohttpTransport(), PlainTransport()):
            with pytest.raises(TransportError) as caught:
                await transport.request(request)
            found.append((caught.value.code, caught.value.sent))
            await transport.close()
        return found

    assert asyncio.run(codes()) == [("HTTP-URL", False)] * 2


@pytest.mark.parametrize("url", ["127.0.0.1:1/ws", "wsss://127.0.0.1:1", "http://127.0.0.1:1"])
def test_a_stream_of_no_such_scheme_is_not_opened(url: str) -> None:
    async def code() -> str:
        transport = AiohttpWsTransport()
        with pytest.raises(TransportError) as caught:
            await transport.connect(url)
        await transport.close()
        return caught.value.code

    assert asyncio.run(code()) == "WS-URL"
