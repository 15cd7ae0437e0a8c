"""Simulated venues: one small exchange, what drives its markets, and the shells that serve it.

A venue's `simulator.py` translates its wire protocol to `exchange.Exchange` and back; everything
that is not wire format is here.

exchange.py   `Exchange(markets, ExchangeOptions)`. Users' half: `open_account`, `adjust` (deposit,
              withdraw), `submit`, `deal`, `cancel`, `amend`, `order`, `order_by_client_id`,
              `orders`, `open_orders`. The market's half: `set_level`, `replace_background`,
              `sweep`, `print_trade`, `halt`. Every changing call takes `now_ns`; answers are the
              live `SimOrder` or a `Refusal(code, message)`. State is there to be read:
              `exchange.markets[id].book.bids.levels(20)`, `.book.asks`, `.tape.trades`,
              `.tape.bars(start_of, since_ns)`, `.tape.day(now_ns)`, `exchange.ledger`.
              `ExchangeListener` (append one to `exchange.listeners`) hears order changes, fills,
              trades, each changed book level with its new total size, and balance changes:
              override what a venue pushes.
orders.py     The values: `MarketSpec`, `FeeSchedule.per_side` or `.maker_taker`, `NewOrder` (price
              None is a market order; `quote_amount` for market buys by value; `trigger_price` and
              `trigger_condition` make a stop), `SimOrder`, `Status`, `Refusal`, ledger entries.
ledger.py     Balances with holds, and the true record that tests compare with the engine's journal.
market.py     `MarketDriver(exchange, flows, now_ns)` with one flow per market: `SeededFlow`, or
replay.py     `ReplayFlow(spec, CatalogReplay(path, instrument_id))`. `driver.paused` stops them.
faults.py     `Faults(seed, profile)`: `faults.next("POST", "/v1/orders", "lose_answer")` programs
              one; profiles `mild` and `bad` draw them from the seed.
venue.py      What a venue is: the `SimulatedVenue` protocol, requests and answers.
shell.py      `SimState`, a venue but for its wire: account, funds, markets, flows, faults.
routes.py     `Routes` from a request to its `Endpoint`, `ApiError`, `RateWindows`.
push.py       `MarketNews`: trades, books and tickers that a stream has to tell of.
server.py     `await serve(venue)` on loopback.
memory.py     `InMemoryHttp`, `InMemoryWs`, `tick`: the same in one event loop without sockets.
control.py    `/_sim/...` for tests in other processes: ledger, balances, book, faults, market.

A venue's `simulator_state.py` derives from `SimState` what its handlers get; its `simulator.py`
derives from that state a `SimulatedVenue`: `http` (request to answer), `open_session` (a WebSocket;
send with `opened.send`), `advance` (run `driver.advance(now_ns)`, timers, then publish what
listeners collected), `describe` (URLs, and `credentials` by the adapter's credential names, which
`fairlead venue` writes to files of mode 0600), `take_credentials`; and calls it `create`, which the
registry finds there.
Take the time of a request from `exchange.now_ns`: the server advances the venue before each one.
`adapters/oceanex/simulator*.py` is the example to follow.
"""
