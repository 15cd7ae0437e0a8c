"""A scripted venue on loopback, its protocol, and the transport to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fairlead.adapters.base.aiohttp_transport import AiohttpWsTransport
from tests.venues.base.scripted import ScriptedProtocol, ScriptedVenue


@pytest.fixture
async def venue() -> AsyncIterator[ScriptedVenue]:
    venue = ScriptedVenue()
    await venue.start()
    yield venue
    await venue.stop()


@pytest.fixture
def protocol(venue: ScriptedVenue) -> ScriptedProtocol:
    return ScriptedProtocol(venue.url)


@pytest.fixture
async def ws() -> AsyncIterator[AiohttpWsTransport]:
    transport = AiohttpWsTransport()
    yield transport
    await transport.close()
