"""What models see of a cohort: views, pairs, lesion masks, and images as tensors."""
