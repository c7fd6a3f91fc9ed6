"""The prior of an ensemble: recorded, derived from the loss, or named by a user."""

from pathlib import Path

import numpy as np
import pytest

from morphoscope.classify.certainty.prior import COHORT, EQUAL, Prior
from morphoscope.classify.description import EnsembleMetadata, FoldScores
from morphoscope.classify.frequencies import (
    assumed_prior,
    cohort_prior,
    requested_prior,
    trained_frequencies,
)
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining

NAMES = ["blue", "green", "red"]
COUNTS = np.array([60, 30, 10])


def metadata(config: EnsembleTraining, **changes: object) -> EnsembleMetadata:
    settings = {name: changes.pop(name) for name in ("class_balance", "balance") if name in changes}
    config = EnsembleTraining(**{**config.model_dump(), **settings})
    return EnsembleMetadata(config=config, conditions=NAMES, folds=["0", "1"], **changes)


def test_loss_weights_decide_what_probabilities_assume(config: EnsembleTraining) -> None:
    loss = metadata(config).config.loss
    np.testing.assert_allclose(trained_frequencies(COUNTS, loss, 3), 1 / 3)
    np.testing.assert_allclose(trained_frequencies(np.array([60, 30, 10, 999]), loss, 3), 1 / 3)
    none = metadata(config, class_balance=0).config.loss
    np.testing.assert_allclose(trained_frequencies(COUNTS, none, 3), [0.6, 0.3, 0.1])
    half = trained_frequencies(COUNTS, metadata(config, class_balance=0.5).config.loss, 3)
    np.testing.assert_allclose(half[0] / half[2], 6**0.5)


def test_files_of_earlier_versions_derive_it_from_the_loss(config: EnsembleTraining) -> None:
    balanced = assumed_prior(metadata(config), None)
    assert balanced is not None and balanced.name == EQUAL
    unbalanced = metadata(config, class_balance=0)
    assert assumed_prior(unbalanced, None) is None  # neither recorded nor derivable
    found = assumed_prior(unbalanced, COUNTS)
    assert found is not None and found.name == COHORT and found.frequencies == pytest.approx((0.6, 0.3, 0.1))
    synthetic = FoldScores(
        balanced_accuracy=1.0, epoch=1, training_images={"real": 9, "synthetic": 9}, validation_images=3
    )
    assert assumed_prior(metadata(config, class_balance=0, scores={"0": synthetic}), COUNTS) is None


def test_what_is_recorded_counts(config: EnsembleTraining) -> None:
    told = metadata(config, prior=[0.5, 0.3, 0.2], prevalence=[0.6, 0.3, 0.1])
    prior, cohort = assumed_prior(told, COUNTS[::-1]), cohort_prior(told, COUNTS[::-1])
    assert prior is not None and prior.frequencies == (0.5, 0.3, 0.2)
    assert cohort is not None and cohort.frequencies == (0.6, 0.3, 0.1)
    for wrong in ([0.5, 0.5], [0.5, 0.5, 0.5], [1.0, 0.0, 0.0]):
        with pytest.raises(UserError, match="damaged description"):
            EnsembleMetadata.from_json({**metadata(config).as_json(), "prior": wrong}, Path("e.safetensors"))


def test_named_frequencies(tmp_path: Path) -> None:
    cohort = Prior.of(COUNTS, COHORT)
    assert requested_prior("cohort", NAMES, cohort) is cohort
    assert requested_prior("uniform", NAMES, None) == Prior.uniform(3)
    given = requested_prior({"red": 0.5, "green": 0.3, "blue": 0.2}, NAMES, None)
    assert given.frequencies == pytest.approx((0.2, 0.3, 0.5))
    table = tmp_path / "clinic.csv"
    table.write_text("condition;prevalence\nred;0.5\ngreen;0.3\nblue;0.2\n")
    read = requested_prior(str(table), NAMES, None)
    assert read.frequencies == pytest.approx(given.frequencies) and "clinic.csv" in read.name
    with pytest.raises(UserError, match="does not record the frequencies"):
        requested_prior("cohort", NAMES, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("condition,prevalence\nred,0.5\ngreen,0.5\n", "it lacks blue"),
        ("condition,prevalence\nred,0.5\ngreen,0.3\nblue,0.1\npink,0.1\n", "does not know pink"),
        ("condition,prevalence\nred,0.5\ngreen,0.3\nblue,0.1\n", "sum to 0.9, not 1"),
        ("condition,prevalence\nred,0.7\ngreen,0.3\nblue,0\n", "prevalence of blue: 0 is not above 0"),
        ("condition,prevalence\nred,nan\ngreen,0.3\nblue,0.1\n", "prevalence of red: nan"),
        ("condition,prevalence\nred,many\ngreen,0.3\nblue,0.1\n", "'many' is not a number"),
        ("condition,prevalence\nred,0.5\nred,0.3\nblue,0.2\n", "red has two rows"),
        ("condition,share\nred,1\n", "must be condition and prevalence"),
    ],
)
def test_tables_are_read_strictly(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "clinic.csv"
    table.write_text(text)
    with pytest.raises(UserError, match=message):
        requested_prior(table, NAMES, None)
    with pytest.raises(UserError, match="no such file"):
        requested_prior("cohorts", NAMES, None)
