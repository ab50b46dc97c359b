"""The Python interface, the twin of the command line: `import augforge` gives these names. See docs/python.md.

recipe       Recipe: sources and stages, and everything that a recipe can be asked for
run          Run: a run folder and everything that can be asked of it
again        select_again: the choice of a finished run made again
review       Review: what people decide about the images of a run
images       RunImages: the images of a run, kept and dropped ones
models       train
sources      inspect
             undo: what a model says of a generated image, back in the coordinates of its source (`provenance.undo`)
             status: how far a run is (`engine.status`)
lists        samples, check_marks, list_stages, list_models, list_recipes
shown        how these objects look in a notebook
"""

from augforge.api.again import select_again
from augforge.api.lists import check_marks, list_models, list_recipes, list_stages, samples
from augforge.api.models import train
from augforge.api.recipe import Recipe, stage
from augforge.api.review import Review
from augforge.api.run import Run
from augforge.api.sources import inspect
from augforge.engine.status import status
from augforge.errors import AugforgeError
from augforge.provenance.undo import undo

__all__ = [
    "AugforgeError",
    "Recipe",
    "Review",
    "Run",
    "check_marks",
    "inspect",
    "list_models",
    "list_recipes",
    "list_stages",
    "samples",
    "select_again",
    "stage",
    "status",
    "train",
    "undo",
]
