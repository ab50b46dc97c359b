"""`instances`: which thing is seen where."""

from __future__ import annotations

from typing import ClassVar

from augforge.data.pictures.values import Values


class Instances(Values):
    """Which thing every pixel belongs to, by its number; 0 is none."""

    name: ClassVar[str] = "instances"
    about: ClassVar[str] = "The number of the thing that each pixel of the image belongs to; 0 is none."
