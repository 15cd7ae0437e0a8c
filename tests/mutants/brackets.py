"""Mutants of brackets: exits that sell too much, or leave what was bought without a way out."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.parts import T_BRACKETS

STEPS = ("engine/brackets/steps.py",)
KEEPER = ("engine/brackets/keeper.py",)
OWNER = ("engine/brackets/strategy.py", "engine/brackets/view.py")

BRACKET_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        id="bracket-target-beside-stop",
        where=STEPS,
        breaks="the target is sent while the stop's cancel is not proven",
        edits=(Edit("    if wrong:\n        return _cancel(wrong)\n", ""),),
        tests=T_BRACKETS,
    ),
    Mutant(
        id="bracket-forgets-exits-on-their-way",
        where=STEPS,
        breaks="what live exits may still take is not deducted",
        edits=(
            Edit(
                "    bare = held - sum((leg.remaining for leg in working), _ZERO)\n",
                "    bare = held\n",
            ),
        ),
        tests=T_BRACKETS,
    ),
    Mutant(
        id="bracket-base-fee",
        where=STEPS,
        breaks="exits are sent for what a fee in base currency took",
        edits=(
            Edit(
                "entry.filled - (entry.base_fee if bracket.side is Side.BUY else _ZERO)",
                "entry.filled",
            ),
        ),
        tests=T_BRACKETS,
    ),
    Mutant(
        id="bracket-entry-goes-on",
        where=STEPS,
        breaks="the entry goes on filling after its way out has begun",
        edits=(Edit("if not entry.is_over and any(leg.filled for leg in exits):", "if False:"),),
        tests=T_BRACKETS,
    ),
    Mutant(
        id="bracket-no-way-back",
        where=STEPS,
        breaks="when the market turns back from the target, no stop takes its place",
        edits=(
            Edit(
                "    return is_out and sign * (2 * price - bracket.target - bracket.stop) > 0\n",
                "    return is_out\n",
            ),
        ),
        tests=T_BRACKETS,
    ),
    Mutant(
        id="bracket-entry-not-counted",
        where=KEEPER,
        breaks="a bracket is over when its entry has filled and the gate has not heard of it yet",
        edits=(Edit("if not self._owner.is_counted(entry):", "if False:"),),
        tests=T_BRACKETS,
    ),
    Mutant(
        id="bracket-unrecorded-exit",
        where=KEEPER,
        breaks="an exit is sent that the journal could not record",
        edits=(
            Edit(
                '            logger.error("no exit of bracket %s can be sent: %s", bracket.entry, '
                "error)\n            return False\n",
                '            logger.error("no exit of bracket %s can be sent: %s", bracket.entry, '
                "error)\n",
            ),
        ),
        tests=T_BRACKETS,
    ),
    Mutant(
        id="bracket-exits-of-unknown-outcome",
        where=KEEPER,
        breaks="an exit of unknown outcome counts as over, and another is sent",
        edits=(
            Edit(
                "is_over=known.state.is_terminal,",
                "is_over=known.state.is_terminal or known.state is OrderState.UNKNOWN,",
            ),
        ),
        tests=T_BRACKETS,
    ),
    Mutant(
        id="bracket-hammers",
        where=KEEPER,
        breaks="a refused exit is tried again without a wait",
        edits=(Edit("if now_ns < tries.not_before_ns and", "if False and"),),
        tests=T_BRACKETS,
    ),
    Mutant(
        id="bracket-keeps-a-closed-position",
        where=OWNER,
        breaks="exits stay when the strategy closes the position itself",
        edits=(
            Edit(
                "            if is_exit and order.client_order_id not in exits:\n"
                "                total += order.remaining\n",
                "            pass\n",
            ),
        ),
        tests=T_BRACKETS,
    ),
)
