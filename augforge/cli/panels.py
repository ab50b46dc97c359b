"""In which panel of a command's help an option stands. One that is not named here stands in the first one, Options."""

from __future__ import annotations

from augforge.cli.options import RUN, WHERE

RARE = "Rarely needed"
ALWAYS = "seed limit device max-bad licence allow-empty store retry flat dry-run replace json"
ENGINE = "engine workers address gpus-per-worker mixed"
PANELS: dict[str, dict[str, str]] = {
    "generate": {
        "How many": "per-class balance-to real-to-synthetic ratio until-accepted accept max-tries yes",
        "From which images": "of shots split validation label",
        "Conditioning": "mode alpha lam dropout rescale fallback crop-min-area strength to gamma scale noise-level "
        "vary warp paste prompt templates contexts fold families severity direction amplitude components neighbours "
        "detail",
        "Warp": "ops probability depth tilt widen translate roi erode empty-label min-label-inside retries",
        "Guidance": "guidance negative perp-neg negtome negtome-alpha negtome-threshold negtome-min-side",
        "Model": "model steps size width height jump-length jump-samples eta",
        "Speed": "batch processes dtype attention cache compile micro-batch decode-batch",
        RUN: ALWAYS,
        WHERE: ENGINE,
        RARE: "backend scheduler revision variant allow-pickle config adapter adapter-subfolder adapter-weights "
        "image-encoder prior",
    },
    "filter": {
        "What is kept": "keep min max by scope on mean-minus-std",
        "Model": "model prompt question dtype",
        RUN: ALWAYS,
        WHERE: ENGINE,
    },
    "select": {
        "How many": "count share allocation on again",
        "Model": "model classifier logits teacher student teacher-logits student-logits",
        RUN: ALWAYS,
        WHERE: ENGINE,
    },
    "train": {
        "From which images": "shots split held-out",
        "Network": "arch backbone embedder weights condition by-class size fit width levels blocks upsampling "
        "downs scales style instances",
        "Training": "steps batch rate timesteps schedule ema loss flip edge-weight darken-weight cycle-weight "
        "identity-weight feature-weight pixel-weight perceptual teacher",
        "Speed": "precision processes",
        RUN: f"resume checkpoint-every eval-every {ALWAYS}",
    },
    "evaluate": {
        "What is compared": "arms classical shots imbalance",
        "How it is trained": "learner embedder weights loss mix seeds steps batch replacement rate size flip",
        "What else is measured": "queries queries-split metrics judge on-shifts",
        RUN: ALWAYS,
    },
    "caption": {"Model": "model prompt question count longest dtype", RUN: ALWAYS, WHERE: ENGINE},
    "pseudo-label": {RUN: ALWAYS, WHERE: ENGINE},
    "split": {RUN: ALWAYS, WHERE: ENGINE},
}
"""By verb: the panels in the order in which they are shown, with the names of their options."""


def panel_of(verb: str, option: str) -> str | None:
    """The panel of an option of a command; None for the first one."""
    return next((panel for panel, names in PANELS.get(verb, {}).items() if option in names.split()), None)


def position(verb: str, option: str) -> tuple[int, int]:
    """Where an option stands among the others of its command: those without a panel first."""
    for number, names in enumerate(PANELS.get(verb, {}).values()):
        if option in names.split():
            return (1 + number, names.split().index(option))
    return (0, 0)
