"""How certain predictions are, and for whom: calibration, prediction sets, novelty, disagreement, strata."""

from morphoscope.classify.certainty.calibration import Calibration, CalibrationSummary, OutOfFold
from morphoscope.classify.certainty.conformal import Conformal
from morphoscope.classify.certainty.novelty import Novelty, Subspace
from morphoscope.classify.certainty.strata import Stratum

__all__ = ["Calibration", "CalibrationSummary", "Conformal", "Novelty", "OutOfFold", "Stratum", "Subspace"]
