"""Each planted fault with every card but that of the sessions: it fails its own card alone.

python -m tests.conformance.matrix [FAULT]...
"""

from __future__ import annotations

import sys

from fairlead.engine.conformance.run import CARDS, play
from tests.conformance.mutants import MUTANTS, planted


def failed(fault: str) -> dict[str, str]:
    """What the cards say that fail."""
    cards = [card for card in CARDS if card.group != "sessions"]
    with planted(fault) as venue:
        verdicts = [play(venue, card) for card in cards]
    return {one.card: one.seen for one in verdicts if one.is_failed}


def main(faults: list[str]) -> int:
    wrong = 0
    for fault in faults or MUTANTS:
        found, (wanted, _) = failed(fault), MUTANTS[fault]
        is_right = set(found) == {wanted}
        wrong += not is_right
        print(f"{'ok' if is_right else 'WRONG':<6} {fault}: {found}", flush=True)
    print(f"{wrong} of {len(faults or MUTANTS)} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
