"""One fold's classifier: backbone and head, its pretrained weights, and its forward pass over images."""
