"""Every command of the root, one line each: its panel, where it comes from, a sentence and an example.

What a line names is loaded when its command is asked for, so that `augforge --help` loads none of them:
`module:function` is a function with typer's annotations, `stages VERB` a group of the stages of a verb, and
`stage VERB NAME` a verb with a single stage, whose name need not be typed. `lists` are those of LISTS, and `review`
those of REVIEW, of which the first one need not be typed.
"""

from __future__ import annotations

from typing import NamedTuple

START, MAKE, CURATE, LOOK, TRUST, PUBLISH = "Start", "Make", "Curate", "Look", "Trust", "Publish"
HERE = "augforge.cli"


class Entry(NamedTuple):
    """A command. The sentence stands in the list of all commands; `--help` begins with that of the docstring."""

    panel: str
    target: str
    sentence: str
    example: str


COMMANDS: dict[str, Entry] = {
    "inspect": Entry(
        START, f"{HERE}.look_commands:inspect",
        "Say what a source is understood to be, and draw examples.",
        "augforge inspect photos --png examples.png",
    ),
    "samples": Entry(
        START, f"{HERE}.look_commands:samples",
        "Write a small data set to begin with.",
        "augforge samples digits --out digits",
    ),
    "list": Entry(
        START, "lists",
        "List the stages, models or recipes that there are.",
        "augforge list stages",
    ),
    "run": Entry(
        MAKE, f"{HERE}.run_commands:run",
        "Run a recipe, resuming from what is there.",
        "augforge run recipes/quickstart.yaml --out runs/quickstart",
    ),
    "check": Entry(
        MAKE, f"{HERE}.run_commands:check",
        "Validate a recipe; no model is loaded.",
        "augforge check recipes/quickstart.yaml",
    ),
    "plan": Entry(
        MAKE, f"{HERE}.run_commands:plan",
        "Say what a run would do, and what it would cost.",
        "augforge plan recipes/quickstart.yaml --out runs/quickstart",
    ),
    "generate": Entry(
        MAKE, "stages generate",
        "Make new images of each class.",
        "augforge generate augmented-conditioning photos --per-class 20 --out runs/more",
    ),
    "train": Entry(
        MAKE, "stages train",
        "Train a model on your own images.",
        "augforge train classifier photos --out models/classifier",
    ),
    "filter": Entry(
        CURATE, "stages filter",
        "Drop bad images.",
        "augforge filter duplicates photos --out runs/unique",
    ),
    "select": Entry(
        CURATE, "stages select",
        "Keep the subset worth training on.",
        "augforge select facility-location photos --share 0.5 --out runs/subset",
    ),
    "select-subset": Entry(
        CURATE, "stages select",
        "Another name of select: the same stages and options.",
        "augforge select-subset facility-location photos --share 0.5 --out runs/subset",
    ),
    "split": Entry(
        CURATE, "stage split near-duplicates",
        "Split into train and test, near-duplicates together.",
        "augforge split photos --test 0.2 --out runs/split",
    ),
    "caption": Entry(
        CURATE, "stages caption",
        "Say in words what each image shows.",
        "augforge caption vlm photos --model hub:Qwen/Qwen3-VL-2B-Instruct --out runs/captions",
    ),
    "pseudo-label": Entry(
        CURATE, "stage pseudo-label confidence",
        "Label the images that have no label.",
        "augforge pseudo-label photos --model models/classifier --out runs/labelled",
    ),
    "thresholds": Entry(
        CURATE, f"{HERE}.look_commands:thresholds",
        "Show each score's histogram and what a cut would keep.",
        "augforge thresholds runs/quickstart --measure clip",
    ),
    "review": Entry(
        CURATE, "review",
        "Look at images in the terminal and decide about them.",
        "augforge review runs/quickstart --sample 200 --by doubt",
    ),
    "report": Entry(
        LOOK, f"{HERE}.look_commands:report",
        "Write one HTML file that shows what a run did and why.",
        "augforge report runs/quickstart",
    ),
    "view": Entry(
        LOOK, f"{HERE}.view_command:view",
        "Explore a run in the browser, and decide about its images.",
        "augforge view runs/quickstart",
    ),
    "status": Entry(
        LOOK, f"{HERE}.look_commands:status",
        "Say how far a run is, while it runs or after it was killed.",
        "augforge status runs/quickstart",
    ),
    "why": Entry(
        LOOK, f"{HERE}.look_commands:why",
        "Show the provenance of one image, back to its files.",
        "augforge why runs/quickstart 3f9c2a71",
    ),
    "evaluate": Entry(
        LOOK, f"{HERE}.evaluate_command:evaluate_command",
        "Train with and without the new images, and compare.",
        "augforge evaluate runs/quickstart --test photos-test --seeds 5",
    ),
    "lock": Entry(
        TRUST, f"{HERE}.rebuild_commands:lock_",
        "Write the lock of a recipe, to be committed.",
        "augforge lock recipes/quickstart.yaml --out runs/quickstart",
    ),
    "rebuild": Entry(
        TRUST, f"{HERE}.rebuild_commands:rebuild",
        "Build a recipe again and say what drifted from its lock.",
        "augforge rebuild recipes/quickstart.yaml --locked --out runs/again",
    ),
    "verify": Entry(
        TRUST, f"{HERE}.rebuild_commands:verify",
        "Check every digest and invariant of a run folder.",
        "augforge verify runs/quickstart --sample 8",
    ),
    "diff": Entry(
        TRUST, f"{HERE}.rebuild_commands:diff",
        "Say which rows differ between two runs.",
        "augforge diff runs/before runs/after --format markdown",
    ),
    "regen": Entry(
        TRUST, f"{HERE}.rebuild_commands:regen",
        "Make one image again from its provenance.",
        "augforge regen runs/quickstart 3f9c2a71 --out again.png",
    ),
    "export": Entry(
        PUBLISH, f"{HERE}.export_commands:export",
        "Write the kept images in a format that others read.",
        "augforge export runs/quickstart --to webdataset --out published",
    ),
    "check-marks": Entry(
        PUBLISH, f"{HERE}.export_commands:check_marks",
        "Say which synthetic images have lost their marks.",
        "augforge check-marks published",
    ),
}  # fmt: skip
WRITES = frozenset({
    "samples", "run", "generate", "train", "filter", "select", "select-subset", "split", "caption", "pseudo-label",
    "report",
    "evaluate", "lock", "rebuild", "regen", "export",
})  # fmt: skip
"""The commands that write something. They have --dry-run, --replace, --quiet and --verbose."""
LISTS = {
    name: Entry("", f"{HERE}.look_commands:list_{name}", sentence, f"augforge list {name}")
    for name, sentence in {
        "stages": "List the stages, by verb, each with an example.",
        "models": "List the models of the table: what each can do, its licence and size.",
        "recipes": "List the recipes in the folder `recipes/` below the current one.",
    }.items()
}
"""The commands of `augforge list`."""
REVIEW: dict[str, Entry] = {
    "look": Entry(
        "", f"{HERE}.review_commands:look",
        "What `augforge review DIR` does: look at images, decide.",
        "augforge review look runs/quickstart --sample 200",
    ),
    "suggest": Entry(
        "", f"{HERE}.review_commands:suggest",
        "Suggest a cut for each filter from what people decided.",
        "augforge review suggest runs/quickstart --precision 0.95",
    ),
    "merge": Entry(
        "", f"{HERE}.review_commands:merge",
        "Make one review file of several, and list conflicts.",
        "augforge review merge ann.jsonl bob.jsonl -o review.jsonl",
    ),
}  # fmt: skip
"""The commands of `augforge review`."""
SINGLE = {name: entry.target.split()[2] for name, entry in COMMANDS.items() if entry.target.startswith("stage ")}
"""Verbs with a single stage, and its name."""
