"""The inputs of the models: views, pairs of photographs, preparation of images, tensors."""
