import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy.stats import entropy as reference_entropy

from augforge.errors import RecipeError
from augforge.recipe import build_stage
from augforge.stages.filters.quality import CHECKS, Quality, detail
from augforge.stages.filters.sharpness import Sharpness, laplacian_variance
from tests.stages.filters.galleries import noise


def measure(image, by=None):
    scores = Quality().measure(image)
    assert tuple(scores) == Quality.measures
    short = {name.removeprefix("quality-"): value for name, value in scores.items()}
    return short if by is None else short[by]


def picture(values):
    return Image.fromarray(np.array(values, dtype=np.uint8))


def test_a_constant_grey():
    expected = {"sharpness": 0, "exposure": 51 / 255, "clipped": 0, "contrast": 0, "entropy": 0, "size": 5, "aspect": 1}
    checked = {"detail": 1, "brightest": 51 / 255, "darkest": 51 / 255, "colour": 0}
    assert measure(Image.new("RGB", (5, 5), (51, 51, 51))) == pytest.approx({**expected, **checked})


def test_half_black_half_white():
    scores = measure(picture([[0, 255]] * 4))
    expected = {"sharpness": 0, "exposure": 0.5, "clipped": 1, "contrast": 0.5, "entropy": 1, "size": 2, "aspect": 0.5}
    assert scores == pytest.approx({**expected, "detail": 0, "brightest": 1, "darkest": 0, "colour": 0})


def test_every_level_once_has_eight_bits():
    scores = measure(picture(np.arange(256).reshape(16, 16)))
    assert scores["entropy"] == pytest.approx(8) and scores["exposure"] == pytest.approx(0.5)
    assert scores["clipped"] == pytest.approx(2 / 256)
    assert scores["contrast"] == pytest.approx(np.sqrt((256**2 - 1) / 12) / 255)  # of the uniform distribution


def test_colours_count_as_luma():
    assert measure(Image.new("RGB", (4, 4), (255, 0, 0)), "exposure") == pytest.approx(0.299, abs=1 / 255)
    assert measure(Image.new("RGB", (4, 4), (0, 255, 0)), "exposure") == pytest.approx(0.587, abs=1 / 255)


@given(st.integers(0, 1000), st.integers(3, 20), st.integers(3, 20))
def test_it_is_the_plain_statistics_of_the_grey_picture(seed, height, width):
    image = noise(height, width, seed)
    grey = np.asarray(image, dtype=float) / 255
    scores = measure(image)
    shares = np.unique(np.asarray(image), return_counts=True)[1] / grey.size
    assert scores["exposure"] == pytest.approx(grey.mean()) and scores["contrast"] == pytest.approx(grey.std())
    assert scores["entropy"] == pytest.approx(reference_entropy(shares, base=2))
    assert scores["clipped"] == pytest.approx(((grey == 0) | (grey == 1)).mean())
    assert (scores["size"], scores["aspect"]) == (min(height, width), min(height, width) / max(height, width))


def test_sharpness_is_that_of_the_sharpness_filter():
    assert measure(noise(), "sharpness") == Sharpness().measure(noise())["sharpness"] > 0


