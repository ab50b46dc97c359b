"""Locks, rebuilds, checks and remade images, over one small run of a tiny model of the real class."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from datasets import load_from_disk
from PIL import Image

from augforge.data.ledger import Ledger
from augforge.data.record import no_run
from augforge.engine.run import run
from augforge.errors import AugforgeError, StoreError
from augforge.provenance.drift import causes, effects
from augforge.provenance.lock import read_lock, result_of
from augforge.recipe import Recipe, load_recipe
from augforge.reproduce.alike import Bounds, largest, psnr
from augforge.reproduce.rebuild import rebuild
from augforge.reproduce.remake import Archive, remake
from augforge.reproduce.verify import verify
from tests.conftest import write_images

STAGES = """
stages:
  - {{generate: augmented-conditioning, model: {unclip}, mode: cutmix, steps: 2, batch: 4, per-class: 3}}
  - {{filter: sharpness, on: synthetic, keep: 0.7}}
  - {{select: random, share: 0.9}}
"""


class Place:
    """A folder with pictures, a recipe over them, its lock, and the run that wrote it."""

    def __init__(self, folder: Path, unclip: Path) -> None:
        self.folder, self.out, self.lock = folder, folder / "out", folder / "small.lock"
        self.pictures = write_images(folder / "pictures", {"cat": 5, "dog": 3})
        self.path = folder / "small.yaml"
        self.path.write_text(f"name: small\nsource: {{folder: {self.pictures}}}\n" + STAGES.format(unclip=unclip))
        run(self.recipe, self.out, device="cpu", lock=self.lock)

    @property
    def recipe(self) -> Recipe:
        return load_recipe(self.path)

    def rebuilt(self, **options):
        return rebuild(self.recipe, self.lock, self.out, device="cpu", **options)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_unclip: Path) -> Place:
    """Only read by the tests."""
    return Place(tmp_path_factory.mktemp("built"), tiny_unclip)


@pytest.fixture
def place(built: Place, tmp_path: Path) -> Place:
    """A copy at the same paths' content, to be changed by one test; its source stays where it was."""
    copy = object.__new__(Place)
    copy.folder, copy.pictures = tmp_path, built.pictures
    copy.out = Path(shutil.copytree(built.out, tmp_path / "out"))
    copy.path, copy.lock = (Path(shutil.copy(path, tmp_path)) for path in (built.path, built.lock))
    return copy


# -- the lock -----------------------------------------------------------------------------------------------


def test_the_lock_tells_causes_and_effects(built):
    lock = read_lock(built.lock)
    assert lock["recipe"] == built.recipe.plain()
    (source,) = lock["sources"]
    assert source["images"] == 8 and set(source["files"]) >= {"cat/0000.png", "dog/0002.png"}
    (model,) = lock["models"].values()
    assert len(model["digest"]) == 64
    made = lock["stages"]["1-generate-augmented-conditioning"]["made-with"]
    assert made[0]["device"] == "cpu" and made[0]["batch"] == 4 and "torch" in made[0]["versions"]
    assert lock["stages"]["1-generate-augmented-conditioning"]["out"] == 8 + 6
    rows = load_from_disk(str(built.out / "dataset"))
    assert lock["result"]["kept"] == len(rows)
    per_class = sum(count for counts in lock["result"]["classes"].values() for count in counts.values())
    assert per_class == len(rows)
    assert sum(lock["result"]["dropped"].values()) == 14 - len(rows)


def test_the_lock_is_the_same_for_the_same_run_elsewhere(built, tmp_path):
    run(built.recipe, tmp_path / "other", device="cpu", lock=tmp_path / "small.lock")
    assert (tmp_path / "small.lock").read_bytes() == built.lock.read_bytes()
    text = built.lock.read_text()
    assert str(built.out) not in text


def test_identity_hangs_on_ids_and_splits_but_not_on_scores_or_fates(built):
    archive = Archive(built.out)
    first, ledger = result_of(archive.ledger), archive.ledger
    ledger.score("anything", np.arange(len(ledger)), np.random.default_rng(0).normal(size=len(ledger)))
    assert result_of(ledger) == first
    kept = int(ledger.visible()[0])
    ledger.drop(np.array([kept]), ["because"], "2-filter-sharpness")
    changed = result_of(ledger)
    assert changed["outcomes"] != first["outcomes"] and changed["kept"] == first["kept"] - 1
    assert changed["identity"] == first["identity"]
    ledger.resplit(np.array([kept]), ["test"])
    assert result_of(ledger)["identity"] != first["identity"]


