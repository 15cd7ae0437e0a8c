"""What every account that trades has: its venue, its journal, and what was found in it."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.adapters.base.venue import VenueInstrument
from fairlead.engine.config import model
from fairlead.engine.observe import journaled
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.model import Finding, OrderState, VenueOrders
from fairlead.engine.orders.reconcile import ORDER_OF_ANOTHER
from fairlead.engine.orders.table import FORGOTTEN
from fairlead.engine.risk.continuity import JOURNAL_EMPTY

logger = logging.getLogger(__name__)

UNPROVEN = frozenset({OrderState.INTENDED, OrderState.UNKNOWN})
LOUD_FINDINGS = frozenset({ORDER_OF_ANOTHER, JOURNAL_EMPTY, FORGOTTEN})


class JournaledAccount:
    """An account at one venue, for as long as a run lasts."""

    def __init__(self, runtime: VenueRuntime, journal: Journal, config: model.Config) -> None:
        self.runtime = runtime
        self.journal = journal
        self.findings: list[Finding] = []
        # When it was last compared with the venue, whole, UNIX ns; 0 where NautilusTrader compares
        self.compared_ns = 0
        self.takes_ns = math.inf  # from when on the stop of the run cancels all that is open
        # Client order ids that the stop has ended at the venue, and a dead journal has not booked
        self.ended_unjournaled: frozenset[str] = frozenset()
        self._config = config
        self._opening = journaled.opening(journal)
        self._counted = 0  # executions of the run that the first balances have
        self._unproven: frozenset[str] = frozenset()  # orders of earlier runs, by then

    @property
    def venue(self) -> str:
        return self.runtime.adapter.venue

    @property
    def orders(self) -> VenueOrders:
        return self.runtime.adapter.orders

    @property
    def instruments(self) -> Mapping[str, VenueInstrument]:
        return self.runtime.adapter.instruments

    def now_ns(self) -> int:
        return self.runtime.now_ns()

    def balances_begin(self) -> None:
        """The account's balances are about to be read for the first time: they have what is booked
        by now. Raises JournalError."""
        self._counted = len(self.journal.booked_since(self._opening.seq)[1])
        live = self.journal.open_orders()
        self._unproven = frozenset(
            one.intent.client_order_id for one in live if one.state in UNPROVEN
        )

    def booked(self) -> journaled.Booked | JournalError:
        """What the run has executed; the error when the journal can't be read any more."""
        try:
            return journaled.booked(self.journal, self._opening, self._counted, self._unproven)
        except JournalError as error:
            return error

    def held(self) -> list[str]:
        """Client order ids of live orders that the engine holds for the venue."""
        return []

    def cancel_refusals(self) -> dict[str, str]:
        """By client order id, why the venue refused the last cancel of one that is live."""
        return {}

    def found(self, finding: Finding) -> None:
        """Keep and print a finding."""
        self.findings.append(finding)
        logger.log(
            logging.CRITICAL if finding.code in LOUD_FINDINGS else logging.WARNING,
            "%s %s %s: journal %s, venue %s; %s",
            finding.code,
            finding.instrument,
            finding.subject,
            finding.journal,
            finding.venue,
            finding.action,
        )
