"""Fixtures of the OceanEx adapter's tests: payloads, keys, and the simulated venue on loopback."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fairlead.adapters.base.aiohttp_transport import AiohttpTransport
from fairlead.adapters.base.venue import AdapterContext, VenueInstrument
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.instruments import instrument
from fairlead.adapters.oceanex.schemas import FeeRate, Market, TradingFee
from fairlead.adapters.oceanex.simulator import OceanexSimulator
from fairlead.adapters.oceanex.venue import OceanexAdapter
from fairlead.adapters.simulation.server import Served, serve
from fairlead.engine.secrets import Secret

DATA = Path(__file__).parents[2] / "data" / "oceanex"


@pytest.fixture(scope="session")
def payload() -> Any:
    """`payload("rest_k.json")`: a whole payload as bytes."""
    return lambda name: (DATA / name).read_bytes()


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def instruments() -> Mapping[str, VenueInstrument]:
    """OCE/VET with prices to 8 decimals and sizes to 8, and BTC/USDT with 2 and 6."""
    rate = FeeRate(type="relative", value=Decimal("0.001"))
    found = {}
    for market, name, price, size in (
        ("ocevet", "OCE/VET", 8, 8),
        ("btcusdt", "BTC/USDT", 2, 6),
        ("veteth", "VET/ETH", 8, 4),
    ):
        fees = [TradingFee(market=market, ask_fee=rate, bid_fee=rate)]
        row = Market(
            id=market,
            name=name,
            price_precision=price,
            amount_precision=size,
            minimum_trading_amount=Decimal(10),
        )
        built = instrument(row, fees, "OCEANEX", 1_700_000_000_000_000_000)
        found[built.id] = built
    return found


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """The simulated venue on a free loopback port."""
    running = await serve(OceanexSimulator(now_ns=time.time_ns(), seed=7))
    yield running
    while _transports:
        await _transports.pop().close()
    await running.stop()


_transports: list[AiohttpTransport] = []  # of contexts made since; an adapter closes none


def context_of(served: Served, **options: Any) -> AdapterContext:
    facts = served.describe()
    credentials: Any = facts["credentials"]
    _transports.append(AiohttpTransport())
    return AdapterContext(
        venue="OCEANEX",
        options=OceanexOptions(
            http_url=str(facts["rest"]),
            ws_url=str(facts["ws"]),
            app_key=str(facts["app_key"]),
            **options,
        ),
        secrets={name: Secret(text, f"test:{name}") for name, text in credentials.items()},
        http=_transports[-1],
        now_ns=time.time_ns,
        instruments=("BTC_USDT.OCEANEX",),
    )


@pytest.fixture
async def adapter(served: Served) -> AsyncIterator[OceanexAdapter]:
    """The adapter, connected to the simulated venue for trading."""
    made = OceanexAdapter(context_of(served))
    await made.connect(trading=True)
    yield made
    await made.close()
