"""Pictures in a terminal: the protocols of kitty, iTerm2 and sixel, and which of them a terminal understands."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING

from augforge.cli.terminal.keys import Terminal

if TYPE_CHECKING:
    from PIL.Image import Image

SECONDS = 0.5
"""How long a terminal has to answer."""
QUESTION = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c"
"""Whether it would show a pixel by kitty's protocol, and what it is; every terminal answers the second."""
ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")
SIXEL = "4"
"""The attribute of a terminal that shows sixels."""
CHUNK = 4096
CELL = 8, 16
"""Pixels of a character that are assumed."""
LARGEST, SMALLEST = (640, 480), 160
COLOURS = 128


def understood_by(terminal: Terminal, environment: Mapping[str, str] = os.environ) -> str:
    """The protocol that a terminal understands: "kitty", "iterm" or "sixel"; "" for none.

    The environment says so of those that have a name; others are asked, and have half a second. In tmux, which passes
    nothing on unless it is told to, only what it answers itself counts.
    """
    inside = "TMUX" in environment
    if not inside and (named := _named(environment)):
        return named
    answer = terminal.answer(QUESTION, lambda found: ATTRIBUTES.search(found) is not None, SECONDS)
    if b"_Gi=31;OK" in answer and not inside:
        return "kitty"
    found = ATTRIBUTES.search(answer)
    return "sixel" if found and SIXEL in found[1].decode().split(";") else ""


def _named(environment: Mapping[str, str]) -> str:
    program = environment.get("TERM_PROGRAM", "")
    if (
        "KITTY_WINDOW_ID" in environment
        or environment.get("TERM") == "xterm-kitty"
        or program in ("ghostty", "WezTerm")
    ):
        return "kitty"
    if program == "iTerm.app" or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    return ""


def fitted(image: Image, size: tuple[int, int]) -> Image:
    """An image as large as the columns and rows `size` allow; a small one is enlarged, its pixels as squares."""
    from PIL.Image import Resampling

    room = [min(most, count * cell) for most, count, cell in zip(LARGEST, size, CELL, strict=True)]
    wanted = max(1, SMALLEST // max(image.size))
    scale = min(wanted, *(r / side for r, side in zip(room, image.size, strict=True)))
    how = Resampling.NEAREST if scale > 1 else Resampling.BOX
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.convert("RGB").resize((width, height), how)


def kitty(image: Image) -> bytes:
    """An RGB image in kitty's protocol: PNG in base64, in parts of 4,096 characters."""
    data = b64encode(_png(image))
    parts = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    sent = b""
    for number, part in enumerate(parts):
        more = b"m=%d" % (number + 1 < len(parts))
        sent += b"\x1b_G" + (b"a=T,f=100,q=2," if number == 0 else b"") + more + b";" + part + b"\x1b\\"
    return sent


def iterm(image: Image) -> bytes:
    """An RGB image in the protocol of iTerm2."""
    data = _png(image)
    about = f"inline=1;size={len(data)};width={image.width}px;height={image.height}px"
    return b"\x1b]1337;File=" + about.encode() + b":" + b64encode(data) + b"\x07"


def sixel(image: Image) -> bytes:
    """An RGB image in sixels, in at most 128 colours: six rows at a time, and of these one colour after the other."""
    import numpy as np

    few = image.quantize(COLOURS)
    palette = np.asarray(few.getpalette() or [0, 0, 0], dtype=np.int64).reshape(-1, 3)
    pixels = np.asarray(few)
    used = np.unique(pixels).tolist()
    shares = np.round(palette * 100 / 255).astype(int).tolist()
    sent = f'\x1bPq"1;1;{image.width};{image.height}'
    sent += "".join(f"#{number};2;{';'.join(map(str, shares[number]))}" for number in used)
    for top in range(0, image.height, 6):
        band = pixels[top : top + 6]
        rows = []
        for number in np.unique(band).tolist():
            bits = ((band == number) << np.arange(len(band))[:, None]).sum(axis=0)
            rows.append(f"#{number}" + _repeated((63 + bits).tolist()))
        sent += "$".join(rows) + "-"
    return (sent + "\x1b\\").encode()


PROTOCOLS: Mapping[str, Callable[[Image], bytes]] = {"kitty": kitty, "iterm": iterm, "sixel": sixel}


def _repeated(codes: list[int]) -> str:
    """Characters, with those that come more than thrice as a number and one of them."""
    from itertools import groupby

    runs = ((chr(code), len(list(same))) for code, same in groupby(codes))
    return "".join(f"!{count}{sign}" if count > 3 else sign * count for sign, count in runs)


def _png(image: Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
