"""Options that change how fast a pipeline runs, and which images it makes: each of them is recorded."""

from __future__ import annotations

from typing import Any

from augforge.errors import ModelError, did_you_mean
from augforge.models.backends.options import Options

CACHES = {
    "first-block": "FirstBlockCacheConfig",
    "pyramid": "PyramidAttentionBroadcastConfig",
}
SPACINGS = ("trailing", "leading", "linspace")


def tune(pipe: Any, options: Options) -> dict[str, Any]:
    """Apply the options to a pipeline; what provenance records of them.

    Raises:
        ModelError: an unknown name, or one that this denoiser does not support.
    """
    denoiser = denoiser_of(pipe)
    if options.scheduler:
        pipe.scheduler = named_scheduler(pipe.scheduler, options.scheduler)
    if options.attention:
        _set_attention(denoiser, options.attention)
    if options.cache:
        _enable_cache(pipe, denoiser, options.cache)
    if options.compile:
        denoiser.compile()
    return {
        "scheduler": type(pipe.scheduler).__name__,
        "timestep-spacing": pipe.scheduler.config.get("timestep_spacing"),
        "attention": options.attention,
        "cache": options.cache,
        "couples-batch": options.cache is not None,  # a cache decides by the mean over the whole batch
        "compile": options.compile,
    }


def denoiser_of(pipe: Any) -> Any:
    """The network that is called at every step."""
    return getattr(pipe, "unet", None) or pipe.transformer


def named_scheduler(present: Any, wanted: str) -> Any:
    """A scheduler of class `wanted`, or "Class:spacing", with the settings of the checkpoint's own.

    Raises:
        ModelError: diffusers has no such scheduler, or it cannot stand in for the present one.
    """
    import diffusers

    name, _, spacing = wanted.partition(":")
    found = getattr(diffusers, name, None)
    if not name.endswith("Scheduler") or found is None:
        known = [entry for entry in dir(diffusers) if entry.endswith("Scheduler")]
        raise ModelError(f"diffusers has no scheduler called {name!r}", did_you_mean(name, known))
    if spacing and spacing not in SPACINGS:
        raise ModelError(f"{spacing!r} is no spacing of time steps", did_you_mean(spacing, list(SPACINGS)))
    if ("FlowMatch" in name) != ("FlowMatch" in type(present).__name__):
        raise ModelError(
            f"{name} cannot stand in for {type(present).__name__}: one is for flow matching and the other is not",
            "choose a scheduler of the same kind",
        )
    return found.from_config(present.config, **({"timestep_spacing": spacing} if spacing else {}))


def _set_attention(denoiser: Any, wanted: str) -> None:
    if not hasattr(denoiser, "set_attention_backend"):
        raise ModelError(f"{type(denoiser).__name__} has no choice of attention", "leave `attention` out")
    try:
        denoiser.set_attention_backend(wanted)
    except (ValueError, RuntimeError, ImportError) as error:
        raise ModelError(f"attention {wanted!r} cannot be had: {error}", "leave `attention` out") from error


def _enable_cache(pipe: Any, denoiser: Any, wanted: str) -> None:
    import diffusers

    name, _, threshold = wanted.partition(":")
    if name not in CACHES:
        raise ModelError(f"there is no step cache called {name!r}", did_you_mean(name, list(CACHES)))
    if not hasattr(denoiser, "enable_cache"):
        raise ModelError(
            f"{type(denoiser).__name__} cannot reuse work between steps: diffusers' caches are for some transformers",
            "leave `cache` out",
        )
    try:
        denoiser.enable_cache(getattr(diffusers, CACHES[name])(**_cache_settings(pipe, name, threshold)))
    except (ValueError, TypeError) as error:
        raise ModelError(f"cache {wanted!r} does not fit {type(denoiser).__name__}: {error}") from error


def _cache_settings(pipe: Any, name: str, threshold: str) -> dict[str, Any]:
    if name == "first-block":
        return {"threshold": float(threshold)} if threshold else {}
    return {"spatial_attention_block_skip_range": 2, "current_timestep_callback": lambda: pipe.current_timestep}
