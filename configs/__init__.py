"""Settings of all commands: frozen schemas, YAML presets, and the error for what a user can fix.

This room imports no torch: a config is checked before anything heavy is loaded.
"""

from morphoscope.configs.errors import UserError, first_names
from morphoscope.configs.loading import list_presets, load_config

__all__ = ["UserError", "first_names", "list_presets", "load_config"]
