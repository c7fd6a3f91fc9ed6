"""What may be asked of Morphoscope: frozen schemas, YAML presets, and the error a user can mend.

This room imports no torch, so that `morphoscope --help` and config checks stay instant.
"""

from morphoscope.configs.errors import UserError
from morphoscope.configs.loading import list_presets, load_config

__all__ = ["UserError", "list_presets", "load_config"]
