"""`depth`: how far everything is."""

from __future__ import annotations

from typing import ClassVar

from augforge.data.pictures.values import Values


class Depth(Values):
    """How far every pixel is, in units of the source (such as mm); 0 is unknown."""

    name: ClassVar[str] = "depth"
    about: ClassVar[str] = "How far each pixel of the image is, in the units of the source; 0 is unknown."
