"""`augforge evaluate --task retrieval`: rankings from known answers, what it learns with, and all of it together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import average_precision_score

from augforge.algorithms.metrics.ranking import average_precision, first_right
from augforge.errors import AugforgeError, ModelError, RecipeError, SourceError
from augforge.evaluate.classical import DARKEST, darken
from augforge.evaluate.describers import Partners
from augforge.evaluate.evaluation import evaluate
from augforge.evaluate.losses import HARDEST, MARGIN, contrastive_loss
from augforge.evaluate.settings import settings_of
from augforge.models.networks.gem import GeM, GeMNetwork
from augforge.report.evaluation import read_evaluation
from tests.cli.test_cli import call
from tests.evaluate.test_evaluate import CLASSES, picture, write_run, write_test


def test_average_precision_of_a_ranking_worked_by_hand():
    right = np.array([1, 0, 1, 0, 0, 1], dtype=bool)
    scores = np.arange(6, 0, -1.0)
    assert average_precision(scores, right) == pytest.approx((1 / 1 + 2 / 3 + 3 / 6) / 3)
    assert average_precision(scores, ~right) == pytest.approx((1 / 2 + 2 / 4 + 3 / 5) / 3)
    assert first_right(scores, right) == 1 and first_right(scores, ~right) == 2
    assert np.isnan(average_precision(scores, np.zeros(6, dtype=bool)))
    assert first_right(scores, np.zeros(6, dtype=bool)) == 7


def test_what_cannot_tell_things_apart_is_worth_the_share_that_is_right_in_any_order():
    for right in ([1, 1, 0, 0, 0], [0, 0, 0, 1, 1]):
        assert average_precision(np.ones(5), np.array(right, dtype=bool)) == pytest.approx(0.4)
        assert first_right(np.ones(5), np.array(right, dtype=bool)) == 4  # the three others may stand before


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30))
def test_average_precision_is_that_of_brute_force_and_of_scikit_learn(things):
    scores, right = np.array([s for s, _ in things], float), np.array([r for _, r in things])
    if not right.any():
        return
    each = [(scores[right] >= s).sum() / (scores >= s).sum() for s in scores[right]]
    assert average_precision(scores, right) == pytest.approx(np.mean(each))
    assert average_precision(scores, right) == pytest.approx(average_precision_score(right, scores))


def test_generalised_mean_pooling_goes_from_the_mean_to_the_maximum():
    maps = torch.rand(2, 5, 4, 3)
    assert torch.allclose(GeM(1.0)(maps), maps.mean(dim=(-2, -1)), atol=1e-5)
    assert torch.allclose(GeM(200.0)(maps), maps.amax(dim=(-2, -1)), rtol=0.05)
    assert torch.allclose(GeM(3.0)(maps), maps.double().pow(3).mean(dim=(-2, -1)).pow(1 / 3).float(), atol=1e-5)
    pool = GeM()
    pool(-maps).sum().backward()
    assert torch.isfinite(pool.p.grad), "values below zero count as almost nothing"


class Body(torch.nn.Module):
    def forward_features(self, pixels):
        return pixels.relu()


def test_vectors_have_length_one_and_p_is_learned():
    net = GeMNetwork(Body(), 3)
    vectors = net(torch.rand(4, 3, 8, 8))
    assert vectors.shape == (4, 128) and torch.allclose(vectors.norm(dim=1), torch.ones(4))
    assert [name for name, _ in net.named_parameters()] == ["pool.p", "head.weight", "head.bias"]


def unit(degrees: float) -> list[float]:
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


def test_the_contrastive_loss_is_the_published_formula():
    vectors, partners = (torch.tensor([unit(a) for a in angles]) for angles in ((0, 20), (10, 180)))
    labels, weights = torch.tensor([0, 1]), torch.tensor([1.0, 3.0])

    def chord(degrees: float) -> float:
        return float(2 * np.sin(np.radians(degrees) / 2))

    def lack(degrees: float) -> float:
        return max(0.0, MARGIN - chord(degrees)) ** 2

    first = chord(10) ** 2 + lack(20) + lack(180)
    second = chord(160) ** 2 + lack(20) + lack(10)
    found = contrastive_loss(vectors, partners, labels, weights).item()
    assert found == pytest.approx((first + 3 * second) / 4, rel=1e-5)


def test_only_the_hardest_negatives_count_and_none_of_the_same_class():
    angles = torch.linspace(1, 30, 20)
    vectors = torch.tensor([unit(0), *(unit(float(a)) for a in angles)])
    labels = torch.tensor([0] + [1] * 20)
    weights = torch.tensor([1.0] + [0.0] * 20)
    found = contrastive_loss(vectors, vectors, labels, weights).item() * 21
    pushes = sorted(
        ((MARGIN - 2 * np.sin(np.radians(float(a)) / 2)) ** 2 for a in angles for _ in range(2)), reverse=True
    )
    assert found == pytest.approx(sum(pushes[:HARDEST]) / 2, rel=1e-3)
    alone = contrastive_loss(vectors, vectors, torch.zeros(21, dtype=torch.long), torch.ones(21)).item()
    assert alone == pytest.approx(0, abs=1e-6)


def test_the_slope_is_finite_where_two_vectors_are_the_same():
    vectors = torch.tensor([unit(0), unit(0), unit(5)], requires_grad=True)
    contrastive_loss(vectors, vectors.flip(0), torch.tensor([0, 1, 0]), torch.ones(3)).backward()
    assert torch.isfinite(vectors.grad).all()


def test_a_partner_is_another_of_the_class_and_every_other_has_its_turn():
    labels = np.array([0, 1, 0, 2, 1, 0])
    partners, random = Partners(labels), np.random.default_rng(0)
    drawn = np.stack([partners.drawn(np.arange(6), random) for _ in range(60)])
    assert (labels[drawn] == labels).all()
    assert set(drawn[:, 0]) == {2, 5} and set(drawn[:, 5]) == {0, 2} and set(drawn[:, 1]) == {4}
    assert set(drawn[:, 3]) == {3}, "alone in its class: itself"


def test_darkening_is_a_gamma_of_every_second_image():
    grey = torch.full((3, 4, 4), 128, dtype=torch.uint8)
    found = torch.stack([darken(grey, seed) for seed in range(200)])[:, 0, 0, 0]
    darkest = int(255 * (128 / 255) ** DARKEST)
    assert 0.35 < (found == 128).float().mean() < 0.65 and found.max() == 128 and darkest <= found.min() <= darkest + 4
    assert torch.equal(darken(grey, 3), darken(grey, 3))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("retrieval")
    return {
        "good": write_run(root / "good", 0),
        "day": write_test(root / "day"),
        "night": write_test(root / "night", 7000),
    }


def quick(**options):
    return settings_of({"task": "retrieval", "steps": "30", "seeds": "2", "size": "16", "batch": "16", **options})


def test_each_arm_has_its_measures_and_each_class_its_own(folders):
    arms = "real,real+classical,real+synthetic"
    record = evaluate(folders["good"], str(folders["day"]), quick(arms=arms, queries=str(folders["night"])))
    worth = {arm["name"]: arm for arm in record["arms"]}
    assert record["score"] == "map" and record["queries"]["images"] == 180 and record["classes"] == CLASSES
    assert worth["real"]["difference"] is None and worth["real"]["map"]["mean"] > 0.3, "a third is right by chance"
    gain = worth["real+synthetic"]["map"]["mean"] - worth["real"]["map"]["mean"]
    assert worth["real+synthetic"]["difference"]["mean"] == pytest.approx(gain)
    per_class = [value["mean"] for value in worth["real"]["per-class"].values()]
    assert np.mean(per_class) == pytest.approx(worth["real"]["map"]["mean"]), "each class asks as often"
    read = read_evaluation(folders["good"])
    assert read is not None and read.measures == ["map", "recall-at-1", "recall-at-5", "map-of-answers"]


def test_with_queries_the_answers_ask_each_other_too_as_they_do_without(folders):
    how = quick(arms="real,real+synthetic", steps="6")
    asked = evaluate(folders["good"], str(folders["day"]), how.model_copy(update={"queries": str(folders["night"])}))
    alone = evaluate(folders["good"], str(folders["day"]), how, replace=True)
    for arm, plain in zip(asked["arms"], alone["arms"], strict=True):
        assert arm["map-of-answers"] == plain["map"] != arm["map"] and "map-of-answers" not in plain
        assert arm["difference-of-answers"] == plain["difference"]


def stripes(label: int, number: int) -> Image.Image:
    """A class is the direction of stripes of any colour, contrast and width."""
    random = np.random.default_rng([label, number])
    y, x = np.mgrid[:16, :16]
    angle = np.pi * label / 3 + random.uniform(-0.15, 0.15)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * random.uniform(0.8, 1.6) + random.uniform(0, 6.3))
    pixels = random.uniform(60, 200, 3) + wave[..., None] * random.uniform(20, 60) + random.normal(0, 10, (16, 16, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.mark.slow
def test_images_that_help_are_found_by_others_of_their_class(tmp_path):
    test = str(write_test(tmp_path / "test", 5000, stripes))
    options = quick(arms="real,real+synthetic", steps="300", batch="32", flip=False)
    real, made = evaluate(write_run(tmp_path / "run", 0, stripes), test, options)["arms"]
    assert made["map"]["mean"] > real["map"]["mean"] + 0.2 and made["recall-at-1"]["mean"] > 0.7


def test_the_same_seed_gives_the_same_and_the_terminal_says_who_asked(folders):
    settings = quick(arms="real", steps="4", seeds="1", classical="darken")
    again = [evaluate(folders["good"], str(folders["day"]), settings, replace=True)["arms"] for _ in range(2)]
    assert again[0] == again[1]
    said = call(
        "evaluate", folders["good"], "--test", folders["day"], "--task", "retrieval", "--steps", 2, "--seeds", 1,
        "--size", 16, "--batch", 8, "--arms", "real", "--queries", folders["night"], "--replace",
    ).output  # fmt: skip
    assert "mAP" in said and "recall@1" in said and "180 of" in said


def test_classes_that_the_run_never_saw_can_be_retrieved_and_a_copy_of_a_query_is_no_answer(folders, tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        picture(0, 9000).save(tmp_path / name / "0.png")
        picture(1, 9001 + (name == "there")).save(tmp_path / name / "1.png")
    only_copies = tmp_path / "copies"
    (only_copies / "here").mkdir(parents=True)
    (tmp_path / "here" / "0.png").rename(only_copies / "here" / "0.png")
    (tmp_path / "there" / "0.png").unlink()
    record = evaluate(folders["good"], str(folders["day"]), quick(arms="real", steps="2", seeds="1"), replace=True)
    assert record["queries"]["images"] == 180
    (tmp_path / "gallery" / "here").mkdir(parents=True)
    picture(0, 9000).save(tmp_path / "gallery" / "here" / "0.png")
    options = quick(arms="real", steps="2", seeds="1", queries=str(only_copies))
    with pytest.raises(SourceError, match=r"no image of .* has another of its class in"):
        evaluate(folders["good"], str(tmp_path / "gallery"), options, replace=True)
    picture(0, 9005).save(tmp_path / "gallery" / "here" / "1.png")
    record = evaluate(folders["good"], str(tmp_path / "gallery"), options, replace=True)
    assert record["classes"] == ["here"] and record["counts"] == {"here": 0} and record["queries"]["images"] == 1


def test_queries_that_are_trained_on_are_refused_and_so_is_what_does_not_fit(folders, tmp_path):
    (tmp_path / "blue").mkdir()
    picture(0, 100).save(tmp_path / "blue" / "0.png")  # the real one of the run
    with pytest.raises(AugforgeError, match="1 of 3 images to train on are in the test set"):
        evaluate(folders["good"], str(folders["day"]), quick(arms="real", queries=str(tmp_path)), replace=True)
    with pytest.raises(RecipeError, match="--queries"):
        settings_of({"queries": "x"})
    with pytest.raises(RecipeError, match="--queries-split: there are no queries"):
        quick(**{"queries-split": "night"})
    with pytest.raises(RecipeError, match="'probe' is none of gem and timm:NAME"):
        quick(learner="probe")
    with pytest.raises(RecipeError, match="shots"):
        quick(shots="1")
    with pytest.raises(ModelError, match="gives no maps"):
        options = quick(arms="real", learner="timm:vit_tiny_patch16_224", size="32", steps="1", seeds="1")
        evaluate(folders["good"], str(folders["day"]), options, replace=True)


@pytest.mark.slow
def test_a_network_of_timm_learns_it_too(folders):
    options = quick(arms="real", learner="timm:tf_efficientnet_lite2", size="64", steps="2", seeds="1", batch="4")
    record = evaluate(folders["good"], str(folders["day"]), options, replace=True)
    assert 0 < record["arms"][0]["map"]["mean"] <= 1
