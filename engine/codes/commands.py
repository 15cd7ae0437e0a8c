"""Codes of the commands that ask nothing of a running engine: venues, data, research."""

from __future__ import annotations

from fairlead.engine.codes.code import Code

_AGAIN = "run it again"
_USAGE = "write it as the line expects"

COMMANDS: dict[str, Code] = {
    "E-UNEXPECTED": Code(
        "a defect of fairlead, not of the input", "report it with the traceback of the log"
    ),
    "E-CFG": Code("the config is wrong: a line for each mistake follows", "mend each line"),
    "ALERTS-NONE": Code(
        "`fairlead alert` on a config without an endpoint", "see [operate.md](operate.md#alerts)"
    ),
    "ALERTS-NAME": Code("no such endpoint of alerts", "take one that the line lists"),
    "SET-FORM": Code("`--set` without KEY=VALUE", "`fairlead config` lists every key"),
    "OUTPUT-LOST": Code(
        "stdout took nothing of a result: a full disk, or a reader that went away",
        "it follows on stderr, and the line names its files; free the disk, and ask again",
    ),
    "INTERRUPTED": Code("a signal ended a command before it was done", _AGAIN),
    "STOPPED": Code("stopped by a signal before it began", "nothing was sent"),
    "E-ADAPTER": Code(
        "a package's adapter can't be loaded", "mend or uninstall the package that is named"
    ),
    "E-CARD": Code("no such card of the conformance kit", "take one that is listed"),
    "E-NEW": Code(
        "`fairlead new` can't write there, or not by that name",
        "name another folder, or a name that the line allows",
    ),
    "E-VENUE-NONE": Code(
        "no such adapter, or one without a simulator", "`fairlead venues` lists them"
    ),
    "E-VENUE-PORT": Code("the port is taken", "another `--port`, or `--port 0` for a free one"),
    "E-VENUE-ACCOUNT": Code(
        "the simulated account's files can't be kept or used",
        "remove the files that are named, or name another `--account-dir`",
    ),
    "E-VENUE-REPLAY": Code(
        "there is no recording for the simulated venue to play", "name a folder with raw frames"
    ),
    "DEMO-VENUE": Code("the demo's venue did not start", "the log that is named says why"),
    "DEMO-LIVE": Code("the demo's live run ended wrongly", "the log that is named says why"),
    "OUT-UNWRITABLE": Code(
        "a result can't be written there", "free the disk, mend its mode, or name another `--out`"
    ),
    "RESEARCH-EXTRA": Code(
        "a package of an extra is missing", "`pip install 'fairlead[research]'`, as the line says"
    ),
    "RAY-UNREACHABLE": Code("no Ray cluster answers", "start it, or mend `--ray ADDRESS`"),
    # -- kept runs and reports -------------------------------------------------------------------
    "RUN-NOT-FOUND": Code("no kept run of that name", "`fairlead runs ls` lists them"),
    "RUNS-LEFT-OUT": Code(
        "the folder holds too much to be looked through for runs",
        "`--in` a nearer folder, or `--config CONFIG`",
    ),
    "RUN-FORMAT": Code("the run was kept by a later fairlead", "use the version that wrote it"),
    "RUN-DAMAGED": Code(
        "a kept run is not as it was written", "run it again; `run.json` has its command"
    ),
    "RUN-UNREADABLE": Code("a file of a kept run can't be read", "mend its mode, or run it again"),
    "REPORT-NOWHERE": Code(
        "a run in memory has no folder for its report", "name a file, or keep the run"
    ),
    "ORDER-NOT-FOUND": Code(
        "no order has that id in what was searched",
        "the client or the venue order id; `--config` or `--run` of the run that had it",
    ),
    "EXPLAIN-CONFIG": Code("the config of `explain` can't be read", "mend what the line says"),
    "BACKTEST-FAILED": Code(
        "NautilusTrader ended the backtest", "its own words are in the line; the log has more"
    ),
    # -- searches and studies --------------------------------------------------------------------
    "METRIC": Code("no such column of the table", "take one that is listed"),
    "PARAM-KEY": Code("no such parameter", "take one that is listed, or the whole key"),
    "PARAM-FORM": Code("a parameter's values can't be read", _USAGE),
    "PARAM-GRID": Code(
        "too many trials, or a range without a step", "fewer values or a step; or `--search random`"
    ),
    "SEARCH-KIND": Code("no such search", "take one that is listed"),
    "SEARCH-TRIALS": Code("a search that draws needs a number", "add `--trials N`"),
    "SCREEN-SEARCH": Code(
        "a screen can't choose for this search",
        "a grid or a random search by net or ratio, without `--walk-forward`; or no `--screen`",
    ),
    "SCREEN-NONE": Code(
        "the strategy has no `screen` function",
        "search without `--screen`, or write one (research.md, Screens)",
    ),
    "SCREEN-CONFIG": Code(
        "a screen can't see what this config or search is of",
        "mend what the line says; or search without `--screen`",
    ),
    "SCREEN-DATA": Code("no bars to screen on", "data with trades, of a longer time than a bar"),
    "SCREEN-RAISED": Code(
        "the strategy's `screen` function raised an error", "mend it where the line says"
    ),
    "SCREEN-POSITIONS": Code(
        "what the strategy's `screen` function gave is no position a bar",
        "a numpy array of finite numbers, as long as the bars",
    ),
    "SCREEN-LOOKAHEAD": Code(
        "a position of the strategy's `screen` function hangs on later bars",
        "use bars up to its own alone",
    ),
    "WALK-FORM": Code("a span of time can't be read", _USAGE),
    "WALK-SHORT": Code("the data is too short to walk over", "shorter spans, or more data"),
    "WORKER-DIED": Code(
        "the process of a trial died", "look for lack of memory; `--again` tries it once more"
    ),
    "STUDY-NAME": Code("a study's name that can't be one", "letters, digits, - and _"),
    "STUDY-NOT-FOUND": Code("no such study", "take one that is listed"),
    "STUDY-CUT": Code(
        "trials were taken out of the study or changed",
        "begin a study of another name: nobody knows how many were tried",
    ),
    "STUDY-UNREADABLE": Code(
        "the study's file can't be read", "mend its mode or the disk, or put back a copy"
    ),
    "HELD-BEFORE": Code("the study holds a span already", "another study may hold another"),
    "HELD-SEEN": Code(
        "trials have looked at the span that is to be held",
        "hold a later span, or begin a study of another name",
    ),
    "HELD-OUT": Code(
        "the backtest would look at a span that a study holds",
        "end before it, or spend it, once, as the line says",
    ),
    "HELD-SPAN": Code("the moment is not within the data", "one after the data's first"),
    "HELD-SPENT": Code(
        "the study holds nothing, or has spent it", "hold a span; what was seen stays seen"
    ),
    "HELD-TRIAL": Code(
        "the study has tried no trial of these values", "give those of one of its trials"
    ),
    "GATE-VALUE": Code("a stress that can't be", _USAGE),
    "GATE-LATE": Code(
        "the study has spent what it held: nothing more can be required of it",
        "say what is required before; another study may require more",
    ),
    "STUDY-GATE": Code(
        "the trial does not bear what its study requires",
        "the line names what failed; the data that is held stays closed",
    ),
    # -- what a result hangs on, and parity --------------------------------------------------------
    "LATENCY-NONE": Code(
        "the run that is to tell latencies measured none", "name one that had orders accepted"
    ),
    "LATENCY-MODE": Code(
        "the run that is to tell latencies was no live one: its latency was simulated",
        "name a live run, or `last`; `fairlead runs ls` lists them",
    ),
    "SENSITIVITY-ENDED": Code(
        "a run of `--sensitivity` ended before its data", "mend what its outcome says"
    ),
    "PARITY-ENDED": Code(
        "the backtest of the run's commands did not end well: nothing can be compared with it",
        "mend what its outcome says",
    ),
    "PARITY-UNRECORDED": Code(
        "the run recorded nothing, or its recording is gone",
        "record with it: a [record] section whose `normalized` is on",
    ),
    "LOOK-AHEAD": Code(
        "an order hangs on data that comes after it",
        "look for what the strategy reads that is not known yet at the time that is named",
    ),
    "PARITY-EMPTY": Code("the run sent no orders", "there is nothing to compare"),
    "PARITY-MODE": Code(
        "the run was neither live nor on paper: a backtest has nothing to be compared with",
        "name one that was, or `last`; `fairlead runs ls` lists them",
    ),
    "PARITY-KIND": Code(
        "the run has orders that no backtest simulates", "they can't be compared; take another run"
    ),
    "TOLERANCE-FORM": Code("a tolerance without amount or currency", _USAGE),
    # -- import ----------------------------------------------------------------------------------
    "IMPORT-FILE": Code("the file can't be read", "name one that exists and this user may read"),
    "IMPORT-FORMAT": Code(
        "the file is not what its format says", "the line says what came; look at `--format`"
    ),
    "IMPORT-DISK": Code("the disk takes no more", f"free it; {_AGAIN}"),
    "IMPORT-CATALOG": Code("the catalog can't be written there", "name another `--catalog`"),
    "IMPORT-HELD": Code("the catalog holds all of the file", "nothing: it is there already"),
    "IMPORT-OVERLAP": Code(
        "the catalog holds a part of the file's time", "cut the file, or take another catalog"
    ),
    "IMPORT-ORDER": Code("the lines are not in order of time", "sort them, as the line says"),
    "IMPORT-MIXED": Code(
        "one symbol of two kinds of market in a file, or one name given for several symbols",
        "split the file",
    ),
    "IMPORT-SYMBOL": Code(
        "a symbol that names no instrument", "`--id` and `--symbol BASE/QUOTE` name it"
    ),
    "IMPORT-SYMBOLS": Code("too many symbols in one file", "`--instrument` chooses some"),
    "IMPORT-INSTRUMENT": Code("an instrument that is not there", "take one that is listed"),
    "IMPORT-INSTRUMENTS": Code(
        "the file of rules can't be read", "the venue's answer as it was downloaded, or a catalog"
    ),
    "IMPORT-RULES": Code(
        "the catalog has the instrument with other rules", "the same options, or another catalog"
    ),
    "IMPORT-PRECISION": Code(
        "the numbers are finer than the increment that was given or is held",
        "a finer `--tick-size` or `--step-size`, or another catalog",
    ),
    "IMPORT-BARS": Code("no such bar type", "`bar=1-MINUTE` and the like"),
    # -- catalogs, downloads, stores -------------------------------------------------------------
    "CATALOG-MISSING": Code("there is no catalog", "import or record one, or mend the path"),
    "CATALOG-EMPTY": Code(
        "the catalog has nothing of that", "import or record it; `fairlead data ls FOLDER`"
    ),
    "CATALOG-RANGE": Code("no data in that time", "take a time that it has, as the line says"),
    "CATALOG-DAMAGED": Code(
        "a file of the catalog is damaged", "remove it, and import or record it again"
    ),
    "CATALOG-BUSY": Code("another process moves its files", f"wait; {_AGAIN}"),
    "CATALOG-BOOK": Code("a question about books that can't be answered", _USAGE),
    "RAW-MISSING": Code("there are no raw frames", "name a folder of `fairlead record`"),
    "RAW-NO-ANSWER": Code(
        "the recording lacks an answer that today's adapter asks for",
        "nothing mends it: replay with the version that recorded it",
    ),
    "REPLAY-ADAPTER": Code(
        "no adapter has the name of the recording", "name the run's file with `--config`"
    ),
    "REPLAY-MARKETS": Code(
        "the recording does not tell the markets as the adapter reads them",
        "replay with the version that recorded it",
    ),
    "CONVERT-EXISTS": Code("a table is there already", "remove it, or name another `--out`"),
    "CONVERT-DISK": Code("the tables can't be written", f"free the disk; {_AGAIN}"),
    "DATA-FAULT": Code(
        "files of a recording or catalog are not as they were written",
        "the FAULT lines name them: import or record them again, or remove the file",
    ),
    "DATA-REPLAY": Code(
        "today's parser makes other rows of the raw frames than were recorded",
        "the version that recorded them made others; look at the rows that are named",
    ),
    "DATA-DISK": Code("a recording can't be read or written", "mend its mode, or the disk"),
    "DATA-INSTRUMENT": Code("nothing of that instrument", "take one that is listed"),
    "DATA-MISSING": Code(
        "there is no recording; in a run: data that a strategy asked for and does not get",
        "mend the path; subscribe to what the catalog or the venue has",
    ),
    "DOWNLOAD-VENUE": Code("no such venue", "take one that is listed"),
    "DOWNLOAD-INSTRUMENT": Code("the venue has no such instrument", "take one that is listed"),
    "DOWNLOAD-BAR": Code("no such bar", "`1-MINUTE` and the like, as the venue has them"),
    "DOWNLOAD-SPAN": Code("too many requests for that time", "ask for less, in parts"),
    "DOWNLOAD-DISK": Code("the disk takes no more", f"free it; {_AGAIN}, it goes on"),
    "STORE-URL": Code("no address of an object store", "`s3://BUCKET/PATH`"),
    "STORE-KEYS": Code(
        "the store's keys are missing",
        "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in the environment",
    ),
    "STORE-FAILED": Code(
        "the store can't be reached, or refuses", "its words are in the line: address, key, rights"
    ),
    "STORE-DIFFERS": Code(
        "a file of the same name and another size is there",
        "look which one is right, and remove the other",
    ),
}
