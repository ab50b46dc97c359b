"""Help: whole sentences, an example that parses, panels, and nothing cut off at any width."""

from __future__ import annotations

import re
import shlex

import pytest
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.cli.commands import COMMANDS
from augforge.cli.help import first_sentence
from augforge.cli.panels import PANELS, RARE, panel_of
from augforge.cli.stage_options import choices_of
from augforge.errors import ModelError
from augforge.evaluate.settings import Settings
from augforge.recipe import build_stage
from augforge.stages.catalog import STAGES, stage_class
from augforge.stages.stage import kebab
from tests.cli.tree import leaves, root

EVERY = {" ".join(words): (words, command, context) for words, command, context in leaves()}
REMAINS = (
    *(
        "PydanticUndefined",
        "[default: None",
        "[default: ]",
        "<factory>",
        "FieldInfo",
        "VALUE",
        "…",
        "NoneType",
        "Ellipsis",
    ),
    *("<object", "<function", "<lambda", "<class", "lambda", " at 0x", "typing.", "Annotated", "Optional[", "Literal["),
    *("Union[", "annotated_types", "pydantic", "functools", "~T", "frozenset(", "[default: (", "[default: {"),
)
WIDTHS = (60, 80, 100, 140)


def shown(*words: str, width: int = 100) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": str(width)}, prog_name="augforge")
    assert result.exit_code == 0, result.output
    return result.stdout


def flat(text: str) -> str:
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


def is_group(command: object) -> bool:
    return hasattr(command, "list_commands")


def resolved(line: str) -> tuple[str, object]:
    """The command that a line reaches, with the context in which its options were checked."""
    command, context = root()
    words, path = shlex.split(line)[1:], []
    while is_group(command):
        name, command, words = command.resolve_command(context, words)
        path.append(name)
        if not is_group(command):
            context = command.make_context(name, list(words), parent=context)
    return " ".join(path), context


@pytest.mark.parametrize("name", EVERY)
def test_help_begins_with_a_whole_sentence_and_has_an_example_that_parses(name):
    words, command, _ = EVERY[name]
    sentence = first_sentence(command.help)
    assert re.fullmatch(r"[A-Z].{10,}\.", sentence), sentence
    text = flat(shown(*words))
    assert sentence in text
    assert command.epilog.startswith(f"augforge {name}") and f"Example: {command.epilog}" in text
    reached, _ = resolved(command.epilog)
    assert reached == name or (is_group(command) and reached.startswith(f"{name} "))


@pytest.mark.parametrize(("verb", "name"), STAGES)
def test_the_example_of_a_stage_is_one_that_a_recipe_may_have(verb, name):
    command = next(c for w, c, _ in EVERY.values() if w in ((verb, name), (verb,)) and not is_group(c))
    _, context = resolved(command.epilog)
    fields = stage_class(verb, name).model_fields
    given = {kebab(k): v for k, v in context.params.items() if k in fields and v not in (None, [], ())}
    if verb == "train":
        given = {k: v for k, v in given.items() if k not in stage_class(verb, name).arguments}  # sources there
    try:
        build_stage(verb, name, given)
    except ModelError as error:  # the example says where a model would lie
        assert error.message.startswith("there is no model called 'models/")


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_or_left_over(name, width):
    words, command, context = EVERY[name]
    text = shown(*words, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert not [remain for remain in REMAINS if remain in re.sub(r"a run …", "", text)]
    boxed = re.findall(r"^╭.*╮$", text, re.MULTILINE)
    assert boxed and {len(line) for line in boxed} == {width}
    squeezed = re.sub(r"\s", "", flat(text))
    for param in command.get_params(context):
        assert re.sub(r"\s", "", param.help or "") in squeezed, param.name
        assert all(option in text for option in (*param.opts, *param.secondary_opts) if option.startswith("-"))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_root_lists_every_command_in_its_panel(width):
    text = shown(width=width)
    titles = re.findall(r"^╭─ (\w+)", text, re.MULTILINE)
    assert titles == ["Options", "Start", "Make", "Curate", "Look", "Trust", "Publish"]
    for name, entry in COMMANDS.items():
        panel = text.split(f"╭─ {entry.panel} ")[1].split("╰")[0]
        assert f"│ {name} " in panel and entry.sentence in flat(panel)
        assert re.fullmatch(r"[A-Z].{10,58}\.", entry.sentence)
    assert shown(width=80).count("\n") < 55


def test_the_panels_of_a_stage_are_by_purpose_with_the_rare_ones_last():
    text = shown("generate", "augmented-conditioning")
    titles = [title.strip() for title in re.findall(r"^╭─ ([^─]+)─", text, re.MULTILINE)]
    theirs = [panel for panel in PANELS["generate"] if panel != "Warp"]  # which is outpaint's
    assert titles == ["Arguments", "Options", *theirs] and titles[-1] == RARE
    cells = text.split(f"╭─ {RARE} ")[1]
    assert "--allow-pickle" in cells and "--per-class" not in cells
    assert max(panel.count("│ --") for panel in text.split("╭─")) <= 13


def test_an_option_that_no_panel_names_stands_among_the_first():
    assert panel_of("generate", "brand-new") is None and panel_of("no-verb", "model") is None


@pytest.mark.parametrize("verb", PANELS)
def test_every_option_that_a_panel_names_is_one(verb):
    """What was renamed or removed is not left in the table."""
    fields = set(Settings.model_fields) if verb == "evaluate" else set()
    for of, name in STAGES:
        fields |= set(stage_class(of, name).model_fields) if of == verb else set()
    also = {
        "accept",
        "again",
        "resume",
        "yes",
        "on-shifts",
        "seed",
        "limit",
        "device",
        "max-bad",
        "licence",
        "store",
        "retry",
        "flat",
        "json",
    }
    also |= {"allow-empty", "dry-run", "replace"}
    also |= {"engine", "workers", "address", "gpus-per-worker", "mixed"}
    named = " ".join(PANELS[verb].values()).split()
    assert len(named) == len(set(named)) and set(named) <= {kebab(field) for field in fields} | also


def test_choices_are_told_even_where_they_are_too_long_to_stand_beside_the_option():
    text = flat(shown("generate", "augmented-conditioning"))
    info = stage_class("generate", "augmented-conditioning").model_fields["mode"]
    assert f"One of {', '.join(choices_of(info.annotation))}." in text


def test_a_missing_option_is_named_with_exit_code_2():
    result = CliRunner().invoke(app, ["generate", "night", "photos", "--out", "x"])
    assert result.exit_code == 2 and "--model" in result.stderr and "Traceback" not in result.stderr


def test_a_required_option_has_no_default_and_its_remains_would_be_found():
    info = stage_class("filter", "classifier").model_fields["model"]
    assert info.is_required() and str(info.default) in REMAINS
    text = flat(shown("filter", "classifier"))
    assert "--model MODEL A classifier that was trained. [required]" in text
