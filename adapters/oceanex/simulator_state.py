"""What the handlers of the simulated OceanEx work on: `OceanexState`."""

from __future__ import annotations

from decimal import Decimal
from typing import Unpack

import msgspec

from fairlead.adapters.oceanex.simulator_auth import Authenticator, generated_key_pair
from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.adapters.simulation.exchange import Exchange, ExchangeOptions
from fairlead.adapters.simulation.market import SECOND_NS
from fairlead.adapters.simulation.routes import RateWindows
from fairlead.adapters.simulation.shell import SimState, Start
from fairlead.adapters.simulation.tape import MINUTE_NS

ACCOUNT = "main"
FIRST_ORDER_ID = 5_862_630_855  # beyond 32 bits, as on the venue
FIRST_TRADE_ID = 6_220_247_666
WITHDRAW_FEE = Decimal(1)


class Deposit(msgspec.Struct, kw_only=True):
    id: int
    currency: str
    amount: Decimal
    ts_created: int


class Withdrawal(msgspec.Struct, kw_only=True):
    """Requested, then done after the option's `withdraw_secs`."""

    id: int
    currency: str
    chain_name: str
    amount: Decimal
    rid: str
    memo: str
    tid: str | None
    ts_created: int
    ts_done: int | None = None


class Wallet:
    """What was deposited and withdrawn."""

    def __init__(self) -> None:
        self.deposits: list[Deposit] = []
        self.withdrawals: list[Withdrawal] = []
        self._next_id = 1071

    def next_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def advance(self, exchange: Exchange, withdraw_secs: int, now_ns: int) -> None:
        """Finish the withdrawals that are due."""
        span_ns = withdraw_secs * SECOND_NS
        for withdrawal in self.withdrawals:
            if withdrawal.ts_done is None and now_ns >= withdrawal.ts_created + span_ns:
                withdrawal.ts_done = now_ns
                total = withdrawal.amount + WITHDRAW_FEE
                reason = f"withdrawal {withdrawal.id} done"
                exchange.adjust(ACCOUNT, withdrawal.currency, Decimal(0), -total, reason, now_ns)


class OceanexState(SimState[OceanexSimOptions]):
    """The account's key and wallet, and request counts."""

    def __init__(self, options: OceanexSimOptions | None = None, **start: Unpack[Start]) -> None:
        options = options or OceanexSimOptions()
        listed = [(market.spec, market.start_price) for market in options.markets]
        matching = ExchangeOptions(first_order_id=FIRST_ORDER_ID, first_trade_id=FIRST_TRADE_ID)
        super().__init__(options, ACCOUNT, listed, matching, **start)
        self.markets = {market.id: market for market in options.markets}
        self.private_key_pem, public_key_pem = generated_key_pair()
        self.auth = Authenticator(options, public_key_pem)
        self.limits = RateWindows(MINUTE_NS)
        self.wallet = Wallet()
        for currency, amount in options.balances.items():
            self.wallet.deposits.append(
                Deposit(
                    id=self.wallet.next_id(),
                    currency=currency,
                    amount=amount,
                    ts_created=self.exchange.now_ns,
                )
            )
