"""Pictures, by the id of a sample alone: always WebP that was encoded here."""

from __future__ import annotations

from starlette.responses import Response

from augforge.view.asked import Asked, Handler
from augforge.view.refusals import bad_request
from augforge.view.thumbs import LARGEST, SIDES

DAY = 86_400


def thumb(asked: Asked) -> Response:
    """A thumbnail."""
    side = asked.number("side", 192, SIDES[0], SIDES[-1])
    if side not in SIDES:
        raise bad_request(f"there are no thumbnails of {side} px", "there are those of " + ", ".join(map(str, SIDES)))
    return _webp(asked.run.thumbs.thumb(asked.run.row(asked.path["id"]), side))


def image(asked: Asked) -> Response:
    """The picture itself."""
    side = asked.number("side", 2048, 1, LARGEST)
    return _webp(asked.run.thumbs.picture(asked.run.row(asked.path["id"]), side))


def picture(asked: Asked) -> Response:
    """A picture that goes with it."""
    side = asked.number("side", 512, 1, LARGEST)
    return _webp(asked.run.thumbs.beside(asked.run.row(asked.path["id"]), asked.path["name"], side))


def difference(asked: Asked) -> Response:
    """By how much a picture differs from its parent."""
    child, parent = asked.run.row(asked.path["id"]), asked.run.row(asked.path["parent"])
    data, mean = asked.run.thumbs.difference(child, parent, asked.number("side", 512, 1, LARGEST))
    answer = _webp(data)
    answer.headers["X-Mean-Difference"] = f"{mean:.3f}"
    return answer


def _webp(data: bytes) -> Response:
    """A picture that the browser may keep: the page asks for those of another revision by another address."""
    return Response(data, media_type="image/webp", headers={"Cache-Control": f"private, max-age={DAY}"})


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/thumb/{id}", thumb),
    ("GET", "/image/{id}", image),
    ("GET", "/picture/{id}/{name}", picture),
    ("GET", "/difference/{id}/{parent}", difference),
]
