"""The provenance of images on paths between two ends."""

from collections.abc import Sequence

from morphoscope.cohort import Provenance
from morphoscope.cohort.provenance import MorphPath
from morphoscope.generate.latents.ends import End
from morphoscope.generate.latents.paths import LatentPath
from morphoscope.generate.model import GeneratorModel


def frame_provenance(
    model: GeneratorModel, path: LatentPath, ratio: float, spacing: str | None = None
) -> Provenance:
    """The provenance of one frame.

    Label and seed are left out where they alone would not give this frame: the seed between two seeds,
    photographs or along directions, the label where codes are interpolated.

    Args:
        spacing: the network in whose features the path's frames were spaced evenly.
    """
    exact = {0.0: path.a, 1.0: path.b}.get(ratio)
    ends = [exact] if exact else [path.a, path.b]
    one_seed = len({end.seed for end in ends}) == 1 and not any(end.moves for end in ends)
    labelled = exact is not None or path.way != "w"
    seed = ends[0].seed if one_seed and labelled and path.centre == "condition" else None
    label = path.mixtures(model, [ratio])[0] if labelled else None
    psi = path.psi if any(end.seed is not None for end in ends) else None  # photographs are not truncated
    provenance = model.provenance(label, seed, psi)
    return _on_paths(provenance, ends, [path.mark([ratio], spacing)])


def shared_provenance(
    model: GeneratorModel, ends: Sequence[End], psi: float, paths: Sequence[MorphPath] = ()
) -> Provenance:
    """The provenance of a sheet or film of images between these ends: the seed only if they share it."""
    seeds = {end.seed for end in ends}
    provenance = model.provenance(seed=seeds.pop() if len(seeds) == 1 else None, psi=psi)
    return _on_paths(provenance, ends, paths)


def _on_paths(provenance: Provenance, ends: Sequence[End], paths: Sequence[MorphPath]) -> Provenance:
    """With the digests of the photographs among the ends: their images are patient data."""
    digests = {end.source.digest for end in ends if not isinstance(end.source, int)}
    return provenance.model_copy(update={"parents": sorted(digests) or None, "paths": list(paths) or None})
