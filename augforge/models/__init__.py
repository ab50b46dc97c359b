"""Models: one table of names, and an adapter for each library that loads them."""

import os

# Read by OpenMP when torch is loaded. Threads that wait by spinning make a busy machine many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from augforge.models.find import find_model, trained_models, trained_rows
from augforge.models.known import unknown_classes
from augforge.models.table import MODELS, Model, model_digest, model_key

__all__ = [
    "MODELS",
    "Model",
    "find_model",
    "model_digest",
    "model_key",
    "trained_models",
    "trained_rows",
    "unknown_classes",
]
