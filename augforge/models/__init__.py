"""Models: one table of names, and an adapter for each library that loads them."""

from augforge.models.table import MODELS, Model, find_model, model_digest, model_key

__all__ = ["MODELS", "Model", "find_model", "model_digest", "model_key"]
