"""A figure of a face beside the nearest images of a gallery whose owner allowed showing them."""

from pathlib import Path
from textwrap import fill

from matplotlib.figure import Figure

from morphoscope.classify.gestalt.gallery import Gallery
from morphoscope.classify.gestalt.preparation import Face
from morphoscope.classify.gestalt.quality import UPRIGHT
from morphoscope.classify.gestalt.ranking import Ranking
from morphoscope.configs import UserError
from morphoscope.runtime.reporting.plots import plain, save

_SHOWN = 7  # syndromes


def write_nearest_figure(path: Path, face: Face, ranking: Ranking, gallery: Gallery) -> None:
    """Draw a face, and the nearest image of each of the first seven syndromes, as a PNG file.

    Raises:
        UserError: the gallery keeps no thumbnails, or the file cannot be written.
    """
    if gallery.thumbnails is None:
        raise UserError(
            "The gallery keeps no images, so none can be shown. Make it with --keep-thumbnails if the people "
            "in it consent."
        )
    nearest = ranking.syndromes[:_SHOWN]
    images = [face.aligned(UPRIGHT), *(gallery.thumbnails[one.image] for one in nearest)]
    titles = ["this photograph", *(f"{one.syndrome}\n{one.distance:.3f}" for one in nearest)]
    figure = Figure(figsize=(1.5 * len(images), 2.2), layout="constrained", facecolor="white")
    for place, (image, title) in enumerate(zip(images, titles, strict=True), 1):
        axes = figure.add_subplot(1, len(images), place)
        axes.imshow(image)
        axes.set_title(fill(plain(title), 18, replace_whitespace=False), fontsize=8)
        axes.axis("off")
    figure.supxlabel(f"Consent: {plain(gallery.consent)}", fontsize=6)
    save(figure, path.with_suffix(""), [".png"], whole=True)
