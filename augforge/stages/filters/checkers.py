"""Third-party safety checkers: a function of an image, given by its import path."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from augforge.errors import RecipeError

if TYPE_CHECKING:
    from PIL import Image


def is_function(path: str) -> bool:
    """Whether a text looks like package.module:function."""
    return re.fullmatch(r"\w+(\.\w+)*:\w+", path) is not None


def find_checker(path: str) -> tuple[str, str]:
    """The module and function of a path; RecipeError where it cannot be one."""
    module, _, function = path.partition(":")
    if not is_function(path):
        raise RecipeError(f"the checker {path!r} is no package.module:function", "for example  my_checks:risk")
    try:
        found = find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise RecipeError(f"the checker's module {module!r} cannot be found", "is it installed, or on PYTHONPATH?")
    return module, function


@cache
def load_checker(path: str) -> Callable[[Image.Image], float]:
    """The checker; RecipeError if it cannot be loaded, which ends the run before any image passes."""
    module, function = find_checker(path)
    try:
        check = getattr(import_module(module), function)
    except Exception as error:  # whatever a foreign module raises
        raise RecipeError(f"the checker {path!r} cannot be loaded: {error}", "give module:function") from error
    if not callable(check):
        raise RecipeError(f"the checker {path!r} is not a function", "give module:function")
    found: Callable[[Image.Image], float] = check
    return found
