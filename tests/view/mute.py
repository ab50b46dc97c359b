"""A process that never answers."""

import time

time.sleep(30)
