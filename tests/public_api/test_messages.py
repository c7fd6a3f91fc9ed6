"""What errors and objects of the public API say."""

import types
from collections.abc import Callable

import pytest
import torch

from morphoscope import classify, ops
from morphoscope.configs import UserError
from public_api.case import photograph


def test_the_messages_say_what_is_taken_and_what_came(made: types.SimpleNamespace) -> None:
    x, w = torch.ones(1, 3, 8, 8), torch.ones(4, 3, 3, 3)
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: made.ensemble.predict(["absent.jpg"]), r"absent\.jpg: no such file"),
        (lambda: made.ensemble.predict([4]), r"uint8 RGB images \[H, W, 3\], got int 4"),
        (lambda: made.ensemble.predict(photograph()[0]), r"a path, a Pillow .* not ndarray uint8 \[30, 3\]"),
        (lambda: made.generator.sample("NF1", 4), r"seeds takes a list of whole numbers.*, not int 4"),
        (lambda: made.generator.sample("NF1", ["4"]), r"from 0 to 4294967295, not str '4'"),
        (lambda: made.ensemble.attribute(photograph(), None), "None"),
        (lambda: made.cohort.images("64"), r"size takes a whole number from 1 to 4096, not str '64'"),
        (
            lambda: ops.conv2d_resample(x, w, up=0, padding=1),
            r"up takes a whole number of at least 1, not int 0",
        ),
        (lambda: ops.conv2d_resample(x, w, down=-1), r"down takes a whole number of at least 1, not int -1"),
        (lambda: ops.bias_act([1.0]), r"x takes a tensor of float32.*, not list \[1.0\]"),
    ]
    for call, message in calls:
        with pytest.raises(UserError, match=message):
            call()


def test_objects_say_what_they_are(made: types.SimpleNamespace) -> None:
    ensemble, generator = made.ensemble, made.generator
    digest = made.cohort.digest
    test = made.cohort.select(made.cohort.rows["fold"] == "test")
    evaluation = classify.evaluate(ensemble, test, rows="all")
    said = {
        ensemble: ["5 models", "7 conditions (HMI, IP,", "128 px", "phantoms only", "digest", "calibrated"],
        generator: ["64 px", f"digest {generator.digest}", "7 conditions", "phantoms only"],
        made.cohort: ["42 images of 21 groups", "7 conditions", f"digest {digest}", "phantoms only"],
        "prediction": ["1 images by 5 models, calibrated", "7 conditions", "equally frequent"],
        "evaluation": [f"{len(test)} images", "rows all of cohort phantoms", "7 conditions", "accuracy "],
    }
    objects = {"prediction": ensemble.predict(photograph()), "evaluation": evaluation}
    for key, words in said.items():
        text = repr(objects.get(key, key) if isinstance(key, str) else key)
        assert [word for word in words if word not in text] == [], text
        assert len(text.splitlines()) <= 3 and len(text) < 400
