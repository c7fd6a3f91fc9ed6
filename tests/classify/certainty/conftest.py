"""An ensemble that is calibrated on the toy cohort."""

import pytest

from morphoscope.classify import Ensemble
from morphoscope.cohort import Cohort


@pytest.fixture
def calibrated(ensemble: Ensemble, cohort: Cohort) -> Ensemble:
    ensemble.metadata = ensemble.metadata.model_copy(update={"cohort_digest": cohort.digest})
    ensemble.calibrate(cohort)
    return ensemble
