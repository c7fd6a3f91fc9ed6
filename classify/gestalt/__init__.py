"""Faces: detection, alignment, embeddings, and syndromes ranked by similarity.

Everything runs on this machine. An embedding of a face identifies a person and is biometric data.
"""

from morphoscope.classify.gestalt.aligned_cohort import AlignedFaces, align_cohort
from morphoscope.classify.gestalt.calibration import Calibration
from morphoscope.classify.gestalt.drawing import draw_faces, draw_parts
from morphoscope.classify.gestalt.encoders import Encoder, load_encoder, with_head
from morphoscope.classify.gestalt.enrolment import Enrolment, Labelled, enrol, labelled_rows
from morphoscope.classify.gestalt.evaluation import GalleryEvaluation, Protocol, evaluate_gallery
from morphoscope.classify.gestalt.evidence import Evidence, find_evidence
from morphoscope.classify.gestalt.gallery import Entry, Gallery
from morphoscope.classify.gestalt.gallery_file import read_gallery, write_gallery
from morphoscope.classify.gestalt.head import Head
from morphoscope.classify.gestalt.likeness import FacePlane, Likeness, face_map, measure_likeness
from morphoscope.classify.gestalt.preparation import Face, find_face, find_faces, find_mesh, largest_faces
from morphoscope.classify.gestalt.quality import Quality
from morphoscope.classify.gestalt.ranking import Gestalt, Ranked, Ranking
from morphoscope.classify.gestalt.regions import crop_boxes, part_masks
from morphoscope.classify.gestalt.tuning import tune_gallery

__all__ = [
    "AlignedFaces",
    "Calibration",
    "Encoder",
    "Enrolment",
    "Entry",
    "Evidence",
    "Face",
    "FacePlane",
    "Gallery",
    "GalleryEvaluation",
    "Gestalt",
    "Head",
    "Labelled",
    "Likeness",
    "Protocol",
    "Quality",
    "Ranked",
    "Ranking",
    "align_cohort",
    "crop_boxes",
    "draw_faces",
    "draw_parts",
    "enrol",
    "evaluate_gallery",
    "face_map",
    "find_evidence",
    "find_face",
    "find_faces",
    "find_mesh",
    "labelled_rows",
    "largest_faces",
    "load_encoder",
    "measure_likeness",
    "part_masks",
    "read_gallery",
    "tune_gallery",
    "with_head",
    "write_gallery",
]
