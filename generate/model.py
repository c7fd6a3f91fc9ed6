"""A trained generator: sampling, label mixtures and morphs (spec 7, 8)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from morphoscope.cohort import Provenance
from morphoscope.configs import UserError, arguments, first_names
from morphoscope.configs.precision import ConvolutionPrecision
from morphoscope.generate.centres import TruncationCentres
from morphoscope.generate.description import SnapshotMetadata
from morphoscope.generate.execution import BATCH, execution_id, map_latents, truncated
from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.rendering import render
from morphoscope.generate.snapshots import read_generator
from morphoscope.ops.precision import check_precision, convolutions_in
from morphoscope.runtime.files import file_sha256
from morphoscope.runtime.torch_devices import resolve_device

Condition = str | Mapping[str, float] | Sequence[float]


class GeneratorModel:
    """A generator with the names of its conditions. Images are uint8 RGB [N, R, R, 3], also of grey ones.

    Attributes:
        conditions: names in the order of the label vector.
        descriptions: what these names stand for, as far as it is known.
        resolution: R, pixels.
        digest: first 16 hex digits of the file's SHA-256; recorded with every synthetic image.
        metadata: of the snapshot: what the generator was trained on, and how.
        precision: of the convolutions on a CPU, float32 or bfloat16.
    """

    def __init__(
        self,
        G: Generator,
        class_means: torch.Tensor,
        metadata: SnapshotMetadata,
        digest: str,
        precision: ConvolutionPrecision = "float32",
    ) -> None:
        self.G = G
        self.class_means = class_means
        self.centres = TruncationCentres(G, class_means)
        self.metadata = metadata
        self.digest = digest
        self.precision = precision
        self.conditions = metadata.conditions
        self.descriptions = metadata.descriptions
        self.resolution = G.img_resolution

    def __repr__(self) -> str:
        names, phantom = first_names(self.conditions), ", phantoms only" if self.phantoms_only else ""
        grey = " grey" if self.grey else ""
        foreign = f";\n trained on {self.metadata.origin}" if self.metadata.foreign else ""
        return (
            f"<GeneratorModel: {self.resolution} px{grey}, digest {self.digest}{phantom};\n"
            f" {len(self.conditions)} conditions ({names}){foreign}>"
        )

    @classmethod
    def load(
        cls, path: Path, device: torch.device | str = "cpu", precision: ConvolutionPrecision = "float32"
    ) -> "GeneratorModel":
        """Read a snapshot.

        Args:
            device: a device, or auto, cpu, cuda or cuda:N.
            precision: float32, or on a CPU bfloat16: the 3x3 convolutions then round the operands of their
                products to 8 significant bits if the CPU has AMX or AVX512-BF16, and are float32 otherwise.

        Raises:
            UserError: the file is missing, cut short or not a generator snapshot, there is no such device, or
                the precision is unknown or not for this device.
        """
        path = arguments.path("path", path, "the path of a generator's file")
        device = resolve_device(device)
        check_precision(precision, device)
        G, class_means, metadata = read_generator(path)
        return cls(G.to(device), class_means.to(device), metadata, file_digest(path), precision)

    @property
    def grey(self) -> bool:
        """Whether the images are grey, so that their three channels are equal."""
        return self.G.img_channels == 1

    def stored(self, image: np.ndarray) -> np.ndarray:
        """What the file of an image [R, R, 3] holds: of a grey one a single channel, uint8 [R, R]."""
        arguments.instance("image", image, np.ndarray, "an array [R, R, 3]")
        return image[..., 0] if self.grey else image

    @property
    def phantoms_only(self) -> bool:
        """Whether neither this training nor any that it builds on has seen anything but phantoms."""
        return self.metadata.phantoms_only

    def provenance(
        self,
        label: dict[str, float] | None = None,
        seed: int | None = None,
        psi: float | None = None,
        noise_mode: str = "const",
    ) -> Provenance:
        """The provenance of an image by this generator; without arguments, that of a sheet of its images."""
        with convolutions_in(self.precision):
            execution = execution_id(self.G.synthesis)
        return Provenance(
            generator=self.digest,
            phantoms_only=self.phantoms_only,
            label=label,
            seed=seed,
            psi=psi,
            noise_mode=noise_mode,
            execution=execution,
        )

    def file_stem(self, condition: str) -> str:
        """A unique file name for a condition, without separators or a leading dot.

        A name of ASCII letters, digits, dots, hyphens and underscores is kept. In other names the remaining
        characters become underscores. These, and names that differ only in case, end with "~" and the index
        of the condition, which no kept name can contain.
        """
        self.label(arguments.text("condition", condition))  # an unknown name is an error
        stem = re.sub(r"^\.|[^A-Za-z0-9._-]", "_", condition)[:100]
        alike = [name for name in self.conditions if name.casefold() == condition.casefold()]
        return stem if stem == condition and len(alike) == 1 else f"{stem}~{self.conditions.index(condition)}"

    def label(self, condition: Condition) -> np.ndarray:
        """The label vector, float32 [K], values 0 to 1 with sum 1.

        Args:
            condition: a name, a mixture {name: share}, or K shares.

        Raises:
            UserError: an unknown name, a negative share, or shares that do not sum to 1.
        """
        if isinstance(condition, str):
            condition = {condition: 1.0}
        if isinstance(condition, Mapping):
            unknown = [name for name in condition if name not in self.conditions]
            if unknown:
                raise UserError(
                    f"Unknown condition {unknown[0]!r}; this generator has {', '.join(self.conditions)}."
                )
            shares = [condition.get(name, 0.0) for name in self.conditions]
        else:
            takes = "a name, a mixture {name: share}, or one share per condition"
            shares = arguments.listed("condition", condition, object, takes)
        label = np.array([arguments.real_number("A share", share) for share in shares], dtype=np.float32)
        if label.shape != (len(self.conditions),) or (label < 0).any() or abs(label.sum() - 1) > 1e-3:
            raise UserError(
                f"A label mixture needs {len(self.conditions)} shares from 0 to 1 with sum 1, not {shares}."
            )
        return label

    def sample(
        self, condition: Condition, seeds: Sequence[int], psi: float = 0.7, noise_mode: str = "const"
    ) -> np.ndarray:
        """One image per seed: uint8 [N, R, R, 3] RGB.

        Args:
            condition: a name, a mixture {name: share}, or K shares.
            seeds: N integers from 0 to 2**32 - 1.
            psi: truncation towards the mean w of the condition or mixture; 1 is no truncation, 0 the mean
                itself.
            noise_mode: const (the same noise in every image), random or none.

        Raises:
            UserError: an unknown condition, an invalid mixture, or a seed out of range.
        """
        check_seeds(seeds)
        labels = np.repeat(self.label(condition)[None], len(seeds), axis=0)
        return self.synthesise(draw_latents(seeds, self.G.z_dim), labels, psi, noise_mode)

    def stream(self, condition: Condition, seeds: Sequence[int], psi: float) -> Iterator[np.ndarray]:
        """Like `sample`, but yields single images uint8 [R, R, 3], so that any number fits in memory."""
        check_seeds(seeds)
        for start in range(0, len(seeds), BATCH):
            yield from self.sample(condition, seeds[start : start + BATCH], psi)

    def morph(self, a: str, b: str, seed: int, steps: int | Sequence[float], psi: float = 0.7) -> np.ndarray:
        """Frames from condition a to condition b with one seed, by mixing the labels: uint8 [steps, R, R, 3].

        Args:
            steps: number of frames with evenly spaced ratios from 0 to 1, or the ratios themselves; ratio r
                means the mixture (1 - r) a + r b.
            psi: truncation, as in `sample`.

        Raises:
            UserError: an unknown condition, a seed or a ratio out of range, or no ratio.
        """
        if isinstance(steps, str) or not isinstance(steps, Iterable):
            ratios = np.linspace(0, 1, arguments.whole_number("steps", steps, 1))
        else:
            takes = "a number of frames or a list of ratios from 0 to 1"
            listed = arguments.listed("steps", steps, object, takes)
            ratios = np.array([arguments.real_number("A ratio", ratio, 0, 1) for ratio in listed])
        if ratios.size == 0 or ratios.min() < 0 or ratios.max() > 1:
            raise UserError("A morph needs at least one ratio, each from 0 to 1.")
        ends = self.label(a), self.label(b)
        labels = np.stack([(1 - ratio) * ends[0] + ratio * ends[1] for ratio in ratios])
        z = draw_latents([seed], self.G.z_dim).expand(len(ratios), -1)
        return self.synthesise(z, labels, psi)

    def mixtures(self, conditions: Sequence[Condition], seeds: Sequence[int], psi: float = 0.7) -> np.ndarray:
        """One image per condition and seed: uint8 [N, R, R, 3] RGB.

        Args:
            conditions: N names, mixtures {name: share}, or lists of K shares.
            seeds: N integers from 0 to 2**32 - 1.
            psi: truncation, as in `sample`.

        Raises:
            UserError: as for `sample`, or not one condition per seed.
        """
        check_seeds(seeds)
        conditions = arguments.listed("conditions", conditions, object, "a list of conditions or mixtures")
        if len(conditions) != len(seeds):
            arguments.refuse("conditions", f"one condition per seed, {len(seeds)}", conditions)
        labels = [self.label(condition) for condition in conditions]
        return self.synthesise(
            draw_latents(seeds, self.G.z_dim), np.reshape(labels, (-1, len(self.conditions))), psi
        )

    def class_mean(self, condition: Condition) -> torch.Tensor:
        """Mean w of a condition or mixture, the centre of its truncation: float32 [w_dim].

        Raises:
            UserError: an unknown condition or an invalid mixture.
        """
        return self.centres.of(self._tensor(self.label(condition)[None]))[0]

    def synthesise(
        self, z: torch.Tensor, labels: np.ndarray, psi: float = 1.0, noise_mode: str = "const"
    ) -> np.ndarray:
        """Images uint8 [N, R, R, 3] RGB for given latents.

        Args:
            z: [N, z_dim].
            labels: label vectors [N, K], values 0 to 1 with sum 1.
            psi, noise_mode: as in `sample`.

        Raises:
            UserError: an argument of another type or shape, or values that are not numbers in the images.
        """
        return self.images(self.codes(z, labels, psi), noise_mode)

    @torch.no_grad()
    def codes(self, z: torch.Tensor, labels: np.ndarray, psi: float = 1.0) -> torch.Tensor:
        """Truncated intermediate latents [N, num_ws, w_dim]; arguments as for `synthesise`."""
        self._check(z, labels, psi)
        c = self._tensor(labels)
        ws = map_latents(self.G, z.to(c.device), c)
        return ws if psi == 1 else truncated(ws, self.centres.of(c), psi)

    def images(self, codes: torch.Tensor, noise_mode: str = "const") -> np.ndarray:
        """Images uint8 [N, R, R, 3] RGB of intermediate latents, to the bit the same alone and in any batch.

        Args:
            codes: [N, num_ws, w_dim], e.g. from `codes`.
            noise_mode: as in `sample`.

        Raises:
            UserError: codes of another shape, or values that are not numbers in the images.
        """
        with convolutions_in(self.precision):
            return render(self.G.synthesis, codes, noise_mode)

    def _tensor(self, labels: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(labels).to(self.class_means.device, torch.float32)

    def _check(self, z: torch.Tensor, labels: np.ndarray, psi: float) -> None:
        """Raise UserError for arguments of `codes` that do not fit this generator."""
        width, classes = self.G.z_dim, len(self.conditions)
        if not isinstance(z, torch.Tensor) or not z.is_floating_point() or z.shape[1:] != (width,):
            arguments.refuse("z", f"a floating-point tensor [N, {width}]", z)
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "fiu":
            arguments.refuse("labels", f"an array of numbers [N, {classes}]", labels)
        if labels.shape != (len(z), classes):
            arguments.refuse("labels", f"an array [{len(z)}, {classes}], one row per latent", labels)
        arguments.real_number("psi", psi)


def draw_latents(seeds: Sequence[int], z_dim: int) -> torch.Tensor:
    """Standard normal z [N, z_dim] float32, one per seed, as the StyleGAN ecosystem draws it (spec 7).

    Raises:
        UserError: a seed outside 0 to 2**32 - 1.
    """
    check_seeds(seeds)
    drawn = np.array([np.random.RandomState(seed).randn(z_dim) for seed in seeds], dtype=np.float32)
    return torch.from_numpy(drawn.reshape(len(seeds), z_dim))


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise UserError unless these are a list of whole numbers from 0 to 2**32 - 1."""
    if isinstance(seeds, str | bytes) or not hasattr(seeds, "__len__") or not hasattr(seeds, "__getitem__"):
        arguments.refuse("seeds", "a list of whole numbers, e.g. range(8)", seeds)
    if isinstance(seeds, Mapping) or getattr(seeds, "ndim", 1) != 1:
        arguments.refuse("seeds", "a list of whole numbers, e.g. range(8)", seeds)
    for seed in seeds:
        arguments.whole_number("A seed", seed, 0, 2**32 - 1)


def file_digest(path: Path) -> str:
    """First 16 hex digits of a file's SHA-256."""
    return file_sha256(path)[:16]
