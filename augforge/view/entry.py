"""The file by which a browser is sent to the page.

A browser is opened by starting a program with an address, and the arguments of a program can be read by every user of
the machine. So it is given the address of a file that leads on to the page, which its user alone can read.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from augforge.errors import AugforgeError

BY_HAND = "see to the temporary folder (TMPDIR), or give --no-browser and open the address that is printed"
PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={address}">
<title>augforge view</title>
<p><a href="{address}">Open the page</a></p>
"""


class Entry:
    """A file that leads on to `address`, in a temporary folder of its own, until it is removed.

    Raises:
        AugforgeError: it cannot be written.
    """

    def __init__(self, address: str) -> None:
        try:
            self._folder = TemporaryDirectory(prefix="augforge-view-")  # of mode 0700
            path = Path(self._folder.name) / "open.html"
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(PAGE.format(address=escape(address)))
        except OSError as error:
            raise AugforgeError(f"the file that opens the browser cannot be written: {error}", BY_HAND) from error
        self.url = path.as_uri()

    def remove(self) -> None:
        """Take the file away, if that has not been done."""
        self._folder.cleanup()
