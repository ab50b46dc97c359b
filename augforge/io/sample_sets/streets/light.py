"""From a drawing to a picture: daylight with sky and haze, or night with lamps, cones, pools of light and glow.

Only sums, products, quotients and whole-number draws: no function of a mathematics library, which differ by platform.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.io.sample_sets.streets.canvas import FINE, HEIGHT, WIDTH, Colour
from augforge.io.sample_sets.streets.view import GROUND, SKY, Lamp, View

Float = NDArray[np.floating[Any]]
SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((104, 150, 212), (204, 218, 230)), ((124, 164, 214), (216, 222, 226)), ((148, 172, 204), (212, 216, 220)),
    ((112, 146, 204), (232, 214, 190)),
)  # fmt: skip
"""Colours of the sky by day in each weather: at the top of the picture, and at the horizon."""
DARKS: tuple[tuple[Colour, Colour], ...] = (
    ((7, 9, 20), (34, 32, 46)),
    ((4, 6, 14), (46, 36, 34)),
    ((12, 14, 26), (28, 34, 50)),
)
SUNS: tuple[Colour, ...] = ((255, 250, 240), (250, 250, 250), (226, 228, 232), (255, 236, 214))


def by_day(view: View) -> NDArray[np.uint8]:
    """(HEIGHT, WIDTH, 3) the picture of a scene by day."""
    sun = _colour(SUNS[view.weather]) * np.float32(view.pick(92, 108) / 100)
    picture = _albedo(view) * sun + _light(view)
    sky = _sky(view, SKIES[view.weather])
    if view.chance(75):
        thick = _clouds(view)[..., None]
        sky = sky + (np.float32(0.95) - sky) * thick * np.float32(view.pick(30, 90) / 100)
    return _finish(view, picture + view.canvas.share([SKY])[..., None] * sky, view.pick(3, 6))


def by_night(view: View) -> NDArray[np.uint8]:
    """(HEIGHT, WIDTH, 3) the picture of a scene at night."""
    albedo, ground = _albedo(view), view.canvas.share(GROUND)
    lit = np.zeros((HEIGHT, WIDTH, 3), np.float32) + _colour((27, 29, 44)) * np.float32(view.pick(80, 130) / 100)
    lit += _own_headlights(view)[..., None] * ground[..., None] * _colour((120, 114, 98))
    glow = np.zeros_like(lit)
    for lamp in view.lamps:
        lit += _pool(lamp, ground)[..., None] * _colour(lamp.colour)
        glow += _halo(lamp)[..., None] * _colour(lamp.colour)
    sky = _sky(view, DARKS[view.pick(0, len(DARKS) - 1)])
    picture = albedo * lit + _light(view) + glow + view.canvas.share([SKY])[..., None] * sky
    return _finish(view, picture, view.pick(4, 9))


def _colour(colour: Colour) -> Float:
    return np.array(colour, np.float32) / np.float32(255)


def _rows() -> Float:
    return (np.arange(HEIGHT, dtype=np.float32) + np.float32(0.5))[:, None]


def _columns() -> Float:
    return (np.arange(WIDTH, dtype=np.float32) + np.float32(0.5))[None, :]


def _albedo(view: View) -> Float:
    """The colour of things, 0 to 1, with their roughness as noise in two sizes."""
    surfaces = view.canvas.surfaces
    rough = view.canvas.mean(surface.rough for surface in surfaces)
    grain = _noise(view, 1) + _noise(view, 5)
    return view.canvas.mean(surface.colour for surface in surfaces) * (1 + 2 * rough * grain)[..., None]


def _light(view: View) -> Float:
    return view.canvas.mean(surface.light for surface in view.canvas.surfaces)


def _sky(view: View, colours: tuple[Colour, Colour]) -> Float:
    """(HEIGHT, 1, 3) from the colour at the top to that at the horizon."""
    share = np.minimum(_rows() / np.float32(view.vanishing[1] / FINE), 1)[..., None]
    found: Float = _colour(colours[0]) * (1 - share) + _colour(colours[1]) * share
    return found


def _clouds(view: View) -> Float:
    """(HEIGHT, WIDTH) how thick the clouds are, 0 to 1."""
    rolling = _noise(view, 34, 12) + np.float32(0.5) * _noise(view, 13, 6) + np.float32(0.25) * _noise(view, 6, 3)
    thick: Float = np.clip(rolling * np.float32(1.8) + np.float32(view.pick(-20, 60) / 100), 0, 1)
    return thick


def _noise(view: View, width: int, height: int = 0) -> Float:
    """(HEIGHT, WIDTH) in -0.5 to 0.5, smooth over cells of so many px."""
    cells = (HEIGHT // (height or width) + 2, WIDTH // width + 2)
    coarse = view.random.integers(-128, 128, cells).astype(np.float32) / np.float32(256)
    rows, down = _between(HEIGHT, height or width)
    columns, across = _between(WIDTH, width)
    upper, lower = coarse[rows], coarse[rows + 1]
    band = upper + (lower - upper) * down[:, None]
    return band[:, columns] + (band[:, columns + 1] - band[:, columns]) * across


def _between(length: int, cell: int) -> tuple[NDArray[np.int64], Float]:
    """The cell that each px lies in, and how far in it lies, eased by 3t^2 - 2t^3."""
    places = np.arange(length)
    part = (places % cell).astype(np.float32) / np.float32(cell)
    return places // cell, part * part * (3 - 2 * part)


def _away(lamp: Lamp, drop: int = 0, wide: float = 1.0, high: float = 1.0) -> Float:
    """(HEIGHT, WIDTH) squared distance from `drop` points below a lamp, in units of `wide` and `high` metres."""
    metre = np.float32(max(lamp.metre, 4) / FINE)
    across = (_columns() - np.float32(lamp.place[0] / FINE)) / (metre * np.float32(wide))
    down = (_rows() - np.float32((lamp.place[1] + drop) / FINE)) / (metre * np.float32(high))
    return across * across + down * down


def _pool(lamp: Lamp, ground: Float) -> Float:
    """How much light of a lamp falls on things: around its foot on the ground, around itself on the rest."""
    if lamp.post:
        near = 1 / (1 + _away(lamp, lamp.drop, 3.0, 1.0)) ** 2
        around = 1 / (1 + _away(lamp, lamp.drop // 2, 3.4, 3.0)) ** 2
        return np.float32(1.0) * ground * near + np.float32(0.55) * (1 - ground * np.float32(0.6)) * around
    ahead = 1 / (1 + _away(lamp, lamp.drop * 3 // 2, 1.2, 0.7)) ** 2
    return np.float32(0.8) * ground * ahead


def _halo(lamp: Lamp) -> Float:
    """The glow of a lamp in the air, and the cone below a lamp post."""
    halo: Float = np.float32(0.7) / (1 + 8 * _away(lamp)) ** 2
    if not lamp.post:
        return halo
    top, length = np.float32(lamp.place[1] / FINE), np.float32(max(lamp.drop, FINE) / FINE)
    fall = (_rows() - top) / length
    half = np.maximum(fall, np.float32(0.02)) * length * np.float32(0.5)
    across = (_columns() - np.float32(lamp.place[0] / FINE)) / half
    beam: Float = (
        np.maximum(1 - across * across, 0) * ((fall > 0) & (fall < 1)) * np.maximum(1 - np.float32(0.75) * fall, 0)
    )
    return halo + np.float32(0.24) * beam


def _own_headlights(view: View) -> Float:
    """(HEIGHT, WIDTH) the light of the car that the camera is in: brightest some metres ahead."""
    horizon = np.float32(view.vanishing[1] / FINE)
    below = np.maximum(_rows() - horizon, 0) / (HEIGHT - horizon)
    across = (_columns() - np.float32(view.vanishing[0] / FINE)) / (
        WIDTH * (np.float32(0.12) + np.float32(0.4) * below)
    )
    found: Float = below * (np.float32(1.3) - below) * 2 / (1 + across * across) ** 2
    return found


def _finish(view: View, picture: Float, noise: int) -> NDArray[np.uint8]:
    """Bytes, with the grain of a sensor: up to so many of 255 either way."""
    grain = view.random.integers(-noise, noise + 1, picture.shape).astype(np.float32)
    return np.asarray(np.rint(np.clip(picture * 255 + grain, 0, 255)), np.uint8)
