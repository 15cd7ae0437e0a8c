"""Every code a wrong config can be answered with."""

from __future__ import annotations

from fairlead.engine.codes.code import Code

_LISTED = "`fairlead config` lists every key, `--explain KEY` tells one"
_ABLE = "`fairlead venues` tells what each venue has; change the strategy, or the venue"

CODES: dict[str, Code] = {
    "E-CFG-001": Code("the file can't be read", "name one that exists and this user may read"),
    "E-CFG-002": Code("the file is not UTF-8 text", "save it as UTF-8; the byte is named"),
    "E-CFG-003": Code("the file is not TOML", "mend the line and column that are named"),
    "E-CFG-004": Code(
        "the file is larger than a config may be", "look whether it is the right file"
    ),
    "E-CFG-010": Code("a required key is missing", f"add it; {_LISTED}"),
    "E-CFG-014": Code("no such key", f"take the one that is suggested; {_LISTED}"),
    "E-CFG-015": Code("the key belongs to another section", "move it where the line says"),
    "E-CFG-020": Code("a value of the wrong type", "write it as the line expects"),
    "E-CFG-021": Code(
        "a float where exact decimals are written as strings", 'put it in quotes: `"0.1"`'
    ),
    "E-CFG-022": Code("text that is not an exact decimal", 'digits and a point: `"0.1"`'),
    "E-CFG-023": Code("not one of the allowed values", "take one of those that are listed"),
    "E-CFG-024": Code("outside the limits", "choose one within what is named"),
    "E-CFG-025": Code("text of the wrong form", "write it in the form that is named"),
    "E-CFG-026": Code("a date-time without its time zone", "add it: `2026-01-31T12:00:00Z`"),
    "E-CFG-027": Code("a folder whose path can't be one", "name another; it is made if it is new"),
    "E-CFG-030": Code(
        "an instrument id whose venue is not the one expected",
        "the part after the point is the venue's key in capitals",
    ),
    "E-CFG-031": Code(
        "strategy ids, or their tags after the last dash, are not unique", "name one otherwise"
    ),
    "E-CFG-032": Code(
        "an instrument that its venue's `instruments` does not list",
        "add it there, or mend the spelling",
    ),
    "E-CFG-033": Code("the backtest starts at or after its end", "swap or change them"),
    "E-CFG-034": Code(
        "a recorded venue without fees", '`fees = { maker = ..., taker = ... }`, or `"none"`'
    ),
    "E-CFG-035": Code("no such adapter", "take a listed one, or install the package that has it"),
    "E-CFG-036": Code("an instrument listed twice", "remove one"),
    "E-CFG-037": Code("a venue's key is not a lower-case name", "write it in lower case"),
    "E-CFG-038": Code(
        "a recorded venue can't run live or on paper", "run a backtest, or name a real adapter"
    ),
    "E-CFG-039": Code(
        "an account's name that can't be one", "part of a file's name, other than `paper`"
    ),
    "E-CFG-040": Code(
        "a limit in a currency that no instrument is priced in",
        "name the currency that the run's instruments are priced in",
    ),
    "E-CFG-041": Code("the adapter has no such credential", "take the one that is suggested"),
    "E-CFG-042": Code(
        "a credential that the adapter needs is not named",
        "add it under `[venues.NAME.credentials]`, as `env:NAME` or `file:PATH`",
    ),
    "E-CFG-043": Code("a currency named twice", "remove one of them"),
    "E-CFG-044": Code(
        "an adapter's name that more than one package offers", "uninstall one of the packages"
    ),
    "E-CFG-045": Code("NautilusTrader's own adapter lacks the client that the mode needs", _ABLE),
    "E-CFG-046": Code(
        "a run on paper without a market to trade in",
        "give it the prices of another instrument: `[prices_from]`",
    ),
    "E-CFG-047": Code(
        "an instrument that can't stand for another's prices",
        "name an instrument of this config that has market data of its own",
    ),
    "E-CFG-048": Code(
        "an address of the page that can't be one, or that other machines could reach",
        "`127.0.0.1:PORT`; or `remote = true`, behind a proxy with TLS",
    ),
    "E-CFG-049": Code(
        "options of a venue that its adapter does not trade with",
        "remove them, or take an adapter that does",
    ),
    "E-CFG-050": Code(
        "a strategy's path can't be imported",
        "`module:Class`, a module on the path or beside the config; mend what its import raised",
    ),
    "E-CFG-051": Code("a strategy's module has no such class", "take the one that is suggested"),
    "E-CFG-052": Code(
        "the path's class is not a NautilusTrader Strategy", "derive it from `GuardedStrategy`"
    ),
    "E-CFG-053": Code(
        "the strategy's config class can't be found",
        "annotate `config` of its `__init__` with the class, or set `config_class`",
    ),
    "E-CFG-054": Code(
        "a parameter that the strategy's config class does not have",
        "take the one that is suggested, or remove it",
    ),
    "E-CFG-055": Code("a parameter that the strategy's config class needs", "add it to `params`"),
    "E-CFG-056": Code("a parameter's value does not fit", "write it as the line expects"),
    "E-CFG-057": Code(
        "the strategy's config class refused the parameters", "its own words are in the line"
    ),
    "E-CFG-058": Code(
        "the strategy's own code raised before the run", "its traceback names the line to mend"
    ),
    "E-CFG-059": Code(
        "the strategy overrides a method that the risk gate stands in",
        "give the method another name; hear of orders in the `on_order_...` callbacks",
    ),
    "E-CFG-060": Code("the venue has no such order type", _ABLE),
    "E-CFG-061": Code("the venue has no such time in force", _ABLE),
    "E-CFG-062": Code("the venue has no post-only orders", _ABLE),
    "E-CFG-063": Code(
        "the venue's data has no such price for the orders that are held",
        "choose one that the line names, in `[venues.NAME.held]`",
    ),
    "E-CFG-064": Code(
        "the strategy does not say what it sends as a set of names",
        "write `order_kinds` and `times_in_force` of the class as sets, as `strategies/` do",
    ),
    "E-CFG-065": Code(
        "a latency whose values can't be",
        "write it as docs/simulated-execution.md has it, and no `latency_ms` beside it",
    ),
    "E-CFG-066": Code(
        "a strategy's `__init__` can't be given its config, or wants more than that",
        "write `def __init__(self, config: C)`, and `super().__init__(config)` in it",
    ),
    "E-CFG-067": Code(
        "a callback of a strategy can't be called with what it is told",
        "write it as the line says; the names of its arguments are free",
    ),
    "E-CFG-068": Code(
        "a strategy assigns an attribute that hides one of its methods",
        "define a callback in the class; give another attribute another name",
    ),
    "E-CFG-069": Code(
        "what a strategy's `declared` says is not of this run, or no amount",
        "name an instrument of the config; an inventory is 0 or more base units",
    ),
    "E-CFG-070": Code(
        "the catalog lacks what the backtest needs",
        "import or record it; `fairlead data ls FOLDER`",
    ),
    "E-CFG-071": Code(
        "an alert rule names an endpoint that is not there, or a name that can't be one",
        "take one of `observe.alerts.endpoints`; names are letters, digits, - and _",
    ),
    "E-CFG-072": Code(
        "an address of the Telegram API that would send the token in the clear", "write https://"
    ),
    "E-CFG-073": Code(
        "an alert endpoint's URL that apprise can't use",
        "compare it with [the examples](operate.md#alerts)",
    ),
    "E-CFG-074": Code(
        "a package of an optional extra is not installed", "install it as the line says"
    ),
    "FEES-MISSING": Code(
        "nobody tells the fees of a run on paper or of a backtest",
        '`[venues.NAME.fees]`, or `fees = "none"` if there are truly none',
    ),
    "STATE-UNWRITABLE": Code(
        "a folder of the run takes no file", "free the disk, mend its mode, or name another folder"
    ),
    "E-SEC-001": Code(
        "a secret written into the config",
        "put it into a file of mode 0600 or the environment, name that; and change the secret",
    ),
    "E-SEC-002": Code("the environment variable is not set", "export it before the start"),
    "E-SEC-003": Code("the secret is empty", "put the credential there"),
    "E-SEC-004": Code(
        "the secret's file does not exist or can't be read", "mend the path or the owner"
    ),
    "E-SEC-005": Code("the secret's file is not a regular file", "name a plain file"),
    "E-SEC-006": Code("the secret's file can be read by others", "chmod 600"),
    "E-SEC-007": Code(
        "the secret is larger than one may be, or not text of one line",
        "look whether it is the right file",
    ),
    "E-SEC-008": Code(
        "the secret is not a readable PEM private key", "export the key again, as PEM"
    ),
    "E-SEC-009": Code("the PEM private key is encrypted", "decrypt it into a file of mode 0600"),
    "E-SEC-010": Code(
        "the PEM is not a private key", "name the private half; a public key was found"
    ),
}
