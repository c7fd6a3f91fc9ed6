"""Training of region networks, one after the other, in a run folder in which a second call resumes."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from timm.optim import param_groups_weight_decay

from morphoscope.classify.gestalt.region_networks.changes import FaceChanges
from morphoscope.classify.gestalt.region_networks.evaluation import RegionEvaluation, measure_faces
from morphoscope.classify.gestalt.region_networks.faces import FaceCrops
from morphoscope.classify.gestalt.region_networks.labels import Question
from morphoscope.classify.gestalt.region_networks.model import RegionMetadata, RegionNetworks
from morphoscope.classify.gestalt.region_networks.network import RegionNetwork
from morphoscope.classify.gestalt.region_networks.rows import plan_rows
from morphoscope.classify.gestalt.regions import CROPS
from morphoscope.classify.training.display import Display
from morphoscope.classify.training.fold import Trainer
from morphoscope.classify.training.losses import SoftTargetLoss, class_weights
from morphoscope.classify.training.pool import ImagePool
from morphoscope.cohort import Cohort, CohortInput
from morphoscope.configs import UserError
from morphoscope.configs.classifier import TrainingGroup
from morphoscope.configs.faces import RegionTraining
from morphoscope.runtime import InputFiles, Interruption, Request, RunFolder, write_text
from morphoscope.runtime.files import file_sha256
from morphoscope.runtime.torch_checkpoints import read_checkpoint, write_checkpoint
from morphoscope.runtime.torch_devices import resolve_device

log = logging.getLogger(__name__)

MODEL = "regions.safetensors"
_ONE = "face region network"  # kind of the file of a region that is finished
_FEW_STEPS = 50  # below, batch normalisation's running means are still far from those of the last steps
_STOPPING = "Stopping after this step; finished regions and epochs are kept …"


class RegionTrainingRun:
    """A training of region networks.

    Attributes:
        faces: those that are trained on, and what was left out; set by `train`.
    """

    def __init__(
        self,
        config: RegionTraining,
        cohort: Cohort,
        question: Question = Question(),
        *,
        exclude_folds: Sequence[str] = (),
        start_from: Path | None = None,
        keep_flagged: bool = False,
        device: str = "auto",
    ) -> None:
        """Check what can be checked before faces are looked for.

        Args:
            config: settings of the training.
            cohort: faces; its fold "test" is never used.
            question: what the networks tell apart.
            exclude_folds: names of further folds to hold out.
            start_from: file of region networks, e.g. of identities, whose weights are the first ones.
            keep_flagged: also train on faces with a flag about their quality.
            device: auto, cpu, cuda or cuda:N.

        Raises:
            UserError: as for `Question.labels`, `plan_rows` and `RegionNetworks.load`; networks to start from
                that are of another width or lack a region.
        """
        self._config, self._cohort, self._question = config, cohort, question
        self._exclude, self._keep_flagged = list(exclude_folds), keep_flagged
        self._start_file = start_from
        self._start = None if start_from is None else RegionNetworks.load(start_from, "cpu")
        if self._start is not None:
            _require_start(self._start, config, start_from)
        self._labels = question.labels(cohort)
        seen = [] if self._start is None else self._start.metadata.seen_images
        self._plan = plan_rows(cohort, self._labels, self._exclude, seen)
        self._device = resolve_device(device)

    def train(
        self, run: RunFolder, overwrite: bool = False
    ) -> tuple[RegionNetworks, RegionEvaluation | None]:
        """Train the networks, or those that are missing.

        The run folder gets `regions.safetensors` and, if folds are excluded, `held-out/` with the accuracy
        and the predictions for their images.

        Args:
            overwrite: if the run folder holds another training, delete the files that it wrote.

        Returns:
            (the networks, results for the excluded folds or None).

        Raises:
            UserError: fewer than two labels with a usable face, a run folder of another run, or a training
                that diverged.
            KeyboardInterrupt: Ctrl-C or SIGTERM; finished regions and epochs are kept.
        """
        with run.held():
            run.claim(self._request(), overwrite=overwrite)
            run.write_config(
                self._config, cohort=self._cohort.root, cohort_digest=self._cohort.digest, device=self._device
            )
            try:
                return self._train(run)
            except KeyboardInterrupt as stop:
                where = str(stop) or "Stopped; finished regions are kept."
                raise KeyboardInterrupt(f"{where} {run.how_to_resume}") from stop

    def _train(self, run: RunFolder) -> tuple[RegionNetworks, RegionEvaluation | None]:
        self.faces = self._find(self._plan.training, self._keep_flagged)
        syndromes = sorted(set(self._labels.to_numpy()[self.faces.rows]))
        if len(syndromes) < 2:
            raise UserError(
                f"{self._cohort.root}: usable faces of {len(syndromes)} label(s) to train on; networks need "
                f"two. {len(self.faces.left_out)} images have no usable face."
            )
        steps = self._config.training.epochs * math.ceil(len(self.faces) / self._config.training.batch)
        if steps < _FEW_STEPS:
            log.warning(
                "%d steps per region are few: networks need about %d before batch normalisation works on new "
                "faces. Train more epochs, or with a smaller batch.",
                steps,
                _FEW_STEPS,
            )
        held = self._find(self._plan.held_out, True) if len(self._plan.held_out) else None
        networks = self._train_regions(run, syndromes, held)
        model = RegionNetworks(self._metadata(syndromes), networks, self._device)
        model.save(run.path / MODEL)
        if held is None:
            return model, None
        found = measure_faces(model, self._cohort, held)
        write_text(run.path / "held-out" / "accuracy.csv", found.to_frame().to_csv(index=False))
        write_text(run.path / "held-out" / "predictions.csv", found.predictions.to_csv(index=False))
        return model, found

    def _request(self) -> Request:
        return Request(
            self._config,
            {
                "cohort": CohortInput(self._cohort),
                **vars(self._question),
                "exclude_folds": self._exclude,
                "keep_flagged": self._keep_flagged,
                "start_from": None if self._start_file is None else InputFiles(self._start_file),
            },
        )

    def _find(self, rows: np.ndarray, keep_flagged: bool) -> FaceCrops:
        network = self._config.network
        return FaceCrops.of(self._cohort, rows, network.regions, network.resolution, keep_flagged)

    def _train_regions(
        self, run: RunFolder, syndromes: list[str], held: FaceCrops | None
    ) -> dict[str, RegionNetwork]:
        """{region: network}; regions whose file is already in the run folder are read from it."""
        networks: dict[str, RegionNetwork] = {}
        regions = self._config.network.regions
        training = self._targets(self.faces, syndromes)
        validation = None if held is None else self._targets(held, syndromes)
        with Interruption(_STOPPING) as interruption, Display(run, "region") as display:
            for place, region in enumerate(regions):
                network = self._network(region, len(syndromes))
                path = run.path / "regions" / f"{region}.safetensors"
                if path.is_file():
                    network.load_state_dict(read_checkpoint(path, _ONE)[0])
                    networks[region] = network
                    continue
                if interruption.requested:
                    raise KeyboardInterrupt(f"Stopped after {place} of {len(regions)} regions.")
                pool = _pool(self.faces, place, training)
                seen = None
                if held is not None and validation is not None and validation.any():
                    seen = _pool(held, place, validation)
                display.start(region, {"real": len(pool)}, 0 if seen is None else len(seen))
                state_file = path.with_suffix(".state.pt")
                state = self._trainer(region, network, pool, seen).fit(state_file, interruption, display)
                network.load_state_dict(state.kept_weights)
                write_checkpoint(path, _ONE, state.kept_weights, {"region": region})
                state_file.unlink(missing_ok=True)
                networks[region] = network
        return networks

    def _network(self, region: str, classes: int) -> RegionNetwork:
        """A network with its first weights, on the device."""
        settings = self._config.network
        torch.manual_seed(
            int(np.random.default_rng([self._config.seed, CROPS.index(region)]).integers(2**31))
        )
        network = RegionNetwork(classes, settings.width, settings.dropout)
        if self._start is not None:
            network.start_from(self._start.networks[region].state_dict())
        return network.to(self._device)

    def _targets(self, faces: FaceCrops, syndromes: list[str]) -> np.ndarray:
        """float32 [N, K]; a row of zeros for a label that is not trained."""
        labels = self._labels.to_numpy()[faces.rows]
        return np.asarray(labels[:, None] == np.array(syndromes), np.float32)

    def _trainer(
        self, region: str, network: RegionNetwork, pool: ImagePool, validation: ImagePool | None
    ) -> Trainer:
        steps = self._config.training
        settings = TrainingGroup(
            epochs=steps.epochs,
            batch=steps.batch,
            micro_batch=steps.micro_batch,
            precision=steps.precision,
            learning_rate=steps.learning_rate,
            weight_decay=steps.weight_decay,
            patience=None,
        )
        groups = param_groups_weight_decay(network, steps.weight_decay)
        counts = pool.targets.sum(axis=0, dtype=np.float64)
        weights = class_weights(counts, "inverse", steps.class_balance, 0.0)
        return Trainer(
            "region",
            region,
            (self._config.seed, CROPS.index(region)),
            settings,
            network,
            [{**group, "lr_scale": 1.0} for group in groups],
            pool,
            validation,
            SoftTargetLoss(weights.to(self._device), 0.0),
            FaceChanges(self._config.changes),
            self._device,
        )

    def _metadata(self, syndromes: list[str]) -> RegionMetadata:
        rows = self._cohort.rows.iloc[self.faces.rows].assign(label=self._labels.to_numpy()[self.faces.rows])
        by_label = rows.groupby("label")
        seen = {self._cohort.image_hashes[row] for row in self.faces.rows}
        if self._start is not None:
            seen |= set(self._start.metadata.seen_images)
        return RegionMetadata(
            syndromes=syndromes,
            settings=self._config,
            **vars(self._question),
            images={str(name): len(part) for name, part in by_label},
            patients={str(name): int(part["group"].nunique()) for name, part in by_label},
            cohort=self._cohort.root.name,
            cohort_digest=self._cohort.digest,
            phantom=self._cohort.phantom and (self._start is None or self._start.metadata.phantom),
            excluded_folds=self._exclude,
            started_from="" if self._start_file is None else file_sha256(self._start_file)[:16],
            seen_images=sorted(seen),
        )


def _pool(faces: FaceCrops, place: int, targets: np.ndarray) -> ImagePool:
    """The crops of one region of the faces whose label is trained."""
    return ImagePool.of([(faces.crops[:, place], targets, np.flatnonzero(targets.any(axis=1)))])


def _require_start(start: RegionNetworks, config: RegionTraining, path: Path | None) -> None:
    """UserError if the networks of `path` cannot be the first ones of a training."""
    network = config.network
    missing = [region for region in network.regions if region not in start.networks]
    if missing:
        raise UserError(
            f"--start-from {path}: has no network for {', '.join(missing)}; leave them out of regions."
        )
    width = start.metadata.settings.network.width
    if width != network.width:
        raise UserError(
            f"--start-from {path}: was trained with width {width:g}, not {network.width:g}; give "
            f"--width {width:g}."
        )
