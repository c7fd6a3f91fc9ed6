"""Orientations of test-time augmentation: which there are, and that probabilities are averaged over them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from morphoscope.classify import Ensemble
from morphoscope.classify.network.forward import orientations
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError


def test_the_eight_orientations_are_the_symmetries_of_the_square() -> None:
    image = torch.arange(3 * 5 * 5.0).reshape(1, 3, 5, 5)
    found = orientations(image, 8)
    turned = [torch.rot90(one, k, (2, 3)) for one in (image, image.flip(3)) for k in range(4)]
    assert {tuple(one.ravel().tolist()) for one in found} == {tuple(t.ravel().tolist()) for t in turned}
    assert len({tuple(one.ravel().tolist()) for one in found}) == 8
    assert torch.equal(found[0], image)
    assert len(orientations(image, 1)) == 1


@pytest.fixture
def in_eight_orientations(ensemble: Ensemble, tmp_path: Path) -> Ensemble:
    ensemble.save(tmp_path / "e.safetensors")
    return Ensemble.load(tmp_path / "e.safetensors", test_time=8)


def test_probabilities_are_the_mean_over_the_orientations(
    ensemble: Ensemble, in_eight_orientations: Ensemble
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    pixels = torch.from_numpy(image).permute(0, 3, 1, 2)
    shown = torch.cat(orientations(pixels, 8)).permute(0, 2, 3, 1).numpy()
    one_by_one = ensemble.predict(shown).per_fold
    averaged = in_eight_orientations.predict(image).per_fold
    np.testing.assert_allclose(averaged[:, 0], one_by_one.mean(axis=1), atol=1e-5)
    mirrored = in_eight_orientations.predict(np.ascontiguousarray(image[:, :, ::-1])).per_fold
    np.testing.assert_allclose(mirrored, averaged, atol=1e-5)
    assert not np.allclose(ensemble.predict(image).per_fold, averaged, atol=1e-4)


def test_a_calibration_holds_for_its_own_number_of_orientations(
    ensemble: Ensemble, cohort: Cohort, tmp_path: Path
) -> None:
    ensemble.metadata = ensemble.metadata.model_copy(update={"cohort_digest": cohort.digest})
    ensemble.calibrate(cohort)
    path = tmp_path / "e.safetensors"
    ensemble.save(path)
    assert Ensemble.load(path, test_time=1).calibration is not None
    other = Ensemble.load(path, test_time=8)
    assert other.calibration is None
    other.calibrate(cohort)
    other.save(path)
    again = Ensemble.load(path)
    assert again.config.data_augmentation.test_time == 8 and again.calibration is not None
    with pytest.raises(UserError, match="test_time"):
        Ensemble.load(path, test_time=4)
