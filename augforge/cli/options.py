"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Recipe = Annotated[Path, typer.Argument(help="A recipe in YAML, such as recipes/quickstart.yaml.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", help="The run folder; run again into it to go on.", show_default=False)]
Seed = Annotated[int | None, typer.Option("--seed", help="Use this seed instead of the recipe's.", show_default=False)]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Use only N source images.", show_default=False)]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
MaxBad = Annotated[float, typer.Option("--max-bad", min=0, max=1, help="Share of unusable source images allowed.")]
SharedStore = Annotated[
    Path | None, typer.Option("--store", help="Share embeddings between runs in this folder (or set AUGFORGE_STORE).")
]
Retry = Annotated[
    str | None, typer.Option("--retry", metavar="failed", help="With `failed`: do again what failed, nothing else.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