def test_a_run_with_a_limit_or_another_seed_writes_no_lock(built, tmp_path):
    from tests.cli.test_cli import call

    path = Path(shutil.copy(built.path, tmp_path))
    call("run", path, "--out", tmp_path / "a", "--limit", 3, "--device", "cpu")
    call("run", path, "--out", tmp_path / "b", "--seed", 5, "--device", "cpu")
    call("run", path, "--out", tmp_path / "b", "--no-lock", "--device", "cpu")
    assert not (tmp_path / "small.lock").exists()
    call("run", path, "--out", tmp_path / "c", "--device", "cpu")
    assert (tmp_path / "small.lock").read_bytes() == built.lock.read_bytes()


@pytest.mark.parametrize("text", ["", "[1]", "format: 1", "a: [", "format: 99\nresult: {}\nrecipe: {}"])
def test_a_lock_that_is_none_is_said(tmp_path, text):
    (tmp_path / "x.lock").write_text(text)
    with pytest.raises(StoreError, match=r"x\.lock") as error:
        read_lock(tmp_path / "x.lock")
    assert "augforge lock" in error.value.hint


# -- rebuild ------------------------------------------------------------------------------------------------


def test_a_rebuild_of_what_is_there_is_the_same_at_every_level(place):
    for level in ("identity", "tolerance", "bytes"):
        found = place.rebuilt(level=level)
        assert found.same and not found.effects and not found.causes and found.summary.up_to_date


def test_a_rebuild_from_scratch_makes_everything_again_and_is_the_same_to_the_byte(place):
    found = place.rebuilt(level="bytes", from_scratch=True)
    assert found.same and found.summary.computed > 8 and not found.summary.up_to_date


def test_a_changed_picture_is_named_and_drifts(place, tmp_path):
    pictures = Path(shutil.copytree(place.pictures, tmp_path / "mine"))
    place.path.write_text(place.path.read_text().replace(str(place.pictures), str(pictures)))
    lock = read_lock(place.lock)
    Image.new("RGB", (32, 32), "red").save(pictures / "cat" / "0003.png")
    (pictures / "dog" / "0001.png").unlink()
    found = place.rebuilt()
    assert not found.same
    named = {drift.what.rpartition(": ")[2]: drift.now for drift in found.causes if drift.kind == "source"}
    assert named.keys() == {"cat/0003.png", "dog/0001.png"} and named["dog/0001.png"] == "gone"
    assert any(drift.what == "identity" for drift in found.effects)
    assert read_lock(place.lock) == lock


def test_a_changed_option_is_named(place):
    place.path.write_text(place.path.read_text().replace("keep: 0.7", "keep: 0.4"))
    found = place.rebuilt()
    assert not found.same
    assert [(d.kind, d.what, d.locked, d.now) for d in found.causes] == [("recipe", "stages[2].keep", "0.7", "0.4")]
    assert {"kept", "dropped.2-filter-sharpness", "outcomes"} <= {drift.what for drift in found.effects}


def test_causes_without_effect_are_told_and_do_not_fail(place):
    lock = yaml.safe_load(place.lock.read_text())
    lock["environment"]["libraries"]["torch"] = "1.0"
    made = lock["stages"]["1-generate-augmented-conditioning"]["made-with"][0]
    made["threads"], made["batch"] = 7, 3
    place.lock.write_text(yaml.safe_dump(lock))
    found = place.rebuilt(level="bytes")
    assert found.same
    assert {drift.what for drift in found.causes} == {
        "torch",
        "1-generate-augmented-conditioning.threads",
        "1-generate-augmented-conditioning.batch",
    }


def test_other_weights_drift_though_they_have_the_same_name(place, tmp_path, tiny_unclip):
    from safetensors.numpy import load_file, save_file

    model = Path(shutil.copytree(tiny_unclip, tmp_path / "model"))
    place.path.write_text(place.path.read_text().replace(str(tiny_unclip), str(model)))
    run(place.recipe, place.out, device="cpu", lock=place.lock)
    weights = next(iter((model / "unet").glob("*.safetensors")))
    tensors = load_file(weights)
    save_file({name: value * 1.5 for name, value in tensors.items()}, weights)
    found = place.rebuilt()
    assert not found.same
    assert [drift.what.rpartition(": ")[2] for drift in found.causes if drift.kind == "model"] == ["digest"]


