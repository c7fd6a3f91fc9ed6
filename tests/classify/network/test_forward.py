"""Test-time views: what they show, and that their probabilities are averaged a model."""

from pathlib import Path

import numpy as np
import pytest
import torch

from morphoscope.classify import Ensemble
from morphoscope.classify.network.forward import test_time_views as views_of
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError


def test_the_eight_views_are_the_symmetries_of_the_square() -> None:
    image = torch.arange(3 * 5 * 5.0).reshape(1, 3, 5, 5)
    views = views_of(image, 8)
    turned = [torch.rot90(view, k, (2, 3)) for view in (image, image.flip(3)) for k in range(4)]
    assert {tuple(view.ravel().tolist()) for view in views} == {tuple(t.ravel().tolist()) for t in turned}
    assert len({tuple(view.ravel().tolist()) for view in views}) == 8
    assert torch.equal(views[0], image)
    assert len(views_of(image, 1)) == 1


@pytest.fixture
def in_eight_views(ensemble: Ensemble, tmp_path: Path) -> Ensemble:
    ensemble.save(tmp_path / "e.safetensors")
    return Ensemble.load(tmp_path / "e.safetensors", test_time=8)


def test_probabilities_are_the_mean_over_the_views(ensemble: Ensemble, in_eight_views: Ensemble) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    pixels = torch.from_numpy(image).permute(0, 3, 1, 2)
    shown = torch.cat(views_of(pixels, 8)).permute(0, 2, 3, 1).numpy()
    one_by_one = ensemble.predict(shown).per_fold
    said = in_eight_views.predict(image).per_fold
    np.testing.assert_allclose(said[:, 0], one_by_one.mean(axis=1), atol=1e-5)
    mirrored = in_eight_views.predict(np.ascontiguousarray(image[:, :, ::-1])).per_fold
    np.testing.assert_allclose(mirrored, said, atol=1e-5)
    assert not np.allclose(ensemble.predict(image).per_fold, said, atol=1e-4)


def test_a_calibration_holds_for_its_own_number_of_views(
    ensemble: Ensemble, cohort: Cohort, tmp_path: Path
) -> None:
    ensemble.metadata["cohort_digest"] = cohort.digest
    ensemble.calibrate(cohort)
    path = tmp_path / "e.safetensors"
    ensemble.save(path)
    assert Ensemble.load(path, test_time=1).calibration is not None
    other = Ensemble.load(path, test_time=8)
    assert other.calibration is None
    other.calibrate(cohort)
    other.save(path)
    again = Ensemble.load(path)
    assert again.config.test_time == 8 and again.calibration is not None
    with pytest.raises(UserError, match="test_time"):
        Ensemble.load(path, test_time=4)
