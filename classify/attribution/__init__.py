"""Attribution: maps of the pixels that an ensemble's prediction depends on, and their overlays."""

from morphoscope.classify.attribution.explanation import write_explanation
from morphoscope.classify.attribution.maps import Attribution
from morphoscope.classify.attribution.overlay import colour_range, legend, overlay

__all__ = ["Attribution", "colour_range", "legend", "overlay", "write_explanation"]