def reencoded(lock: Path, change: int) -> None:
    """Pretend that the locked images had other bytes, and thumbnails that are `change` levels away."""

    plain = yaml.safe_load(lock.read_text())
    plain["result"]["pixels"] = "0" * 20
    for name, text in plain["thumbnails"].items():
        values = np.frombuffer(base64.b64decode(text), np.uint8).astype(int)
        moved = np.where(values + change > 255, values - change, values + change).astype(np.uint8)
        plain["thumbnails"][name] = base64.b64encode(moved.tobytes()).decode()
    lock.write_text(yaml.safe_dump(plain))


@pytest.mark.parametrize(("change", "same"), [(0, True), (1, True), (2, False)])
def test_tolerance_is_one_level_of_the_thumbnails(place, change, same):
    reencoded(place.lock, change)
    assert place.rebuilt(level="identity").same
    assert not place.rebuilt(level="bytes").same
    found = place.rebuilt(level="tolerance")
    assert found.same == same and f"{change}/255" in found.pixels


def test_tolerance_against_a_reference_compares_every_pixel(place, built, tmp_path):
    reencoded(place.lock, 0)
    found = place.rebuilt(level="tolerance", reference=built.out)
    assert found.same and "0 have other bytes" in found.pixels
    place.path.write_text(place.path.read_text().replace("steps: 2", "steps: 3"))
    other = rebuild(place.recipe, place.lock, tmp_path / "new", device="cpu", level="tolerance", reference=built.out)
    assert not other.same


def test_psnr_and_largest_difference():
    black, grey = Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4), (10, 10, 10))
    assert psnr(black, grey) == pytest.approx(10 * np.log10(255**2 / 100)) and psnr(grey, grey) == np.inf
    assert largest(black, grey) == 10 and largest(black, Image.new("RGB", (5, 4))) == np.inf
    assert Bounds() == Bounds(None, None)


def test_accepting_writes_the_new_lock(place):
    from tests.cli.test_cli import call

    place.path.write_text(place.path.read_text().replace("keep: 0.7", "keep: 0.4"))
    call("rebuild", place.path, "--out", place.out, "--device", "cpu", code=3)
    call("rebuild", place.path, "--out", place.out, "--device", "cpu", "--accept")
    call("rebuild", place.path, "--out", place.out, "--device", "cpu")


def test_the_command_says_what_and_why_and_exits_3(place):
    from tests.cli.test_cli import call

    assert "the same result" in call("rebuild", place.path, "--locked", "--out", place.out, "--device", "cpu").stdout
    place.path.write_text(place.path.read_text().replace("keep: 0.7", "keep: 0.4"))
    text = call("rebuild", place.path, "--locked", "--out", place.out, "--device", "cpu", code=3).stdout
    assert "stages[2].keep" in text and "0.7" in text and "NOT the same" in text
    found = json.loads(call("rebuild", place.path, "--out", place.out, "--device", "cpu", "--json", code=3).stdout)
    assert found["same"] is False and found["causes"][0]["kind"] == "recipe"
    with pytest.raises(AugforgeError, match="no level 'identitty'"):
        from augforge.provenance.drift import check_level

        check_level("identitty")
    place.lock.unlink()
    with pytest.raises(StoreError, match=r"there is no .*small\.lock"):
        place.rebuilt()


def test_a_large_source_is_listed_by_folder(built, monkeypatch):
    from augforge.provenance import lock as module

    monkeypatch.setattr(module, "LISTED", 3)
    archive = Archive(built.out)
    ledger = archive.ledger
    refs = [f"0:{source.partition(': ')[2]}" for source in ledger.column("source", ledger.visible("real"))]
    real = dict(zip(ledger.visible("real").tolist(), refs, strict=True))
    named = Ledger(ledger.classes)
    samples = enumerate(ledger.samples(np.arange(len(ledger))))
    named.extend(replace(sample, ref=real.get(place, "generated:x")) for place, sample in samples)
    (source,) = module._sources(built.recipe, named)
    assert set(source["folders"]) == {"cat", "dog"} and "files" not in source


def test_a_lock_compared_with_itself_has_no_drift(built):
    lock = read_lock(built.lock)
    assert causes(lock, lock) == [] and effects(lock, lock) == []


# -- remaking and checking ----------------------------------------------------------------------------------


