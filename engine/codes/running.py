"""Codes of a run that trades: its state folder, its journal, its orders, what is found."""

from __future__ import annotations

from fairlead.engine.codes.code import Code

_KEEP = "stop; keep the file, and see [repair](journal.md#repair)"
_REPORT = "report it with the log; look at the venue's open orders, then start again"
_WAIT = "wait; `fairlead explain ORDER_ID --config CONFIG` tells how far it is"
_NONE = "nothing: it is told so that it is known"
_STATEMENT = "compare with the venue's own history"

RUNNING: dict[str, Code] = {
    # -- what a start refuses --------------------------------------------------------------------
    "STATE-LOCKED": Code(
        "another process trades the account", "end it; or another account and state folder"
    ),
    "RECORD-LOCKED": Code(
        "another run records the venue into the folder", "end it, or another `[record] dir`"
    ),
    "LOCK-FOLDER": Code(
        "the folder for the locks of accounts can't be used",
        "mend its mode, or name another with the variable that the line says",
    ),
    "LOCK-NAME": Code(
        "another user owns the name of the lock",
        "look who; only the file keeps a second run away meanwhile",
    ),
    "LOCK-LOST": Code(
        "the account's lock was taken away",
        "end one of the two processes, and start the other again",
    ),
    "FILES-LIMIT": Code("too few open files are allowed", "`ulimit -n`, or `LimitNOFILE=`"),
    "RISK-STATE": Code(
        "the gate's state can't be read or written",
        "look whether a halt was in force, then move the file away; see [risk.md](risk.md#state)",
    ),
    "RISK-STATE-CHANGED": Code(
        "the gate's state was changed or removed under the run",
        "find out who did; the run has written it anew",
    ),
    "HALT-ELSEWHERE": Code(
        "a halt of this account is in force, kept in another folder",
        "look why, then clear it by the command in the line",
    ),
    "HALT-UNKNOWN": Code(
        "the account's last state is gone: a halt may have been in force",
        "look at the last run's log before you trade on",
    ),
    "KEY-REFUSED": Code(
        "the venue refuses the key", "its rights, its addresses, its end; then start again"
    ),
    "PAGE-TOKEN": Code(
        "the page's token is missing or wrong, or its file can't be kept",
        "paste the one of `page.token`; mend the mode of the state folder",
    ),
    "NODE-ONLY": Code(
        "only a run can ask this venue, by NautilusTrader's own client",
        "start a live run: it settles what its journal holds",
    ),
    # -- the journal -----------------------------------------------------------------------------
    "JRN-OPEN": Code("the journal can't be opened", _KEEP),
    "JRN-READ": Code("the journal can't be read", _KEEP),
    "JRN-WRITE": Code(
        "the journal can't be written", "free or repair the disk; end what holds the file"
    ),
    "JRN-CORRUPT": Code("the journal holds what was never written", _KEEP),
    "JRN-CHANGED": Code(
        "the journal was removed or replaced under the run",
        "put it back first, [so](journal.md#repair)",
    ),
    "JRN-SCHEMA": Code(
        "another version wrote the journal",
        "an earlier one: `fairlead journal upgrade CONFIG`; a newer one: use that, or move the "
        "journal away",
    ),
    "JRN-UPGRADE": Code(
        "a journal of an earlier version is not upgraded, and is as it was",
        "free the disk; where it does not add up, put back a copy from before the damage",
    ),
    "JRN-COMPACT": Code(
        "a journal is not compacted, and has lost nothing", "mend what the line says, then again"
    ),
    "JOURNAL-NONE": Code("no account has a journal yet", "the first live run makes it"),
    "LOG-UNWRITABLE": Code(
        "the file of `[log]` can't be opened", "free the disk, mend its mode, or leave out `[log]`"
    ),
    "LOG-LOST": Code(
        "the file of `[log]` takes nothing", "free the disk; stderr tells all the same"
    ),
    "LOOP-STUCK": Code(
        "the event loop stands still: no order and no cancel goes on",
        "the stack in the log says at what; `fairlead kill` works all the same; "
        "[operate.md](operate.md#running-for-months)",
    ),
    "JRN-INSTRUMENT": Code(
        "the journal holds what the venue lists no more",
        "cancel and close it there, then move the journal away",
    ),
    "JOURNAL-EMPTY": Code(
        "the journal is new or gone, and the account had orders or positions of an engine",
        "put the journal back; else `accept_unjournaled`, for one start",
    ),
    "JOURNAL-SAVED": Code(
        "a saved journal lies beside, with more in it",
        "put it back as the line says, or move it to another folder",
    ),
    "JOURNAL-DAMAGED": Code("a record of the journal can't be read", _KEEP),
    "BALANCE-DRIFT": Code(
        "journal and account differ by more than the limit",
        f"{_STATEMENT}; a position that was traded by hand: `fairlead resolve` with `--held`; else "
        "`accept_drift`, for one start",
    ),
    "NATIVE-ACCOUNT": Code(
        "an account without positions that the config has for one with margin, at a venue of "
        "NautilusTrader's own client",
        "write what the line says into `[venues.NAME]`",
    ),
    "NATIVE-DRIFT": Code(
        "journal and account differ, at a venue of NautilusTrader's own client",
        f"{_STATEMENT}; a position that was traded by hand: `fairlead resolve` with `--held`; an "
        "order that was never filled: `accept_drift`, for one start",
    ),
    "RESOLVE-NOT-FOUND": Code("no journal knows the order", "the client or the venue order id"),
    "RESOLVE-OVER": Code("the order has ended already", "nothing is to be said of it"),
    "RESOLVE-ALIVE": Code(
        "the venue lists the order, or several that could be it", "cancel it at the venue first"
    ),
    "RESOLVE-OPEN": Code(
        "orders are open in the journal, which may change the position that is told",
        "start: what the venue tells is booked; cancel what rests",
    ),
    "RESOLVE-WHOSE": Code("whose position it is can't be told", "say it, `--strategy`"),
    "RESOLVE-SAME": Code("the journal holds this already", "nothing is to be said of it"),
    "RESOLVE-HELD": Code("the venue tells another position", "look at the venue again"),
    "RESOLVE-MOVES": Code(
        "what the account holds changes while it is read", "end what trades it, then again"
    ),
    "RESOLVE-TOLD": Code("the venue tells the order's end", "start: the next start books it"),
    "RESOLVE-QUANTITY": Code("a quantity that can't be", "look at the statement again"),
    "RESOLVE-PRICE": Code("a price that is unlikely", "look again; `--force` if it is right"),
    "RESOLVE-FEE": Code("a fee that is unlikely", "look again; `--force` if it is right"),
    "RESOLVE-UNLISTED": Code(
        "the venue lists the instrument no more", "look again; `--force` if it is right"
    ),
    # -- an order --------------------------------------------------------------------------------
    "DESK-HALTED": Code("nothing may be created: the run stops or is halted", "see why in the log"),
    "DESK-KILLED": Code(
        "not sent: a kill came after the gate, or its closing order would meet this one",
        "[kill.md](kill.md)",
    ),
    "DESK-UNSENT": Code("the run ended before it was sent", "nothing was sent"),
    "DESK-WITHDRAWN": Code("withdrawn at the stop before it was sent", "nothing was sent"),
    "DESK-CLOSED": Code("a cancel of an order that has ended", _NONE),
    "DESK-DUPLICATE-ID": Code("the id was used before", "let NautilusTrader make the ids"),
    "DESK-NO-REPLACE": Code("the order can't be replaced now", "cancel it, and send another"),
    "DESK-UNPROVEN-TWIN": Code(
        "one of the same fields waits for its outcome", "change price or size, or wait"
    ),
    "ABSENT-PROVEN": Code("the venue never had the order", "send another, if it is still wanted"),
    "CANCEL-UNKNOWN": Code("no answer to the cancel", "wait: it is tried until the order ends"),
    "REPLACE-ABSENT": Code("the change never reached the order", "the order is as it was"),
    "VENUE-REJECTED": Code("the venue ended the order by itself", "its reason is in the line"),
    "HELD-PASSED": Code(
        "the price had passed the trigger while nothing watched",
        "decide: cancel it or let it go, as [held-orders.md](held-orders.md) says",
    ),
    "HELD-GIVEN-UP": Code(
        "a held order could not be released for too long", "protect the position by hand"
    ),
    "HELD-NOT-STARTED": Code("a held order waits for its strategy's start", _NONE),
    "HELD-NO-STRATEGY": Code(
        "a held order's strategy is not in the run", "add the strategy, or cancel the order"
    ),
    "POST-ONLY": Code("it would have taken liquidity", "a price that rests"),
    "NO-MARKET": Code("the simulated book is empty there", "wait for a whole book"),
    "NOT-OPEN": Code("the simulated order has ended", _NONE),
    "INSUFFICIENT-FUNDS": Code("the simulated account has too little", "`simulated.balances`"),
    "TRIGGER-PASSED": Code("the trigger's price is passed already", "a trigger that lies ahead"),
    "RUN-STOPPED": Code("the run ended while the order was on its way", _NONE),
    # -- what is found ---------------------------------------------------------------------------
    "ORDER-AMBIGUOUS": Code(
        "several orders could be one whose answer was lost; the instrument is halted",
        "look at the venue which is whose, cancel what is not wanted; see [journal.md](journal.md)",
    ),
    "ORDER-EXTERNAL": Code("an order that is not the engine's", "yours? else cancel it there"),
    "ORDER-OF-ANOTHER-ENGINE": Code(
        "an order of another engine, or of a lost journal", "end that engine, or put it back"
    ),
    "ORDER-LATE": Code(
        "an order came after it was given up; it is cancelled", f"{_STATEMENT}; it may have filled"
    ),
    "ORDER-NOT-LISTED": Code("an open order was left out of the list", "wait: it is looked for"),
    "ORDER-FORGOTTEN": Code(
        "the venue tells nothing of an order that it had",
        "the venue's own page, then `fairlead resolve` ([journal.md](journal.md))",
    ),
    "OVERFILL": Code("more was executed than ordered; it is halted", _STATEMENT),
    "VENUE-ID-REUSED": Code("the venue gave an id twice", f"{_STATEMENT}: was it reset?"),
    "MET-OWN-ORDER": Code(
        "the venue ended an order that met one of the same account",
        "cancel that one, then send it again ([risk.md](risk.md), Self-cross)",
    ),
    "FILL-SYNTHESISED": Code("an execution that was never listed", _STATEMENT),
    "FEE-ASSUMED": Code("the venue does not tell the fee", _STATEMENT),
    "FEE-UNKNOWN": Code("the fee is not known, and counts as none", _STATEMENT),
    "NATIVE-MADE-UP": Code(
        "NautilusTrader made up an execution where the venue tells no positions; it is not booked, "
        "and trading is halted",
        f"{_STATEMENT}; then clear the halt and start anew",
    ),
    "NATIVE-UNASKED": Code(
        "an execution of an order that no strategy sent, or that was over", _STATEMENT
    ),
    "NOT-FLAT": Code(
        "a position stays that was to be closed, or has no stop", "close it, at the venue"
    ),
    "KILL-FLATTEN": Code("a kill could not close positions", "[kill.md](kill.md) says what to do"),
    "KILL-TIMEOUT": Code(
        "a kill's `--timeout` was over before all was proven; what is left is named",
        "kill again; [kill.md](kill.md)",
    ),
    "STOPS-UNLISTED": Code(
        "the venue's list leaves out stops that wait for a trigger, and no journal names any: a "
        "kill could not look for them",
        "put the journal in its place and kill again; look at the venue's own page",
    ),
    "KILL-STATE": Code("a kill is not stored", "end the run; free or repair the disk; kill again"),
    "KILL-SIGNAL": Code(
        "a kill by signal (SIGUSR1) could not be carried out",
        "`fairlead kill all --config CONFIG` does the same",
    ),
    "KILL-CONFIG": Code(
        "the config can't be read, so nothing was stopped",
        "`kill -USR1 PID` of the run, or the file `KILL` in its state folder",
    ),
    # -- how a run ended -------------------------------------------------------------------------
    "NODE": Code("NautilusTrader's node failed", _REPORT),
    "RECORDING": Code(
        "the recording has stopped, and so has the recorder", "free the disk, start again"
    ),
    "DESK-FAILED": Code("the order desk failed", _REPORT),
    "TRADING-DEFECT": Code("a part that trades failed", _REPORT),
    "CONNECT-DEFECT": Code("connecting failed by a defect", _REPORT),
    "STREAM-DEFECT": Code("a stream failed by a defect", _REPORT),
    "DATA-DEFECT": Code("market data failed by a defect", _REPORT),
    "PAPER-DEFECT": Code("the simulated exchange failed", "report it with the log"),
    "STREAM-UNREACHABLE": Code(
        "a stream could not be connected at the start", "address, network, the venue's status page"
    ),
    "STOP-TIMEOUT": Code(
        "the stop took too long", "start again: it finds what is open; `run.stop_timeout_secs`"
    ),
    "STOP-WAITS": Code(
        "a strategy's callback does not come back: the stop waits for it",
        "mend the line of the strategy that is named; a second signal ends the run at once",
    ),
    "STOP-AT-ONCE": Code("a second signal ended it", "start again: it finds what is open"),
    "CUT-SHORT": Code("ended before its summary was whole", "the journal has what was done"),
    "LEFT-OPEN": Code(
        "an order stays open at the venue after the stop",
        "`fairlead kill all --config CONFIG` cancels it; the next start takes it over",
    ),
    "THREADS-LEFT": Code(
        "threads of a strategy were at work still, and ended with the process",
        "end them in `on_stop`, or make them daemons",
    ),
    "OUTPUT-DROPPED": Code("the screen took no more lines", "the log file has all of them"),
    # -- while it runs ---------------------------------------------------------------------------
    "CLOCK-STEP": Code("this machine's clock was set", "keep it by NTP"),
    "LOOP-LAG": Code("a callback kept the engine's loop", "the strategy computes too long"),
    "NOT-RUNNING": Code("the run starts or stops", "wait"),
    "CALLBACK-NAME": Code(
        "a method of a strategy is named nearly as a callback, and never called; a callback is "
        "async or has a yield, and never runs; a call of NautilusTrader 1.x has another name now",
        "take the name that the line tells; write a plain `def`",
    ),
    "LIMIT-CURRENCY": Code(
        "a limit is in other currencies than an instrument: all of its orders are refused",
        "an amount in that currency; `max_order_notional` takes one: another config",
    ),
    "BALANCE-IDLE": Code("a simulated balance that nothing trades", "remove or respell it"),
    "DATA-ORDER": Code("a strategy was not told for long; others go on", "the log names it"),
    "ROLE-TAG": Code(
        "an order's tag reads like a role, and is none: the gate takes it for no exit",
        "write `tags=[Role.STOP.tag]`, with the `.tag`",
    ),
    "ENTRY-UNSENT": Code(
        "a process ended while an entry of it waited for the end of what was in its place",
        "nothing: it was never sent; its strategy decides anew",
    ),
    "STRATEGY-STOPPED": Code(
        "a strategy stopped itself; the run goes on without it",
        "look what it left open; `self.shutdown_system(reason)` ends the run instead",
    ),
    "FEES-UNVALUED": Code(
        "fees were paid in a currency of which the instrument tells no price: no net has them",
        "take them off by hand, at that currency's price",
    ),
    "STRATEGY-ENDED": Code(
        "a strategy ended a backtest before its data was over, or its failure did",
        "its figures are of the time until then: compare them with no whole run's",
    ),
    "CALLBACK-STUCK": Code(
        "a callback of a strategy has been at work for long, and a backtest waits for it",
        "mend the line of the strategy that is named, or wait; Ctrl-C ends the run",
    ),
    "WRONG-THREAD": Code(
        "a strategy was used from another thread; nothing was done",
        "hand it over by a queue, and take it out in a callback",
    ),
    "RAW-STOPPED": Code("raw recording has ended; trading goes on", "free the disk, start again"),
    "PAGE-ORIGIN": Code("a request from another site", "open the page at its own address"),
    "PAGE-RATE": Code("too many requests", "ask less often"),
    "PAGE-REQUEST": Code("no such path or method", "`/api/v1/openapi.json` lists them"),
    "PAGE-QUERY": Code("a query parameter, of which there are none", "ask without it"),
    "PAGE-BODY": Code("a body that can't be read", "JSON as `/api/v1/openapi.json` has it"),
    "PAGE-READ-ONLY": Code("the page only shows", "`observe.control = true`"),
    "PAGE-CONTROL": Code("the second token is missing or wrong", "that of `page.control.token`"),
    "PAGE-SCOPE": Code("no such strategy, venue or account", "one that the line names"),
    "PAGE-CLEAR": Code("clearing could not be stored", "free or repair the disk"),
    "PAGE-NO-ORDER": Code("no such order is open", "`/api/v1/orders` lists them"),
    "PAGE-NO-BOOK": Code("no such book is streamed", "`/api/v1/books` lists them"),
    "PAGE-NO-REPORT": Code(
        "the kept run has no report", "`fairlead report last` writes that of the last"
    ),
    "PAGE-NOTHING-TRADES": Code("the run trades nothing", "nothing is to be stopped"),
    "PAGE-DEFECT": Code("a defect of the page; the run trades on", "report it with the log"),
    # -- between us and a venue ------------------------------------------------------------------
    "ACCOUNT-UNTOLD": Code("the venue did not tell the account", "wait; then its status page"),
    "BOOK-UNREADABLE": Code("a book could not be read", "the venue's status page"),
    "BOOK-MISSING": Code("no book comes of what was subscribed", "the venue's status page"),
    "GAP-SINK": Code("a gap could not be noted", "free or repair the disk"),
    "INSTRUMENT-REFRESH": Code("the list of markets could not be renewed", "wait: it is retried"),
    "INSTRUMENT-UNKNOWN": Code("the venue has no such instrument", "`[venues.NAME] instruments`"),
    "UNKNOWN-MARKET": Code("the venue has no such market", "take one that it lists"),
    "NO-BARS": Code("the venue has no bars of that length", "`fairlead venues` lists them"),
    "NO-HISTORY": Code("the venue has no such history", "`fairlead venues` tells"),
    "DATA-UNSUPPORTED": Code("the venue has no such data", "`fairlead venues` tells"),
    "REQUEST-EMPTY": Code("a request for data has no answer", "another time, or other data"),
    "REQUEST-FAILED": Code("a request for data failed", "its reason is in the line"),
    "RENEWAL-FAILED": Code("a session could not be renewed yet", "wait: it is retried"),
    "RENEWAL-DEAD": Code("a session has ended, and is not renewed", "the key; then start again"),
    "HTTP-CONNECT": Code("the venue can't be connected to", "network, address, its status page"),
    "HTTP-DNS": Code("the venue's host has no address", "its name in the options; the name server"),
    "HTTP-TLS": Code("its certificate is not accepted", "the address; this machine's clock"),
    "HTTP-TIMEOUT": Code("no answer in time; an order's outcome is UNKNOWN", _WAIT),
    "HTTP-RESET": Code("the connection was cut; an order's outcome is UNKNOWN", _WAIT),
    "HTTP-PROTOCOL": Code("what came is no HTTP", "a proxy between? the address"),
    "HTTP-STOPPED": Code("stopped before a byte was sent", "nothing was sent"),
    "HTTP-TOO-LARGE": Code("an answer beyond the limit", "report it with the log"),
    "HTTP-URL": Code("an address that can't be one", "mend it in `[venues.NAME.options]`"),
    "WS-CONNECT": Code(
        "the stream's address can't be connected to",
        "`ws_url` in `[venues.NAME.options]`, network, the venue's status page",
    ),
    "WS-DNS": Code("the stream's host has no address", "its name in the options; the name server"),
    "WS-TLS": Code("its certificate is not accepted", "the address; this machine's clock"),
    "WS-RESET": Code("the stream was cut while it opened", "wait: it connects again by itself"),
    "WS-CLOSED": Code("the stream was closed", "wait: it connects again by itself"),
    "WS-REFUSED": Code("the stream was refused", "the key, the address, the venue's status page"),
    "WS-TIMEOUT": Code("the stream did not open in time", "network, the venue's status page"),
    "WS-PROTOCOL": Code("what came is no WebSocket", "a proxy between? the address"),
    "WS-TOO-LARGE": Code("a frame beyond the limit", "report it with the log"),
    "WS-URL": Code("an address that can't be one", "mend it in `[venues.NAME.options]`"),
}
