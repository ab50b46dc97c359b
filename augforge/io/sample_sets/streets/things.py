"""What stands and moves in a street. Each function says how far away its things are, and how to draw them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from augforge.io.sample_sets.streets.canvas import Colour, Surface
from augforge.io.sample_sets.streets.view import CAR, FAR, PEDESTRIAN, POLE, SIGN, TREE, View, scaled

Thing = tuple[int, Callable[[], None]]
PAINTS: tuple[Colour, ...] = (
    (184, 30, 34), (30, 70, 150), (222, 222, 224), (40, 42, 46), (128, 134, 140), (212, 168, 40), (36, 98, 74),
    (160, 186, 204),
)  # fmt: skip
CLOTHES: tuple[Colour, ...] = (
    (170, 44, 50), (44, 70, 130), (60, 60, 64), (206, 196, 176), (70, 110, 80), (214, 150, 40),
)  # fmt: skip
SKINS: tuple[Colour, ...] = ((232, 190, 160), (188, 136, 100), (120, 80, 58))
GREENS: tuple[Colour, ...] = ((66, 112, 48), (84, 124, 52), (52, 96, 56), (112, 122, 50), (150, 110, 46))
LAMPLIGHT: tuple[Colour, ...] = ((255, 190, 110), (255, 222, 176), (236, 240, 255))
RED: Colour = (255, 42, 30)
PALE: Colour = (255, 246, 220)


def draw_things(view: View) -> None:
    """Everything in the street, from far to near."""
    things = [*_lamp_posts(view), *_trees(view), *_cars(view), *_people(view), *_signs(view)]
    for _, draw in sorted(things, key=lambda thing: -thing[0]):
        draw()


def _lamp_posts(view: View) -> Iterator[Thing]:
    height, step, colour = view.pick(520, 720), view.pick(1500, 2600), view.one(LAMPLIGHT)
    for side in (-1, 1) if view.chance(60) else (view.pick(0, 1) * 2 - 1,):
        for z in range(view.pick(700, 1500), FAR // 2, step):
            yield z, partial(_draw_lamp_post, view, side, z, height, colour)


def _draw_lamp_post(view: View, side: int, z: int, height: int, colour: Colour) -> None:
    x, iron = view.kerb(side) + side * 45, Surface(POLE, view.shade((70, 74, 76), z), rough=3)
    view.facing(iron, (x - 8, x + 8), (0, height), z)
    inner = x - side * 150
    view.facing(iron, (min(x, inner), max(x, inner)), (height - 12, height), z)
    light = scaled(colour, 100) if view.night else (0, 0, 0)
    view.facing(
        Surface(POLE, view.shade((210, 208, 196), z), light), (inner - 34, inner + 34), (height - 34, height - 12), z
    )
    view.light(inner, height - 30, z, colour, post=True)


def _trees(view: View) -> Iterator[Thing]:
    green, step, share = view.one(GREENS), view.pick(700, 1600), view.pick(10, 90)
    for side in (-1, 1):
        for z in range(view.pick(600, 1500), FAR * 2 // 3, step):
            if view.chance(share):
                yield z, partial(_draw_tree, view, side, z, green)


def _draw_tree(view: View, side: int, z: int, green: Colour) -> None:
    x, size = view.kerb(side) + side * view.pick(100, view.walk - 50), view.pick(95, 165)
    view.shadow((x - 110, x + 110), (z - 60, z + 120))
    view.facing(Surface(TREE, view.shade((88, 66, 50), z), rough=12), (x - 13, x + 13), (0, 3 * size), z)
    for shade, up, count in ((66, 0, 5), (86, 25, 5), (108, 55, 4)):
        leaves = Surface(TREE, view.shade(green, z, shade), rough=26)
        for _ in range(count):
            left, rise = view.pick(-size, size) * (150 - up) // 150, view.pick(0, size * 5 // 4)
            radius = size * view.pick(45, 75) // 100
            view.ball(leaves, x + left, 3 * size + rise + up, z, (radius, radius * 4 // 5))


def _cars(view: View) -> Iterator[Thing]:
    """Parked along the kerbs, and on their way in both lanes: right-hand traffic."""
    lane = (view.right - view.left) // 4
    for side in (-1, 1):
        share = view.pick(0, 60)
        for z in range(view.pick(700, 1300), FAR // 2, view.pick(620, 760)):
            if view.chance(share):
                x = view.kerb(side) - side * 105
                yield z, partial(_draw_car, view, x, z, side, parked=True)
        for _ in range(view.pick(0, 2)):
            x, z = view.left + lane * (1 if side < 0 else 3) - side * 20, view.pick(560, 4600)
            yield z, partial(_draw_car, view, x, z, side, parked=False)


def _draw_car(view: View, x: int, z: int, side: int, parked: bool) -> None:
    """A box with a cabin, seen from behind (on the right) or in front, and the flank that faces the middle."""
    paint, tall = view.one(PAINTS), view.pick(140, 175)
    length, half = view.pick(380, 460), view.pick(84, 94)
    belt = tall * 58 // 100
    view.shadow((x - half - 14, x + half + 14), (z - 25, z + length))
    flank = x - half if x > 0 else x + half
    body, dark = Surface(CAR, view.shade(paint, z, 78), rough=4), Surface(CAR, view.shade((36, 38, 42), z))
    glass = Surface(CAR, view.shade((66, 80, 92), z, 90 if view.night else 120))
    lower = ((26, 0), (belt, 0), (belt, length), (26, length))
    upper = ((belt, 50), (tall, 110), (tall, length - 90), (belt, length - 20))
    pane = ((belt + 6, 80), (tall - 10, 120), (tall - 10, length - 110), (belt + 6, length - 70))
    for surface, outline in ((body, lower), (body, upper), (glass, pane)):
        view.canvas.polygon(surface, [view.at(flank, y, z + ahead) for y, ahead in outline])
    for ahead in (75, length - 85):
        (left, bottom), (right, _) = view.at(flank, 0, z + ahead - 33), view.at(flank, 0, z + ahead + 33)
        high = view.focus * 32 // (z + ahead)
        view.canvas.ellipse(dark, ((left + right) // 2, bottom - high), (abs(right - left) // 2, high))
    _draw_end(view, x, z, half, (belt, tall), paint)
    _draw_lights(view, (x - half + 4, x + half - 32), belt, z, side, lit=view.night and not parked)


def _draw_end(view: View, x: int, z: int, half: int, heights: tuple[int, int], paint: Colour) -> None:
    """What faces the camera: wheels, bumper, body, cabin and window."""
    belt, tall = heights
    body, dark = Surface(CAR, view.shade(paint, z), rough=4), Surface(CAR, view.shade((34, 36, 40), z))
    for left in (x - half + 6, x + half - 34):
        view.facing(dark, (left, left + 28), (0, 40), z)
    lid = [view.at(x + a, belt, z + b) for a, b in ((-half, 0), (half, 0), (half, 60), (-half, 60))]
    view.canvas.polygon(Surface(CAR, view.shade(paint, z, 112), rough=4), lid)
    roof = Surface(CAR, view.shade(paint, z, 106), rough=4)
    glass = Surface(CAR, view.shade((58, 70, 82), z, 90 if view.night else 115))
    _draw_outline(view, roof, x, z + 40, ((half - 6, belt), (half - 26, tall)))
    _draw_outline(view, glass, x, z + 40, ((half - 20, belt + 4), (half - 34, tall - 10)))
    view.facing(body, (x - half, x + half), (26, belt), z)
    view.facing(dark, (x - half, x + half), (22, 38), z)
    view.facing(Surface(CAR, view.shade((214, 214, 206), z)), (x - 26, x + 26), (42, 54), z)


def _draw_outline(view: View, surface: Surface, x: int, z: int, half: Sequence[tuple[int, int]]) -> None:
    """Draw what is as wide to the left as to the right: points (x, y) of its right half, from below to above."""
    whole = [(x + a, y) for a, y in half] + [(x - a, y) for a, y in reversed(half)]
    view.canvas.polygon(surface, [view.at(a, y, z) for a, y in whole])


def _draw_lights(view: View, places: tuple[int, int], belt: int, z: int, side: int, lit: bool) -> None:
    """Two lights at `places`, their left edges, below the belt line of a car at `z`.

    Tail-lights on the right, where cars drive ahead; headlights on the left, where they come.
    """
    colour = RED if side > 0 else PALE
    glow = scaled(colour, 100) if lit else (0, 0, 0)
    lamp = Surface(CAR, view.shade(scaled(colour, 70), z), glow)
    for left in places:
        view.facing(lamp, (left, left + 28), (belt - 26, belt - 8), z)
        if lit:
            view.light(left + 14, belt - 16, z, colour)


def _people(view: View) -> Iterator[Thing]:
    for side in (-1, 1):
        for _ in range(view.pick(0, 4)):
            x, z = view.kerb(side) + side * view.pick(70, view.walk - 30), view.pick(600, 3600)
            yield z, partial(_draw_person, view, x, z)
    if view.chance(20):
        x, z = view.pick(view.left, view.right), view.pick(1000, 2600)
        yield z, partial(_draw_person, view, x, z)


def _draw_person(view: View, x: int, z: int) -> None:
    tall, stride = view.pick(150, 190), view.pick(4, 26)
    coat, legs = view.one(CLOTHES), view.one(CLOTHES)
    hip, neck = tall * 48 // 100, tall * 84 // 100
    view.shadow((x - 26, x + 26), (z - 20, z + 30))
    trousers = Surface(PEDESTRIAN, view.shade(legs, z, 70))
    for foot in (x - stride, x + stride):
        view.canvas.polygon(
            trousers,
            [view.at(foot - 8, 0, z), view.at(foot + 8, 0, z), view.at(x + 13, hip, z), view.at(x - 13, hip, z)],
        )
    cloth = Surface(PEDESTRIAN, view.shade(coat, z), rough=6)
    outline = (
        (x - 17, hip - 12),
        (x + 17, hip - 12),
        (x + 23, neck - 6),
        (x + 14, neck),
        (x - 14, neck),
        (x - 23, neck - 6),
    )
    view.canvas.polygon(cloth, [view.at(a, b, z) for a, b in outline])
    view.ball(Surface(PEDESTRIAN, view.shade(view.one(SKINS), z)), x, tall - 13, z, (12, 15))


def _signs(view: View) -> Iterator[Thing]:
    for side in (-1, 1):
        for _ in range(view.pick(0, 2)):
            z, form = view.pick(800, 3200), view.pick(0, 2)
            yield z, partial(_draw_sign, view, side, z, form)


def _draw_sign(view: View, side: int, z: int, form: int) -> None:
    """A round, a triangular or a square sign on its pole."""
    x, y = view.kerb(side) + side * 60, view.pick(230, 270)
    view.facing(Surface(POLE, view.shade((130, 132, 134), z)), (x - 5, x + 5), (0, y), z)
    red, white, blue = (
        Surface(SIGN, view.shade(colour, z)) for colour in ((196, 26, 30), (236, 236, 232), (24, 74, 168))
    )
    if form == 0:
        view.ball(red, x, y, z, (38, 38))
        view.ball(white, x, y, z, (26, 26))
    elif form == 1:
        for surface, size in ((red, 44), (white, 24)):
            _draw_outline(view, surface, x, z, ((size, y - size * 7 // 10), (0, y + size)))
    else:
        view.facing(blue, (x - 36, x + 36), (y - 36, y + 36), z)
        view.facing(white, (x - 14, x + 14), (y - 24, y + 24), z)
