"""A strategy whose module takes long to import, and says that it is at it."""

import os
import time
from pathlib import Path

from tests.live.scripted import Scripted as Base

IMPORT_SECS = 30

if told := os.environ.get("SLOW_MODULE_FILE"):
    Path(told).touch()
    time.sleep(IMPORT_SECS)


class Scripted(Base):
    pass
