"""Results of a comparison: means with intervals, the table's files, and the warning about seen images."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify.attribution_comparison.examples import Example, ExampleMap
from morphoscope.classify.attribution_comparison.results import MEASURES, ComparedMaps, MapScore, Setting

SETTING = Setting(20, "test", None, 0, "toy", "0" * 16, True, "mean", "all weights re-initialised")


@pytest.fixture
def compared() -> ComparedMaps:
    """One method on 20 images without masks, except for `pointing`."""
    nan = float("nan")
    scores = [
        MapScore(
            f"{i}.png",
            "red",
            "gradcam",
            float(i < 15),
            nan,
            deletion,
            0.9,
            nan,
            0.1,
            0.2,
            0.3,
            nan,
            nan,
            False,
        )
        for i, deletion in enumerate(np.linspace(0.2, 0.6, 20))
    ]
    example = Example(np.zeros((8, 8, 3), np.uint8), "red", None, {"gradcam": ExampleMap(np.eye(8), False)})
    return ComparedMaps(pd.DataFrame(scores), [example], SETTING)


def test_means_and_their_intervals(compared: ComparedMaps) -> None:
    row = compared.summary["gradcam"]
    assert row.pointing is not None and row.deletion is not None
    assert tuple(round(end, 3) for end in row.pointing) == (0.75, 0.531, 0.888)  # Wilson, 15 of 20
    assert row.deletion.value == pytest.approx(0.4)
    half = 1.96 * np.linspace(0.2, 0.6, 20).std() / np.sqrt(20)
    assert row.deletion.high - row.deletion.value == pytest.approx(half, rel=0.15)
    assert row.inside is None and row.error is None


def test_every_measure_is_in_all_three_tables(compared: ComparedMaps, tmp_path: Path) -> None:
    compared.write(tmp_path)
    header, _, values = (tmp_path / "table.md").read_text().splitlines()[:3]
    assert header == "| method | " + " | ".join(MEASURES.values()) + " |"
    assert values.startswith("| gradcam | 0.75 (0.53 to 0.89) | – | 0.40 (")
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(table)[:4] == ["method", "pointing", "pointing_low", "pointing_high"]
    assert len(table.columns) == 1 + 3 * len(MEASURES)
    content = json.loads((tmp_path / "table.json").read_text())
    assert list(content["methods"]["gradcam"]) == list(MEASURES)
    assert content["methods"]["gradcam"]["insertion"] == pytest.approx(
        {"value": 0.9, "low": 0.9, "high": 0.9}
    )
    assert content["methods"]["gradcam"]["inside"] is None and content["lesion_area"] is None
    assert content["replacement"] == "mean" and content["phantom"] is True


@pytest.mark.parametrize(
    ("seen", "warning"), [(0, None), (3, "on 3 of these 20 images"), (None, "It is not known whether")]
)
def test_images_already_seen_give_a_warning(
    compared: ComparedMaps, seen: int | None, warning: str | None
) -> None:
    found = replace(compared, setting=replace(SETTING, seen=seen))
    if warning is None:
        assert found.warning is None and not found.markdown().startswith("**Warning.**")
    else:
        assert warning in str(found.warning) and found.markdown().startswith("**Warning.**")
