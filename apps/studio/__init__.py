"""The studio: morphs and the classifier's view of them, in the browser of this machine."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # Gradio reads it when it is imported

from morphoscope.apps.studio.app import build, launch, serve

__all__ = ["build", "launch", "serve"]
