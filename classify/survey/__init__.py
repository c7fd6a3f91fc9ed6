"""Comparison with clinicians: surveys as offline forms, their answers, and what the answers show."""
