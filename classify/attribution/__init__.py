"""Attribution: which pixels the ensemble's answer rests on, as maps, as pictures and in numbers."""

from morphoscope.classify.attribution.maps import Attribution
from morphoscope.classify.attribution.overlay import legend, overlay

__all__ = ["Attribution", "legend", "overlay"]