def test_images_come_out_of_their_provenance_to_the_byte(built):
    archive = Archive(built.out)
    samples = list(archive.ledger.samples(archive.ledger.visible("synthetic")))
    found = list(remake(archive, samples, "cpu"))
    assert len(found) == len(samples) and all(made.equal and made.apart == 0 for made in found)


def test_an_image_made_from_other_draws_is_another(built):
    from dataclasses import replace

    archive = Archive(built.out)
    (sample,) = list(archive.ledger.samples(archive.ledger.visible("synthetic")[:1]))
    (made,) = remake(archive, [replace(sample, seed=sample.seed + 1)], "cpu")
    assert not made.equal and made.apart > 1


def test_a_real_image_was_not_made(built):
    archive = Archive(built.out)
    (sample,) = list(archive.ledger.samples(archive.ledger.visible("real")[:1]))
    with pytest.raises(StoreError, match="is a real image"):
        list(remake(archive, [sample]))


def test_a_sound_folder_is_sound(built):
    verdict = verify(built.out, 3, device="cpu")
    assert verdict.sound and verdict.remade == verdict.equal == 3
    assert verdict.rows == len(load_from_disk(str(built.out / "dataset"))) and verdict.files >= 2


def test_the_parts_may_be_deleted(place):
    shutil.rmtree(place.out / "parts")
    assert verify(place.out, 2, device="cpu").sound


