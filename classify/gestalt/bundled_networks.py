"""The networks that come with the package, and what `make_networks` checks when it converts them."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "bundled"

DETECTOR = _FOLDER / "face_detection_full_range.tflite"
"""BlazeFace, full range (Bazarevsky et al. 2019): 192 px, boxes and six key points; Apache-2.0."""
MESH = _FOLDER / "face_landmark.tflite"
"""FaceMesh (Kartynnik et al. 2019): 192 px, 468 points, weights in float16; Apache-2.0."""
RESNET = _FOLDER / "face_recognition_resnet.safetensors"
"""dlib's ResNet for faces (King 2017), weights in 8 bits; CC0-1.0."""
