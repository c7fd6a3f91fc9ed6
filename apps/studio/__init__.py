"""The studio: morphs and the classifier's view of them, in the browser of this machine."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # Gradio reads it when it is imported
# Gradio makes a table of all requests so far after every one of them; nothing here shows it.
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")

from morphoscope.apps.studio.app import build, launch, serve

__all__ = ["build", "launch", "serve"]