def flip(path: Path, place: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1
    path.write_bytes(bytes(data))


def test_a_flipped_bit_in_a_part_is_found(place):
    part = next((place.out / "parts").rglob("*.arrow"))
    flip(part)
    (finding,) = verify(place.out).findings
    assert part.name in finding.where


def test_a_flipped_bit_in_an_image_of_the_dataset_is_found(place):
    (file,) = (place.out / "dataset").glob("*.arrow")
    rows = load_from_disk(str(place.out / "dataset")).data
    identity, image = rows.column("id")[4].as_py(), rows.column("image")[4].as_py()["bytes"]
    at = file.read_bytes().find(image)
    assert at > 0
    data = bytearray(file.read_bytes())
    data[at + 60] ^= 1
    file.write_bytes(bytes(data))
    findings = verify(place.out).findings
    assert any(f.where == f"dataset, row {identity}" and "digest" in f.what for f in findings)


def test_a_ledger_of_another_run_is_found(place, tmp_path):
    text = place.path.read_text().replace("keep: 0.7", "keep: 0.4")
    place.path.write_text(text)
    run(place.recipe, tmp_path / "other", device="cpu")
    shutil.copy(tmp_path / "other" / "samples.parquet", place.out / "samples.parquet")
    wheres = {finding.where.partition(",")[0] for finding in verify(place.out).findings}
    assert {"run.json", "recipe.lock", "dataset"} <= wheres


def test_verify_regen_and_their_exit_codes(place, tmp_path):
    from tests.cli.test_cli import call

    assert "nothing is wrong" in call("verify", place.out, "--sample", 2, "--device", "cpu").stdout
    archive = Archive(place.out)
    (sample,) = list(archive.ledger.samples(archive.ledger.visible("synthetic")[:1]))
    text = call("regen", place.out, sample.id[:12], "--out", tmp_path / "again.png", "--device", "cpu").stdout
    assert "equal to the byte" in text
    assert (tmp_path / "again.png").read_bytes() == archive.bytes_of(sample)
    flip(next((place.out / "parts").rglob("*.arrow")))
    assert "1 findings" in call("verify", place.out, code=3).stdout
    assert json.loads(call("verify", place.out, "--json", code=3).stdout)["sound"] is False


def test_fates_may_flip_only_as_far_as_is_asked(place):
    plain = yaml.safe_load(place.lock.read_text())
    kept = plain["result"]["kept"]
    digits = base64.b64decode(plain["kept-ids"]).hex()
    other = ("0" if digits[0] != "0" else "1") + digits[1:]
    plain["kept-ids"] = base64.b64encode(bytes.fromhex(other)).decode()
    plain["result"] |= {"outcomes": "0" * 20, "kept": kept}
    place.lock.write_text(yaml.safe_dump(plain))
    found = place.rebuilt()
    assert not found.same and found.flipped == 2
    assert place.rebuilt(flips=2 / 14).same and not place.rebuilt(flips=1 / 14).same
    plain["result"]["identity"] = "0" * 20
    place.lock.write_text(yaml.safe_dump(plain))
    assert not place.rebuilt(flips=1.0).same


def made_elsewhere(lock: Path, flips: int, **libraries: str) -> None:
    """Pretend that the lock was written with other versions, and that `flips` samples had another outcome there."""
    plain = yaml.safe_load(lock.read_text())
    plain["environment"]["libraries"] |= libraries
    digits = base64.b64decode(plain["kept-ids"]).hex()
    ids = sorted({digits[start : start + 10] for start in range(0, len(digits), 10)})
    kept = [*ids[flips:]]  # so many were dropped there and are kept here
    plain["kept-ids"] = base64.b64encode(bytes.fromhex("".join(kept))).decode()
    if flips:
        plain["result"] |= {"outcomes": "0" * 20, "kept": plain["result"]["kept"] - flips}
        plain["result"]["dropped"]["2-filter-sharpness"] += flips
    lock.write_text(yaml.safe_dump(plain))


def test_a_lock_of_other_versions_is_compared_as_far_as_that_can_hold_and_says_why_first(place):
    from tests.cli.test_cli import call

    made_elsewhere(place.lock, 2, torch="1.0")
    found = place.rebuilt()
    assert found.same and found.flipped == 2 and [drift.what for drift in found.elsewhere] == ["torch"]
    assert not place.rebuilt(flips=0).same and not place.rebuilt(level="bytes").same
    text = " ".join(call("rebuild", place.path, "--out", place.out, "--device", "cpu").stdout.split())
    why, verdict = text.index("was made elsewhere: torch 1.0, here"), text.index("the same result as")
    assert (
        why < verdict and "NOT" not in text and "up to 2 samples" in text and "2 samples have another outcome" in text
    )
    made_elsewhere(place.lock, 1)
    assert not place.rebuilt().same  # three of 14


def test_a_lock_of_another_thread_count_or_processor_is_one_from_elsewhere(place):
    made_elsewhere(place.lock, 1)
    assert not place.rebuilt().same  # nothing is different here, so nothing may be
    for change in ("threads", "processor"):
        plain = yaml.safe_load(place.lock.read_text())
        if change == "threads":
            plain["stages"]["1-generate-augmented-conditioning"]["made-with"][0]["threads"] = 7
        else:
            plain["environment"]["processor"] = "Other CPU @ 2.40GHz"
        other = place.folder / f"{change}.lock"
        other.write_text(yaml.safe_dump(plain))
        found = rebuild(place.recipe, other, place.out, device="cpu")
        assert found.same and found.flipped == 1 and change in found.elsewhere[0].what


def test_what_changed_in_the_recipe_or_in_augforge_is_excused_by_no_machine(place):
    made_elsewhere(place.lock, 1, torch="1.0", augforge="0.0")
    found = place.rebuilt()
    assert not found.same and found.allowed == 0
    made_elsewhere(place.lock, 0, augforge=found.causes[0].now)
    assert place.rebuilt().same
    place.path.write_text(place.path.read_text().replace("keep: 0.7", "keep: 0.65"))
    assert not place.rebuilt().same


def test_a_run_says_nothing_of_a_lock_that_still_describes_its_recipe(place):
    from tests.cli.test_cli import call

    made_elsewhere(place.lock, 1, torch="1.0")
    before = place.lock.read_bytes()
    done = call("run", place.path, "--out", place.folder / "first", "--device", "cpu")
    assert "lock" not in done.stdout.lower() + done.stderr.lower() and place.lock.read_bytes() == before


def test_another_judge_that_keeps_as_many_is_drift(place):
    """Counts alone would not see it."""
    place.path.write_text(
        place.path.read_text().replace("filter: sharpness, on: synthetic", "filter: quality, on: synthetic")
    )
    lock, now = read_lock(place.lock), None
    found = place.rebuilt()
    now = read_lock(place.out / "recipe.lock")
    assert lock["result"]["kept"] == now["result"]["kept"] and lock["result"]["classes"] == now["result"]["classes"]
    assert not found.same


# -- what a critic broke ------------------------------------------------------------------------------------


def test_nothing_foreign_is_removed_or_written_over(place, tmp_path):
    mine = tmp_path / "project"
    for name in ("dataset", "parts", "vectors", "src"):
        (mine / name).mkdir(parents=True)
        (mine / name / "precious.txt").write_text(name)
    for from_scratch in (True, False):
        with pytest.raises(StoreError, match="not of a run"):
            rebuild(place.recipe, place.lock, mine, device="cpu", from_scratch=from_scratch)
    assert sorted(path.parent.name for path in mine.rglob("precious.txt")) == ["dataset", "parts", "src", "vectors"]
    (place.out / "notes.md").write_text("keep me")
    assert place.rebuilt(from_scratch=True, level="bytes").same
    assert (place.out / "notes.md").read_text() == "keep me"


def test_images_of_a_chained_run_are_remade_though_their_parents_were_dropped_before(built, tmp_path):
    from augforge.recipe import parse_recipe

    archive = Archive(built.out)
    parents = {p for s in archive.ledger.samples(archive.ledger.visible("synthetic")) for p in s.parents}
    second = parse_recipe(f"source: {{run: {built.out}}}\nstages:\n  - {{filter: sharpness, on: real, keep: 0.0}}\n")
    run(second, tmp_path / "second", device="cpu")
    third = parse_recipe(f"source: {{run: {tmp_path / 'second'}}}\nstages:\n  - {{select: random, share: 0.9}}\n")
    run(third, tmp_path / "third", device="cpu")
    kept = set(Archive(tmp_path / "third").ledger.column("id", Archive(tmp_path / "third").ledger.visible()))
    assert parents and not parents & kept
    verdict = verify(tmp_path / "third", 3, device="cpu")
    assert verdict.sound and verdict.remade == verdict.equal >= 2


def test_an_image_whose_parent_is_gone_is_a_finding_and_the_others_are_checked(place, tmp_path):
    pictures = Path(shutil.copytree(place.pictures, tmp_path / "mine"))
    place.path.write_text(
        f"source: {{folder: {pictures}}}\nstages:\n"
        f"  - {{generate: augmented-conditioning, model: {place.recipe.stages[0].model}, mode: random-image, steps: 2,"
        " batch: 4, per-class: 3}\n  - {filter: sharpness, on: real, keep: 0.0}\n"
    )
    run(place.recipe, tmp_path / "run", device="cpu")
    ledger = Archive(tmp_path / "run").ledger
    first = next(ledger.samples(ledger.visible("synthetic")))
    (parent,) = ledger.by_id(first.parents).values()
    (pictures / parent.source.rpartition(": ")[2]).unlink()
    verdict = verify(tmp_path / "run", 6, device="cpu")
    assert 0 < len(verdict.findings) < 6 and verdict.remade == 6 - len(verdict.findings)
    assert all("cannot be made again: its parent" in finding.what for finding in verdict.findings)


def test_a_lock_that_contradicts_itself_or_lacks_a_part_is_said(place):
    plain = yaml.safe_load(place.lock.read_text())
    digits = base64.b64decode(plain["kept-ids"])
    place.lock.write_text(yaml.safe_dump({**plain, "kept-ids": base64.b64encode(bytes(5) + digits[5:]).decode()}))
    with pytest.raises(StoreError, match="contradicts itself"):
        place.rebuilt()
    for broken in (
        {**plain, "result": plain["recipe"], "recipe": plain["result"]},
        {**plain, "result": {**plain["result"], "kept": "eight"}},
        {name: value for name, value in plain.items() if name != "sources"},
    ):
        place.lock.write_text(yaml.safe_dump(broken))
        with pytest.raises(StoreError, match="is no lock: "):
            place.rebuilt()


def test_a_committed_lock_stays_as_it_is_on_another_machine(place):
    plain = yaml.safe_load(place.lock.read_text())
    plain["environment"]["libraries"]["torch"] = "1.0"
    plain["result"]["pixels"] = "0" * 20
    committed = yaml.safe_dump(plain)
    place.lock.write_text(committed)
    run(place.recipe, place.out, device="cpu", lock=place.lock)
    assert place.lock.read_text() == committed
    run(place.recipe, place.out, device="cpu", lock=place.lock, lock_always=True)
    assert place.lock.read_text() != committed
    place.lock.write_text(committed)
    place.path.write_text(place.path.read_text().replace("keep: 0.7", "keep: 0.4"))
    run(place.recipe, place.out, device="cpu", lock=place.lock)
    assert place.lock.read_text() != committed


def test_verify_of_what_is_no_run_says_so(tmp_path):
    with pytest.raises(StoreError, match="is no run folder"):
        verify(tmp_path)


def test_verify_of_an_unfinished_run_says_what_every_command_says(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / ".lock").touch()
    with pytest.raises(StoreError, match=f"the run in {tmp_path} has no result yet") as told:
        verify(tmp_path)
    assert told.value.hint == no_run(tmp_path).hint
