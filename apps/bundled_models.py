"""The two small models in the package, trained on the phantom cohort (docs/model-card.md)."""

from importlib import resources
from pathlib import Path

_FOLDER = Path(str(resources.files("morphoscope.apps"))) / "bundled"

GENERATOR = _FOLDER / "phantom-generator.safetensors"
ENSEMBLE = _FOLDER / "phantom-ensemble.safetensors"

GENERATOR_PRESET = "cpu64"
GENERATOR_OVERRIDES = ["gamma=0.5"]
"""Phantoms have sharper edges than photographs and need a stronger R1 (docs/lab-notes.md)."""
