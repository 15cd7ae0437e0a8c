"""The accounts that a run trades: by an order desk of ours, or by NautilusTrader's own clients."""

from __future__ import annotations

from fairlead.adapters.base.account import Account
from fairlead.engine.run.native.account import NativeAccount

TradingAccount = Account | NativeAccount
