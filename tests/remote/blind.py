"""A wrong worker: it takes the folder of the driver for its own, and writes into it what nobody will ever read."""

from __future__ import annotations

from augforge.engine.engines import process, worker

if __name__ == "__main__":
    worker.is_visible = lambda task: True
    worker.away_from = lambda task: None
    process.main()
