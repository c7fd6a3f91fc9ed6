"""What may be asked of Morphoscope: frozen schemas, YAML presets, and the error a user can mend.

This room imports no torch: a config is checked before anything heavy is loaded.
"""

from morphoscope.configs.errors import UserError
from morphoscope.configs.loading import list_presets, load_config

__all__ = ["UserError", "list_presets", "load_config"]
