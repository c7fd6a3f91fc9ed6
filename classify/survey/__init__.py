"""Comparison with clinicians: surveys as offline forms, their answers, and the analysis of the answers."""
