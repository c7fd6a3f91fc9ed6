"""The summary of a cascade: means per stage and method, as a table and as JSON."""

import pandas as pd
import pytest

from morphoscope.classify.attribution_comparison.cascade import Cascade, StageScore


def test_stages_are_summarised_in_their_order() -> None:
    scores = [
        StageScore(stage, f"layer{stage}", f"{image}.png", method, 0.0, value + image / 10, value)
        for stage, value in ((1, 0.8), (2, 0.2))
        for image in (0, 1)
        for method in ("occlusion", "gradcam")
    ]
    found = Cascade(pd.DataFrame(scores))
    assert found.images == 2
    first, second = found.summary
    assert (first.stage, first.layers, list(first.methods)) == (1, "layer1", ["occlusion", "gradcam"])
    mean = second.methods["gradcam"].absolute_random
    assert mean is not None and mean.value == pytest.approx(0.25)
    assert found.facts()[0]["methods"]["occlusion"]["ssim_random"] == pytest.approx(
        {"value": 0.8, "low": 0.8, "high": 0.8}
    )
    table = found.markdown()
    assert "| re-initialised up to (SSIM, absolute) | occlusion | gradcam |" in table
    assert "| 2. layer2 | 0.20 (0.20 to 0.20) | 0.20 (0.20 to 0.20) |" in table
    assert "means of 2 images" in table


def test_a_single_image_has_no_mean() -> None:
    found = Cascade(pd.DataFrame([StageScore(1, "classifier", "a.png", "gradcam", 0.1, 0.2, 0.3)]))
    assert found.summary[0].methods["gradcam"] == (None, None)
    assert found.facts()[0]["methods"]["gradcam"] == {"absolute_random": None, "ssim_random": None}
    assert "| 1. classifier | – |" in found.markdown()