def test_defects_show_in_their_measure():
    sharp = noise(64, 64)
    assert measure(sharp.filter(ImageFilter.GaussianBlur(2)), "sharpness") < measure(sharp, "sharpness") / 10
    assert measure(sharp.point(lambda v: min(255, v * 3)), "clipped") > 0.5 > measure(sharp, "clipped")
    assert measure(sharp.point(lambda v: 120 + v // 16), "contrast") < 0.1 < measure(sharp, "contrast")


def test_exposure_is_cut_at_both_ends():
    rule = Quality(by="exposure", min=0.2, max=0.8).rule()
    stays, reasons = rule.apply(np.array([0.1, 0.5, 0.9]), ["a", "b", "c"], np.zeros(3, dtype=int), "all")
    assert stays.tolist() == [False, True, False]
    assert reasons.tolist() == ["under 0.2", None, "over 0.8"]


def test_less_clipping_is_better():
    rule = Quality(by="clipped", keep=0.5).rule()
    assert rule.apply(np.array([0.9, 0.0]), ["a", "b"], np.zeros(2, dtype=int), "all")[0].tolist() == [False, True]


def decide(images, **options):
    """The reasons for which a filter with `options` drops `images`, None where it does not."""
    stage = Quality(**options)
    scores = [stage.measure(image) for image in images]
    columns = {name: np.array([each[name] for each in scores]) for name in Quality.measures}
    stays, reasons = stage.decide(
        columns, [str(n) for n in range(len(images))], np.zeros(len(images), int), "its class"
    )
    assert [reason is None for reason in reasons] == stays.tolist()
    return reasons.tolist()


def scene(size=(160, 120), seed=0):
    """Noise with the spectrum of photographs, 1 / f, in colours."""
    random = np.random.default_rng(seed)
    width, height = size
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequencies[0, 0] = 1
    waves = np.fft.fft2(random.normal(size=(3, height, width))) / frequencies
    values = np.fft.ifft2(waves).real.transpose(1, 2, 0)
    values -= values.min()
    return Image.fromarray((255 * values / values.max()).astype(np.uint8))


def test_good_pictures_pass_every_check_whatever_their_number():
    good = [scene(seed=seed) for seed in range(10)]
    assert decide(good) == [None] * 10
    assert decide(good[:1]) == [None]
    assert sum(reason is not None for reason in decide(good, keep=0.8)) == 2  # what a fixed share throws away


DEFECTS = {
    "blurry": lambda image: image.filter(ImageFilter.GaussianBlur(6)),
    "dark": lambda image: image.point(lambda level: level // 8),
    "light": lambda image: image.point(lambda level: 255 - level // 8),
    "low_information": lambda image: Image.new("RGB", image.size, (90, 120, 200)),
    "odd_aspect": lambda image: image.crop((0, 0, 160, 30)),
    "odd_size": lambda image: image.resize((24, 18)),
}


@pytest.mark.parametrize("check", DEFECTS)
def test_each_defect_goes_for_its_own_reason_and_stays_where_its_check_is_off(check):
    images = [DEFECTS[check](scene()), *(scene(seed=seed) for seed in range(1, 6))]
    first, *others = decide(images)
    assert first.startswith(f"{CHECKS[check]}: {check.replace('_', ' ')}, ") and others == [None] * 5
    assert decide(images, **{check: "off"}) == [None] * 6


def test_a_grey_photograph_is_no_defect_unless_asked_for():
    images = [scene().convert("L").convert("RGB"), scene(seed=1)]
    assert decide(images) == [None, None]
    assert decide(images, grey=0.03) == ["quality-colour: grey, under 0.03", None]


def test_detail_does_not_depend_on_contrast_or_size():
    """The variance of the Laplacian, the wrong variant here, falls with both: a dark picture would count as blurred."""
    image = scene((480, 360))
    dark, small = image.point(lambda level: level // 4), image.resize((240, 180), Image.Resampling.LANCZOS)
    assert measure(dark, "detail") == pytest.approx(measure(image, "detail"), rel=0.1)
    assert measure(small, "detail") == pytest.approx(measure(image, "detail"), rel=0.1)
    assert measure(dark, "sharpness") < measure(image, "sharpness") / 10


def test_what_rounding_adds_is_no_detail():
    """A slope of low contrast has no detail; its Laplacian is that of rounding alone, 20 / 12 on average."""
    slope = np.linspace(100, 110, 128) + np.linspace(0, 7.3, 96)[:, None]
    dithered = slope + np.random.default_rng(0).uniform(-0.5, 0.5, slope.shape)
    image = Image.fromarray(np.rint(slope).astype(np.uint8))
    assert measure(image, "detail") < 0.03 and laplacian_variance(np.rint(slope)) < 20 / 12
    assert laplacian_variance(dithered) == pytest.approx(20 / 12, rel=0.1)
    blurred = np.asarray(scene(size=(128, 96)).filter(ImageFilter.GaussianBlur(6)).convert("L"), dtype=float)
    uncorrected = laplacian_variance(blurred) / blurred.var()
    assert detail(Image.fromarray(blurred.astype(np.uint8))) < 0.01 < uncorrected  # the wrong variant lets it pass


def test_a_saturated_colour_is_neither_dark_nor_light():
    red = scene().convert("L").point(lambda level: 128 + level // 2)
    image = Image.merge("RGB", (red, Image.new("L", red.size, 0), Image.new("L", red.size, 0)))
    assert measure(image, "brightest") > 0.75 and measure(image, "exposure") < 0.25  # its luma alone would say dark
    assert decide([image]) == [None]


@given(st.lists(st.integers(0, 255), min_size=1, max_size=150))
def test_ends_are_quantiles(levels):
    image = Image.fromarray(np.array([levels], dtype=np.uint8)).convert("RGB")
    scores = measure(image)
    assert scores["brightest"] * 255 == pytest.approx(np.quantile(levels, 0.99, method="inverted_cdf"))
    assert scores["darkest"] * 255 == pytest.approx(np.quantile(levels, 0.01, method="inverted_cdf"))


def test_a_rule_or_a_measure_takes_the_place_of_the_checks():
    assert Quality().checks and Quality(blurry="off").checks
    assert not any(stage.checks for stage in (Quality(by="entropy"), Quality(keep=0.5), Quality(outliers=4)))
    assert Quality(keep=0.5).primary_measure == "quality-sharpness"
    assert Quality(by="contrast").rule().outliers == 3.5


def test_only_an_odd_size_hangs_on_the_others():
    assert not Quality().judges_alone and Quality(odd_size="off").judges_alone
    assert Quality(by="entropy", min=1).judges_alone and not Quality(by="entropy").judges_alone


def test_options_as_in_a_recipe():
    stage = build_stage("filter", "quality", {"blurry": "off", "odd-size": 3, "grey": "0.05"})
    assert (stage.blurry, stage.odd_size, stage.grey, stage.dark) == ("off", 3, 0.05, 0.25)
    for wrong in ({"dark": "on"}, {"dark": -1}, {"odd-size": 0.5}):
        with pytest.raises(RecipeError):
            build_stage("filter", "quality", wrong)
    assert Quality().measured_options() == Quality(blurry="off", by="size", min=3).measured_options() == {}
