"""What a street stands between: the ground, the skyline, and a row of houses on either side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augforge.io.sample_sets.streets.canvas import FINE, HEIGHT, WIDTH, Colour, Point, Surface, Whole, inside
from augforge.io.sample_sets.streets.view import (
    BUILDING,
    FAR,
    MARKING,
    NEAR,
    NOTHING,
    PAVEMENT,
    ROAD,
    SKY,
    TREE,
    View,
    scaled,
)

FLOOR, BAY = 310, 260
"""The height of a floor, and how wide a wall is for one window."""
WALLS: tuple[Colour, ...] = (
    (176, 140, 112), (168, 112, 90), (186, 160, 132), (158, 140, 126), (178, 134, 106), (150, 128, 116),
    (188, 164, 124), (160, 150, 144), (188, 168, 152), (152, 108, 92),
)  # fmt: skip
FRONTS: tuple[Colour, ...] = ((120, 40, 44), (38, 84, 78), (48, 62, 110), (190, 150, 60), (70, 66, 64))
LIT: tuple[Colour, ...] = ((255, 206, 122), (255, 224, 168), (236, 190, 130), (190, 214, 240))


def draw_ground(view: View) -> None:
    """Meadow, pavement, kerbs, road and its markings."""
    (_, horizon), far = view.vanishing, view.at(0, 0, FAR)[1]
    view.canvas.rectangle(Surface(NOTHING, view.shade((104, 118, 78), 900), rough=16), 0, horizon, FINE * WIDTH, 9999)
    paving = Surface(PAVEMENT, view.shade((156, 151, 145), 500), rough=12)
    view.canvas.rectangle(paving, 0, horizon, FINE * WIDTH, far)
    view.flat(paving, (view.left - view.walk, view.right + view.walk), (NEAR, FAR))
    kerb = Surface(PAVEMENT, view.shade((188, 186, 180), 500), rough=6)
    view.flat(kerb, (view.left - 22, view.right + 22), (NEAR, FAR))
    view.flat(Surface(ROAD, view.shade((92, 93, 98), 300), rough=14), (view.left, view.right), (NEAR, FAR))
    _draw_markings(view)


def _draw_markings(view: View) -> None:
    """A dashed line in the middle, perhaps lines along the kerbs and a zebra crossing."""
    middle, white = (view.left + view.right) // 2, (226, 226, 220)
    start = view.pick(0, 500)
    for z in range(NEAR + start, FAR // 2, 700):
        view.flat(Surface(MARKING, view.shade(white, z), rough=8), (middle - 8, middle + 8), (z, z + 320))
    if view.chance(50):
        line = Surface(MARKING, view.shade(white, 700), rough=8)
        for x in (view.left + 40, view.right - 52):
            view.flat(line, (x, x + 12), (NEAR, FAR // 2))
    if view.chance(40):
        z = view.pick(700, 1800)
        for x in range(view.left + 40, view.right - 70, 110):
            view.flat(Surface(MARKING, view.shade(white, z), rough=8), (x, x + 55), (z, z + 300))


def draw_skyline(view: View) -> None:
    """What closes the street far away: hills or woods, and houses and towers in the haze."""
    horizon, walls = view.vanishing[1], view.one(WALLS)
    for x in range(-40, FINE * WIDTH + 40, 24):
        if view.chance(60):
            green = Surface(TREE, view.shade((74, 102, 66), 9000, view.pick(85, 110)), rough=8)
            view.canvas.ellipse(green, (x, horizon), (view.pick(16, 36), view.pick(8, 24)))
    for _ in range(view.pick(3, 9)):
        wide, high = view.pick(14, 48), view.pick(10, 70)
        left = view.pick(0, FINE * WIDTH)
        wall = Surface(BUILDING, view.shade(walls, 10000, view.pick(80, 110)), rough=5)
        view.canvas.rectangle(wall, left, horizon - high, left + wide, horizon + 9)
        if view.night:
            _light_far_windows(view, left, horizon - high, wide, high)


def _light_far_windows(view: View, left: int, top: int, wide: int, high: int) -> None:
    lit = Surface(BUILDING, (120, 100, 70), light=scaled(view.one(LIT), 55))
    for _ in range(wide * high // 120):
        x, y = left + view.pick(1, max(wide - 4, 1)), top + view.pick(2, max(high - 4, 2))
        view.canvas.rectangle(lit, x, y, x + 3, y + 3)


def draw_row(view: View, side: int) -> None:
    """Houses from far to near on the left (-1) or right (1), with a gap here and there."""
    line = view.kerb(side) + side * view.walk
    ends, z = [], view.pick(NEAR, 600)
    while z < FAR:
        length = BAY * view.pick(3, 8)
        if view.chance(88):
            ends.append((z, min(z + length, FAR)))
        z += length + (view.pick(200, 700) if view.chance(25) else 0)
    for near, far in reversed(ends):
        _draw_house(view, side, line, near, far)


def _draw_house(view: View, side: int, line: int, near: int, far: int) -> None:
    """The wall that faces the camera, where it shows, and the wall along the street."""
    floors, colour = view.pick(2, 6), view.one(WALLS)
    height = floors * FLOOR + view.pick(40, 120)
    bright = 100 if side != view.sunny_side else 74
    columns = (far - near) // BAY + 1
    windows = _windows(view, colour, floors, columns, (near + far) // 2, bright)
    gable = Surface(BUILDING, view.shade(colour, near, 88), rough=10)
    if view.chance(50):
        width = view.pick(600, 1000)
        (x1, y1), (x2, y2) = view.at(line, height, near), view.at(line + side * width, 0, near)
        view.canvas.rectangle(gable, min(x1, x2), y1, max(x1, x2), y2)
    corners = [view.at(line, y, z) for y, z in ((0, near), (height, near), (height, far), (0, far))]
    _draw_wall(view, corners, line, near, windows)
    _draw_eaves(view, line, height, near, far, scaled(colour, bright * 7 // 10))


def _windows(view: View, colour: Colour, floors: int, columns: int, z: int, bright: int) -> NDArray[np.int16]:
    """(3, floors + 1, columns) the surfaces of every bay: its wall, what its opening shows, and its frame."""
    number = view.canvas.number
    wall = number(Surface(BUILDING, view.shade(colour, z, bright), rough=12))
    frame = number(Surface(BUILDING, view.shade(colour, z, bright * 5 // 4), rough=4))
    glass = [Surface(BUILDING, view.shade((70, 84, 100), z, view.pick(70, 150)), rough=3) for _ in range(3)]
    lamps = [Surface(BUILDING, (140, 120, 90), light=scaled(view.one(LIT), view.pick(60, 100))) for _ in range(2)]
    shop, shines = view.one(FRONTS), view.chance(40)
    table = np.full((3, floors + 1, columns), wall, np.int16)
    table[2] = frame
    _fill_openings(view, table[1], glass, lamps, shines)
    if shines or view.chance(30):
        table[0, 0] = table[2, 0] = number(Surface(BUILDING, view.shade(shop, z, bright), rough=4))
    return table


def _fill_openings(
    view: View, openings: NDArray[np.int16], glass: list[Surface], lamps: list[Surface], shines: bool
) -> None:
    """Choose what each of the openings (floors + 1, columns) shows: at night some are lit, as a whole shop may be."""
    lit_share = view.pick(10, 45)
    floors, columns = openings.shape
    for floor in range(floors - 1):
        for column in range(columns):
            lit = view.night and (view.chance(lit_share) or (floor == 0 and shines))
            openings[floor, column] = view.canvas.number((lamps if lit else glass)[view.pick(0, 1)])


def _draw_wall(view: View, corners: list[Point], line: int, near: int, windows: NDArray[np.int16]) -> None:
    """The wall along the street: for every point, the place on the wall and so what is there, in whole numbers."""
    box = view.canvas.box(corners)
    if box is None:
        return
    columns, rows = view.canvas.grid(box)
    aside = columns - 2 * view.vanishing[0]
    along = 2 * view.focus * line // np.where(aside == 0, 1, aside)
    high = view.camera - (rows - 2 * view.vanishing[1]) * along // (2 * view.focus)
    view.canvas.paint(box, inside(corners, columns, rows), _bays(along - near, high, windows))


def _bays(along: Whole, high: Whole, windows: NDArray[np.int16]) -> NDArray[np.int16]:
    """(h, w) the surface at places on a wall: `along` (1, w) and `high` (h, w) in cm."""
    _, floors, columns = windows.shape
    column, floor = (along // BAY).clip(0, columns - 1), (high // FLOOR).clip(0, floors - 1)
    u, v = along % BAY, high % FLOOR
    shop = floor == 0
    low = np.where(shop, 10, 95)
    opening = (u >= 75) & (u < 190) & (v >= low) & (v < 245)
    framed = (u >= 62) & (u < 203) & (v >= low - 14) & (v < 260)
    part = np.where(opening, 1, np.where(framed, 2, 0))
    return np.asarray(windows[part, floor, np.broadcast_to(column, floor.shape)])


def _draw_eaves(view: View, line: int, height: int, near: int, far: int, colour: Colour) -> None:
    edge = Surface(BUILDING, view.shade(colour, (near + far) // 2), rough=4)
    places = ((height, near), (height + 34, near), (height + 34, far), (height, far))
    view.canvas.polygon(edge, [view.at(line, y, z) for y, z in places])


def draw_heavens(view: View) -> None:
    """The sun by day, if it is in sight, the moon and the stars at night."""
    if view.night:
        for _ in range(view.pick(0, 50)):
            x, y = view.pick(0, FINE * WIDTH), view.pick(0, view.vanishing[1])
            view.canvas.rectangle(Surface(SKY, (0, 0, 0), light=(110, 114, 130)), x, y, x + 2, y + 2)
    if view.chance(35) and (view.night or view.weather < 2):
        light = (225, 226, 214) if view.night else (255, 250, 226)
        middle = view.pick(40, FINE * WIDTH - 40), view.pick(16, FINE * HEIGHT // 4)
        view.canvas.ellipse(Surface(SKY, (0, 0, 0), light=light), middle, (13, 13))
