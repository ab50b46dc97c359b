"""Galleries by hand. What is not given must not be asked for: it raises."""

from __future__ import annotations

from functools import partial

import numpy as np
from PIL import Image

from augforge.stages.filter_inputs import FilterInputs, Parents, Reference

X, Y, Z = np.eye(3, dtype=np.float32)


def inputs(images, classes, names="abcdefgh", *, texts=None, reference=None, parents=None, ids=None, **plain):
    """`texts` maps a text to its vector, `reference` is (vectors, classes, ids), `parents` a list for each
    image; of `plain`, `mutual` answers for ids and others, what else there is is what the gallery answers."""
    given = {name: value if name == "mutual" else partial(returned, value) for name, value in plain.items()}
    if texts is not None:
        given["texts"] = lambda asked: np.stack([texts[text] for text in asked])
    if reference is not None:
        vectors, theirs, names_of = reference
        given["reference"] = lambda: Reference(np.stack(vectors), np.array(theirs), names_of)
    if parents is not None:
        children = np.array([child for child, theirs in enumerate(parents) for _ in theirs], dtype=np.int64)
        vectors = [vector for theirs in parents for vector in theirs]
        stacked = np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)
        given["parents"] = lambda: Parents(children, stacked, [f"parent-{place}" for place in range(len(children))])
    return FilterInputs(
        ids or [f"{number:03d}" for number in range(len(images))],
        np.array(classes, dtype=np.int64),
        list(names),
        images=lambda: np.stack(images),
        **given,
    )


def returned(value, *_):
    return value


def directions(count, width=8, seed=0, spread=1.0):
    """(count, width) unit vectors about the first axis."""
    vectors = np.random.default_rng(seed).normal(size=(count, width)) * spread + np.eye(width)[0]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def noise(height=33, width=33, seed=0):
    """A grey picture of uniform noise."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8))
