"""What the server answers where it does not do what it is asked: a status, a word for the page, a sentence."""

from __future__ import annotations

from augforge.errors import AugforgeError


class Refusal(AugforgeError):
    """A request that is refused with an HTTP `status`; `kind` is the word by which the page knows it."""

    def __init__(self, status: int, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status, self.kind = status, kind


def not_found(message: str, hint: str = "") -> Refusal:
    """There is no such thing."""
    return Refusal(404, "not-found", message, hint)


def bad_request(message: str, hint: str = "") -> Refusal:
    """The request itself is wrong."""
    return Refusal(400, "bad-request", message, hint)


def forbidden(message: str, hint: str = "") -> Refusal:
    """It may not be done, or not by whoever asks."""
    return Refusal(403, "forbidden", message, hint)


def conflict(message: str, hint: str = "") -> Refusal:
    """It cannot be done as things are now."""
    return Refusal(409, "conflict", message, hint)
