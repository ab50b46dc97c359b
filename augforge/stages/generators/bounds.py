"""How large an image may become: one that is much longer than wide grows beyond all bounds with its shorter side."""

from __future__ import annotations

MOST = 1 << 19
"""px that any image may be resized to."""
LONGEST = 16
"""An image may be so many times as long as wide, however large it gets."""
MOST_AS_IT_IS = 1 << 25
"""px of an image that goes through a network in its own size: 8K, for which the built-in layout takes gigabytes."""

MOST_OPERATED_ON = 1 << 24
"""px of an image that an operator takes in its own size: in numbers of 64 bits it takes 400 MB, several times."""


def too_long(width: int, height: int, side: int) -> str:
    """Why an image of `width` x `height` px is not resized to a shorter side of `side` px, "" if it can be."""
    scale = side / min(width, height)
    large = round(width * scale), round(height * scale)
    if large[0] * large[1] <= max(MOST, LONGEST * side * side):
        return ""
    return f"its parent of {width}x{height} px is too long: it would become {large[0]}x{large[1]} px"


def too_large(width: int, height: int, remedy: str = "give a size") -> str:
    """Why an image of `width` x `height` px does not go through a network as it is, and the remedy; "" if it can."""
    if width * height <= MOST_AS_IT_IS:
        return ""
    return f"its parent of {width}x{height} px is over {MOST_AS_IT_IS:,} px: {remedy}"
