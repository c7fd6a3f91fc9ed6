"""The classifier of one fold: backbone and head, pretrained weights, and the forward pass."""
