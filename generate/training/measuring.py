"""What is measured of every snapshot of a training: quality on training and held-out images, and copies."""

from functools import partial

from morphoscope.cohort import Cohort
from morphoscope.generate.metrics import CopyingMeter, FeatureNetwork, QualityMeter
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.training.preparation import Preparation
from morphoscope.generate.training.records import Measurement

_FEWEST = 4  # held-out images that a snapshot can be compared with


class SnapshotMeter:
    """Measures the snapshots of one training; features of real images are computed once."""

    def __init__(self, network: FeatureNetwork, prepared: Preparation) -> None:
        config = prepared.trainer.config
        self._images = config.logging.metric_images
        images, grey = config.images, config.images.img_channels == 1
        prepare = partial(QualityMeter, network, resolution=images.resolution, fit=images.fit, grey=grey)
        self._training = prepare(reals=prepared.part)
        self._held_out: QualityMeter | None = None
        self._copying: CopyingMeter | None = None
        self._held_out_rows: Cohort | None = None
        found = prepared.comparison
        if found is not None and len(found.held_out) >= _FEWEST:
            self._held_out_rows = found.held_out
            self._held_out = prepare(reals=found.held_out)
            self._copying = CopyingMeter(network, *found, images.resolution, images.fit, grey)

    @property
    def choice(self) -> str:
        """A sentence on how the best snapshot is chosen."""
        if self._held_out_rows is None:
            return (
                "No images are held out, so the best snapshot is chosen against the training images, which "
                "favours copies of them, and copies are not looked for. --exclude-folds holds folds out."
            )
        folds = sorted(set(self._held_out_rows.rows["fold"]))
        return (
            f"The best snapshot is chosen against {len(self._held_out_rows)} held-out images "
            f"(fold{'s' * (len(folds) > 1)} {', '.join(folds)}), and copies of training images are looked "
            "for."
        )

    def measure(self, model: GeneratorModel, kimg: float, snapshot: str) -> Measurement:
        """Generate images, with full variety, and compare them with the real ones."""
        generated = self._training.generate(partial(model.sample, psi=1.0), self._images)
        return Measurement(
            kimg,
            snapshot,
            self._training.compare(generated),
            None if self._held_out is None else self._held_out.compare(generated),
            None if self._copying is None else self._copying.measure(generated),
        )
