import numpy as np
import pytest

from augforge.errors import ModelError
from augforge.stages.filters.watermark import Watermark
from tests.stages.filters.galleries import inputs

LOGITS = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [1 / 3] * 3], dtype=np.float32))
KNOWN = ["clean", "watermark", "logo"]


def test_the_score_is_the_probability_of_the_named_class():
    gallery = inputs(LOGITS, [0, 0, -1], known=KNOWN)
    assert Watermark(model="m").compare(gallery)["watermark"] == pytest.approx([0.25, 0.8, 1 / 3])
    assert Watermark(model="m", label="clean").compare(gallery)["watermark"] == pytest.approx([0.5, 0.1, 1 / 3])


def test_what_is_more_likely_marked_than_not_goes():
    stage = Watermark(model="m")
    scores = stage.compare(inputs(LOGITS, [0, 0, 0], known=KNOWN))
    stays, reasons = stage.decide(scores, ["a", "b", "c"], np.zeros(3, dtype=np.int64), "its class")
    assert stays.tolist() == [True, False, True] and reasons[1].startswith("watermark: ")


def test_a_class_that_the_classifier_does_not_have_is_refused_with_those_that_it_has():
    with pytest.raises(ModelError, match="has no class 'watermarks'") as caught:
        Watermark(model="m", label="watermarks").compare(inputs(LOGITS, [0, 0, 0], known=KNOWN))
    assert "watermark" in caught.value.hint
