"""`fairlead` with Zerocap among its adapters, which the registry does not offer yet.

python -m tests.venues.zerocap.offered VERB ...
"""

from __future__ import annotations

from fairlead.adapters import registry
from fairlead.adapters.zerocap.adapter import SPEC
from fairlead.engine.cli.app import app

if __name__ == "__main__":
    with registry.registered(SPEC):
        app(prog_name="fairlead")
