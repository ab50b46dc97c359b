"""Shifts in a latent space that keep what an image shows (the idea of NaTra: Wang et al., 2021).

A latent is an array (c, h, w); directions are those in which the latents of images of one class differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Latent = NDArray[np.float32]
Vectors = NDArray[np.float64]
LEAST = 1e-6
"""The spread, relative to the largest, below which a direction is one of rounding alone."""


@dataclass(frozen=True, slots=True)
class Directions:
    """Orthonormal directions (r, d), the one of most spread first, and the spread along each (r,)."""

    vectors: Vectors
    spreads: Vectors


def principal_directions(latents: Sequence[Latent]) -> Directions:
    """The principal components of n latents (c, h, w), flattened to d = c * h * w: at most n - 1 of them.

    The spread is the standard deviation, with n - 1. The largest entry of a direction is positive, so that equal
    latents give equal directions. Latents that are all alike have none.
    """
    flat = np.stack([latent.ravel() for latent in latents]).astype(np.float64)
    flat -= flat.mean(axis=0)
    values, mixtures = np.linalg.eigh(flat @ flat.T)  # few images, long latents
    lengths = np.sqrt(values[::-1].clip(0))
    there = lengths > LEAST * max(lengths[0], LEAST)
    vectors = (mixtures[:, ::-1].T @ flat)[there] / lengths[there, None]
    vectors *= np.sign(np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1, keepdims=True), axis=1))
    return Directions(vectors, lengths[there] / np.sqrt(max(1, len(latents) - 1)))


def principal_shift(directions: Directions, strengths: Sequence[float], shape: tuple[int, ...]) -> Latent:
    """(c, h, w): the sum of the first directions, each as many spreads long as its strength says."""
    count = min(len(strengths), len(directions.spreads))
    lengths = np.asarray(strengths[:count], np.float64) * directions.spreads[:count]
    return (lengths @ directions.vectors[:count]).reshape(shape).astype(np.float32)


def style_shift(latent: Latent, gains: Sequence[float], offsets: Sequence[float]) -> Latent:
    """(c, h, w): what changes each channel's spread by a gain, and its mean by an offset in spreads; 0 is no change.

    The layout stays: all places of a channel change alike.
    """
    mean = latent.mean(axis=(1, 2), keepdims=True)
    spread = latent.std(axis=(1, 2), keepdims=True)
    gain, offset = (np.asarray(values, np.float32)[:, None, None] for values in (gains, offsets))
    shift: Latent = gain * (latent - mean) + offset * spread
    return shift
