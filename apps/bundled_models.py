"""The pair of small models that the package carries, trained on the phantom cohort (docs/model-card.md)."""

from importlib import resources
from pathlib import Path

_FOLDER = Path(str(resources.files("morphoscope.apps"))) / "bundled"

GENERATOR = _FOLDER / "phantom-generator.safetensors"
ENSEMBLE = _FOLDER / "phantom-ensemble.safetensors"
