"""Run folders that earlier versions began: the fingerprint of their settings must stay what it was."""

from morphoscope.classify.training.material import TrainingCohorts
from morphoscope.classify.training.run import _fingerprint
from morphoscope.configs import load_config
from morphoscope.configs.classifier import EnsembleTraining


class _Digest:
    """A cohort of which only the digest counts."""

    digest = "ac5f18ebc662cebe"


def test_the_fingerprint_of_a_preset_is_that_of_earlier_versions() -> None:
    cohorts = TrainingCohorts(_Digest(), [], [], None)  # type: ignore[arg-type]
    settings = load_config(EnsembleTraining, family="classify", preset="lite")
    assert _fingerprint(settings, cohorts) == "2e12228698d23611"
    published = settings.model_copy(update={"answer": "published"})
    assert _fingerprint(published, cohorts) != "2e12228698d23611"
