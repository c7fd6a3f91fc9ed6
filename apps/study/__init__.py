"""The study: whether augmentation helps, for whom, and how certain that is."""
