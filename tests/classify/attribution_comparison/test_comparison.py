"""The comparison of methods: its table and files, the choice of images, and what is an error."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from morphoscope.classify import Ensemble
from morphoscope.classify.attribution import Attribution
from morphoscope.classify.attribution_comparison.comparison import choose, compare_maps
from morphoscope.classify.attribution_comparison.results import CONTROL
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.attribution import Baseline, MapComparison, Method
from morphoscope.configs.loading import validated

SETTINGS = {"steps": 4, "samples": 2, "points": 4, "window": 0.5, "images": 6, "cascade": 0}


@pytest.fixture
def masked(cohort: Cohort, tmp_path: Path) -> Cohort:
    """The toy cohort, with a mask that covers the left half of every image."""
    whole = cohort.save_as(tmp_path / "masked")
    mask = np.zeros((40, 40), np.uint8)
    mask[:, :20] = 255
    Image.fromarray(mask).save(whole.root / "mask.png")
    return Cohort.from_rows(whole.root, whole.rows.assign(mask="mask.png"))


def test_images_are_drawn_evenly_one_per_patient_from_the_test_fold(cohort: Cohort) -> None:
    rows = cohort.rows.iloc[choose(cohort, "test", 7, seed=0)]
    assert set(rows["fold"]) == {"test"}
    assert rows["group"].is_unique
    assert sorted(rows["condition"].value_counts()) == [2, 2, 3]
    assert choose(cohort, "test", 7, seed=0) == list(rows.index) != choose(cohort, "test", 7, seed=1)
    assert len(choose(cohort, "all", 1000, seed=0)) == cohort.rows["group"].nunique()


def test_all_methods_and_baselines_are_compared_by_default() -> None:
    methods = MapComparison().methods
    assert {name.partition(":")[0] for name in methods} == set(get_args(Method))
    gradients = {name.partition(":")[2] for name in methods if name.startswith("integrated_gradients")}
    assert gradients == set(get_args(Baseline))


def test_every_method_and_the_control_is_scored_on_every_image(ensemble: Ensemble, masked: Cohort) -> None:
    config = MapComparison(methods=["gradcam", "integrated_gradients:black", "occlusion"], **SETTINGS)
    found = compare_maps(ensemble, masked, config)
    assert len(found.scores) == 6 * 4
    summary = found.summary
    assert list(summary) == [*config.methods, CONTROL]
    assert found.chance == pytest.approx(0.5, abs=0.02)
    control = summary[CONTROL]
    assert control.inside is not None and control.inside.value == pytest.approx(0.5, abs=0.03)
    assert control.rank_random is not None and abs(control.rank_random.value) < 0.05
    assert control.agreement is None and control.error is None
    for row in summary.values():
        for estimate in (row.pointing, row.inside, row.deletion, row.insertion):
            assert estimate is not None and 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert summary["integrated_gradients:black"].error is not None
    assert summary["gradcam"].error is None


def test_without_masks_localisation_is_left_out(ensemble: Ensemble, cohort: Cohort, tmp_path: Path) -> None:
    found = compare_maps(ensemble, cohort, MapComparison(methods=["gradcam"], **SETTINGS))
    summary = found.summary
    assert found.chance is None
    assert summary["gradcam"].pointing is None and summary["gradcam"].deletion is not None
    found.write(tmp_path)
    assert "no image has a mask" in (tmp_path / "table.md").read_text()
    assert Image.open(tmp_path / "examples.png").width > 300
    content = json.loads((tmp_path / "table.json").read_text())
    assert content["methods"]["gradcam"]["pointing"] is None and content["lesion_area"] is None
    assert found.cascade is None and not (tmp_path / "cascade.csv").exists()
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(table["method"]) == ["gradcam", CONTROL]
    assert table["deletion"][0] == pytest.approx(content["methods"]["gradcam"]["deletion"]["value"], abs=1e-5)
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 12


def test_an_ensemble_of_one_fold_has_no_agreement(ensemble: Ensemble, cohort: Cohort) -> None:
    found = compare_maps(ensemble.fold("0"), cohort, MapComparison(methods=["gradcam"], **SETTINGS))
    assert found.summary["gradcam"].agreement is None


def test_the_cascade_ends_at_the_random_weights_of_the_table(
    ensemble: Ensemble, cohort: Cohort, tmp_path: Path
) -> None:
    config = MapComparison(methods=["smoothgrad", "gradcam"], **{**SETTINGS, "cascade": 3})
    found = compare_maps(ensemble, cohort, config)
    assert found.cascade is not None and found.cascade.images == 3
    scores = found.cascade.scores
    assert len(scores) == 6 * 3 * 2  # stages, images, methods
    last = scores[scores["stage"] == 6].set_index(["file", "method"])
    whole = found.scores.set_index(["file", "method"]).loc[last.index]
    for measure in ("rank_random", "absolute_random", "ssim_random"):
        np.testing.assert_allclose(last[measure], whole[measure], atol=1e-6)
    found.write(tmp_path)
    assert len(pd.read_csv(tmp_path / "cascade.csv")) == len(scores)
    assert Image.open(tmp_path / "cascade.png").width > 300
    stages = json.loads((tmp_path / "table.json").read_text())["cascade"]
    mean = scores.query("stage == 1 and method == 'gradcam'")["ssim_random"].mean()
    assert stages[0]["layers"] == "classifier"
    assert stages[0]["methods"]["gradcam"]["ssim_random"]["value"] == pytest.approx(mean)
    assert "| 1. classifier | " in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_the_average_reuses_the_four_maps_if_all_are_listed(
    ensemble: Ensemble, cohort: Cohort, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    settings = {**SETTINGS, "images": 2, "cascade": 1}
    average = f"{method}:average"
    alone = compare_maps(ensemble, cohort, MapComparison(methods=[average], **settings))
    made, attribute = [], Ensemble.attribute

    def counted(self: Ensemble, *arguments: Any, baseline: Baseline, **options: Any) -> Attribution:
        made.append(baseline)
        return attribute(self, *arguments, baseline=baseline, **options)

    monkeypatch.setattr(Ensemble, "attribute", counted)
    names = [f"{method}:{baseline}" for baseline in get_args(Baseline)]
    methods = [average, *(name for name in names if name != average)]
    found = compare_maps(ensemble, cohort, MapComparison(methods=methods, **settings))
    assert set(made) == {"mean", "black", "white", "blurred"}
    assert list(found.summary) == [*methods, CONTROL]
    for mine, other in ((found, alone), (found.cascade, alone.cascade)):
        assert mine is not None and other is not None
        rows = [frame[frame["method"] == average] for frame in (mine.scores, other.scores)]
        pd.testing.assert_frame_equal(*(part.reset_index(drop=True) for part in rows), atol=1e-6)


def test_images_that_models_have_seen_are_marked_and_reported(
    ensemble: Ensemble, cohort: Cohort, tmp_path: Path
) -> None:
    rows = cohort.rows
    config = MapComparison(methods=["gradcam"], rows="all", **{**SETTINGS, "images": 36})
    ensemble.metadata = ensemble.metadata.model_copy(
        update={
            "seen_images": [
                name for name, fold in zip(cohort.image_hashes, rows["fold"], strict=True) if fold != "test"
            ]
        }
    )
    found = compare_maps(ensemble, cohort, config)
    seen = found.scores.set_index("file")["seen"]
    expected = rows.set_index("file")["fold"].loc[seen.index] != "test"
    assert (seen == expected).all()
    assert found.setting.seen == 27
    assert found.warning is not None and "on 27 of these 36 images" in found.warning
    found.write(tmp_path)
    assert (tmp_path / "table.md").read_text().startswith("**Warning.** The ensemble was trained")
    assert json.loads((tmp_path / "table.json").read_text())["seen"] == 27

    unseen = compare_maps(ensemble, cohort, MapComparison(methods=["gradcam"], **SETTINGS))
    assert unseen.warning is None and unseen.setting.seen == 0

    ensemble.metadata = ensemble.metadata.model_copy(
        update={"seen_images": None}
    )  # as in files of earlier versions
    assert "not known" in str(compare_maps(ensemble, cohort, config).warning)
    ensemble.metadata = ensemble.metadata.model_copy(update={"cohort_digest": cohort.digest})
    assert compare_maps(ensemble, cohort, config).setting.seen == 27


def test_only_images_of_one_view_are_compared(ensemble: Ensemble, cohort: Cohort) -> None:
    view = ["focused" if index % 2 else "panoramic" for index in range(len(cohort))]
    both = Cohort.from_rows(cohort.root, cohort.rows.assign(view=view))
    config = MapComparison(methods=["gradcam"], view="focused", **SETTINGS)
    files = set(compare_maps(ensemble, both, config).scores["file"])
    assert set(both.rows.set_index("file")["view"].loc[list(files)]) == {"focused"}
    trained_on = {"view": "panoramic", "cohort_digest": both.digest}
    ensemble.metadata = ensemble.metadata.model_copy(update=trained_on)
    own = compare_maps(ensemble, both, MapComparison(methods=["gradcam"], **SETTINGS))
    assert own.setting.view == "panoramic"
    with pytest.raises(UserError, match="no focused image; its views are"):
        compare_maps(ensemble, cohort, config)


def test_what_cannot_be_compared_is_an_error(ensemble: Ensemble, cohort: Cohort) -> None:
    with pytest.raises(UserError, match="methods"):
        validated(MapComparison, {"methods": ["lime"]})
    with pytest.raises(UserError, match="methods"):
        validated(MapComparison, {"methods": ["gradcam:black"]})  # it has no baseline
    training = cohort.select(cohort.rows["fold"] != "test")
    with pytest.raises(UserError, match="no image to compare maps on"):
        choose(training, "test", 3, 0)
    stranger = Cohort.from_rows(cohort.root, cohort.rows.assign(condition="violet"))
    with pytest.raises(UserError, match="does not know violet"):
        compare_maps(ensemble, stranger, MapComparison())
