"""Codes of what a second shell is told: status, reconcile, doctor and their kin."""

from __future__ import annotations

from fairlead.engine.codes.code import Code

_SETTLE = "a live start settles it; `fairlead explain ORDER_ID --config CONFIG` tells its story"

ASKED: dict[str, Code] = {
    # -- status, logs ----------------------------------------------------------------------------
    "NO-ANSWER": Code(
        "a run is up, and does not answer: its page, or no sign of it is new",
        "look whether it hangs; `--files` tells what its files say, `fairlead kill` works",
    ),
    "PAGE-NO-ANSWER": Code(
        "the page of the run did not answer, or not as it should",
        "`--files` answers from the files; look at the run's log",
    ),
    "NO-SIGN": Code(
        "a run is up, and gives no sign of how it is: only its files were looked at",
        "look at its log, and whether its state folder can be written",
    ),
    "NO-STOP": Code(
        "a strategy holds a position whose stop a kill, or the end of the last run, has cancelled, "
        "and no other lives",
        "close it (a kill of the strategy that flattens does), or see to it that its strategy "
        "sends a stop",
    ),
    "LAST-RUN": Code("the last run did not end well", "its outcome stands in the line"),
    "LOG-NONE": Code("no run of this config has left a log", "start one, or name its `--mode`"),
    "LOG-READ": Code("the log can't be read", "its mode and owner; the line has the reason"),
    "TIMED-OUT": Code(
        "an account gave no whole answer in time", "the venue's status page; then ask again"
    ),
    # -- reconcile -------------------------------------------------------------------------------
    "ORDER-MISSING": Code("the journal has it as open, the venue tells nothing of it", _SETTLE),
    "ORDER-ENDED": Code("the journal has it as open, at the venue it is over", _SETTLE),
    "ORDER-FILLED": Code("the venue has executed more of it than the journal", _SETTLE),
    "ORDER-UNKNOWN": Code("its outcome is not proven yet", _SETTLE),
    "POSITION-UNCOVERED": Code(
        "the journal's position is more than the account has of the currency",
        "compare with the venue's own history: it was moved, or traded by hand",
    ),
    # -- doctor ----------------------------------------------------------------------------------
    "FILE-KIND": Code(
        "a state file is a link or no file of its own", "see where it leads, then rm"
    ),
    "FILE-MODE": Code("others can read a state file or a key", "chmod 600"),
    "FILE-OWNER": Code("a state file is another user's", "run as that user, or chown it"),
    "STATE-MODE": Code("others can write to the state folder", "chmod 700"),
    "JRN-SAVED": Code(
        "a journal was taken away under its run, which has saved it",
        "put it back if the one in its place knows less; see [journal.md](journal.md)",
    ),
    "KILL-FILE": Code(
        "the file of kills can't be read", "look why, then clear it by the command in the line"
    ),
    "LOCK-ELSEWHERE": Code(
        "the account is traded from another state folder", "end one of the two processes"
    ),
    "LOCK-FOREIGN": Code("what holds the lock is no run", "end the process that the line names"),
    "LOCK-HUNG": Code(
        "the process that holds the lock is stopped or dead",
        "let it go on (kill -CONT), or kill by `fairlead kill` and end it",
    ),
    "LOCK-LINK": Code("the lock is a link: no run takes it", "remove the link"),
    "PAGE-PORT": Code(
        "the page's address is taken or can't be used", "end what has it, or name another"
    ),
}
