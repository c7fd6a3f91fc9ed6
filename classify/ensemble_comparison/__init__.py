"""Comparison of ensembles on the same images: paired differences by patient, tests, and a report."""

from morphoscope.classify.ensemble_comparison.comparison import (
    EnsembleComparison,
    PairComparison,
    compare_ensembles,
)

__all__ = ["EnsembleComparison", "PairComparison", "compare_ensembles"]
