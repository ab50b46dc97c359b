"""Licences: what a card states, and what a policy allows of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from augforge.models.hub_rows import UNKNOWN
from augforge.models.licences import card_licence, is_allowed, licence_of, location_licence
from augforge.models.table import MODELS, Model


@pytest.mark.parametrize(
    ("licence", "policy", "allowed"),
    [
        ("Apache-2.0", ["apache-2.0"], True),
        ("apache-2.0", ["Apache 2.0"], True),
        ("Apache-2.0", ["mit"], False),
        ("Apache-2.0", ["mit", "apache-2.0"], True),
        ("CreativeML OpenRAIL-M", ["openrail"], True),
        ("CreativeML Open RAIL++-M", ["openrail"], True),
        ("openrail++", ["openrail"], True),
        ("bigscience-openrail-m", ["OpenRAIL"], True),
        ("CreativeML OpenRAIL-M", ["creativeml-openrail-m"], True),
        ("CreativeML OpenRAIL-M", ["bigscience-openrail-m"], False),
        ("CC-BY-NC-4.0", ["cc-by"], False),
        ("CC-BY-NC-4.0", ["cc-by-4.0"], False),
        ("CC-BY-4.0", ["cc-by-nc-4.0"], False),
        ("BSD-2-Clause", ["bsd"], False),
        ("Committed License", ["mit"], False),
        ("MIT License", ["mit"], True),
        ("unknown", ["unknown"], False),
        ("not stated", ["not stated"], False),
        ("FLUX.1 [dev] Non-Commercial License", ["apache-2.0", "openrail"], False),
        ("FLUX.1 [dev] Non-Commercial License", ["flux.1-dev-non-commercial-license"], True),
    ],
)
def test_a_policy_names_whole_licences_or_a_family(licence: str, policy: list[str], allowed: bool) -> None:
    assert is_allowed(licence, policy) is allowed


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\ntags: [x]\n---\n# A model", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: flux-1-dev\n---\n", "flux-1-dev"),
        ("---\nlicense: other\n---\n", UNKNOWN),
        ("---\ntags: [license]\n---\nlicense: mit\n", UNKNOWN),
        ("# A model\nlicense: mit", UNKNOWN),
        ("---\nlicense: [a, b]\n---\n", UNKNOWN),
        ("---\n: : {\n---\n", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_a_card_states_its_licence_at_the_top(card: str, licence: str) -> None:
    assert card_licence(card) == licence


def test_the_card_of_a_directory_and_of_the_local_cache_is_read(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    model = Model("m", ("text-to-image",), str(folder), "not stated", "")
    assert licence_of(model) == UNKNOWN
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    assert licence_of(model) == location_licence(str(folder)) == "mit"
    assert location_licence(str(folder / "model.safetensors")) == UNKNOWN
    (folder / "model.safetensors").touch()
    assert location_licence(str(folder / "model.safetensors")) == "mit"

    snapshot = tmp_path / "hub" / "models--some--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("abc")
    (snapshot / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert location_licence("hub:some/model") == "cc-by-4.0"
    assert location_licence("hub:some/other") == UNKNOWN


def test_every_row_of_the_table_says_what_its_licence_is_or_that_it_is_unknown() -> None:
    assert {name for name, row in MODELS.items() if licence_of(row) == UNKNOWN} == {"sana-sprint"}
    assert location_licence("hub:h94/IP-Adapter") == "Apache-2.0"


def test_the_repository_of_a_row_has_the_licence_of_the_row() -> None:
    flux = MODELS["flux-dev"]
    assert location_licence(flux.location) == flux.licence == "FLUX.1 [dev] Non-Commercial License"
    assert location_licence(f"{flux.location}-other") == UNKNOWN
    assert location_licence(MODELS["sana-sprint"].location) == UNKNOWN
