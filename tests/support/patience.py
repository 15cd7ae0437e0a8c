"""How long a test waits for what must come."""

from __future__ import annotations

# Reached only when what a test waits for never comes: also on a machine whose cores are all busy
# with other work, where everything takes many times as long.
PATIENCE_SECS = 300.0
