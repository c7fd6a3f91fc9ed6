"""Comparison of attribution methods: by lesion masks, by the classifier itself, and by random weights."""
