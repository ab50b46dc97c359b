"""One of the processes of `Processes`: `python -m augforge.engine.engines.process FD RANK SHARE`."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from threading import Lock, Thread

from augforge.engine.engines.orders import Answer
from augforge.engine.engines.worker import Worker


def main() -> None:
    """Follow the orders that come through the connection with the number FD, until it is closed at the other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one sees it, and closes the connection
    number, rank, share = map(int, sys.argv[1:])
    connection, one = Connection(number), Lock()
    worker = Worker(rank, share)

    def reply(answer: Answer) -> None:
        with one:
            connection.send(answer)

    def read() -> None:
        """In a thread, so that who hands something never waits for the model."""
        try:
            while True:
                worker.tell(connection.recv(), reply)
        except (EOFError, OSError):
            os._exit(0)  # nobody waits for what is under way; parts are written whole or not at all
        except Exception:  # an order that cannot be read here: without an end, the other side would wait for ever
            traceback.print_exc()
            os._exit(1)

    Thread(target=read, daemon=True).start()
    worker.serve()


if __name__ == "__main__":
    main()
