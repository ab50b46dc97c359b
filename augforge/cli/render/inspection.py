"""How a source looks in a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from augforge.cli.render.base import more, print_json, say

if TYPE_CHECKING:
    from augforge.report.inspection import Inspection


def inspect_and_show(text: str, png: Path | None, limit: int, as_json: bool) -> None:
    """Say what a source is understood to be, and write the sheet of examples if one is asked for."""
    from augforge.io import detect, open_source
    from augforge.report.inspection import check_free, inspected

    if png is not None:
        check_free(png)
    found = inspected(open_source(*detect(text)), limit)
    if png is not None:
        found.png(png)
    if as_json:
        print_json(found.plain())
        return
    _show(found)
    if png is not None:
        say(f"{png}: {_images(len(found.examples))}")
    else:
        say("--png FILE draws examples, with their annotations")


def _images(count: int) -> str:
    return f"{count:,} image{'s' * (count != 1)}"


def _show(found: Inspection) -> None:
    say(str(found))
    for name, (images, things) in found.annotations.items():
        say(f"  {name}: {things:,} in {_images(images)}")
    for locator, problem in found.bad:
        say(f"  {locator}: {problem}")
    if found.told.bad > len(found.bad):
        say(f"  {more(found.told.bad - len(found.bad), 'a run has all in samples.parquet')}")
    for one in found.examples:
        for wrong in one.wrong:
            say(f"  {one.locator}: {wrong}")
