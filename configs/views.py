"""How a photograph was taken."""

from typing import Literal

View = Literal["focused", "panoramic", "face", "other"]
"""Close to a lesion; of a body region; of a face; anything else, or unknown."""

PairedView = Literal["focused", "panoramic"]
"""Those that a dual-view classifier takes together."""
