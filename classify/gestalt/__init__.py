"""Faces: detection, alignment, embeddings, and syndromes ranked by similarity.

Everything runs on this machine. An embedding of a face identifies a person and is biometric data.
"""

from morphoscope.classify.gestalt.drawing import draw_faces
from morphoscope.classify.gestalt.encoders import Encoder, load_encoder
from morphoscope.classify.gestalt.preparation import Face, find_face, find_faces
from morphoscope.classify.gestalt.quality import Quality
from morphoscope.classify.gestalt.regions import crop_boxes, part_masks

__all__ = [
    "Encoder",
    "Face",
    "Quality",
    "crop_boxes",
    "draw_faces",
    "find_face",
    "find_faces",
    "load_encoder",
    "part_masks",
]
