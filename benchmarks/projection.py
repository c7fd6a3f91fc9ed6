"""Projection measured: on generated images of known origin, and on held-out photographs.

    python benchmarks/projection.py generated GENERATOR [--space w_plus] [--images 14]
    python benchmarks/projection.py held-out GENERATOR COHORT [ENSEMBLE] [--space tuned] [--images 14]
    python benchmarks/projection.py step GENERATOR
    python benchmarks/projection.py memory

Prints PSNR and perceptual distance of each stage, and how often the condition was found among all. With
an ensemble also how far the morph is from the projection at its own end, and how often the ensemble's answer
changes when a photograph is moved by 100 % to another condition. COHORT holds images that the generator has
not seen: its test fold, or all of them if it has none. Seconds are of the processor, not of the clock, so
that other work on the machine does not count; stages add up.
"""

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from timing import interleaved, machine

from morphoscope.classify import Ensemble
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs.projection import Projecting
from morphoscope.generate import Generator, GeneratorModel
from morphoscope.generate.latents import End, LatentPath
from morphoscope.generate.metrics.perceptual import PerceptualNetwork, as_tensor, load_perceptual_network
from morphoscope.generate.projection import Photograph, Projection, Projector
from morphoscope.generate.projection.stages import Target, rendered, tune

CPU = torch.device("cpu")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["generated", "held-out", "step", "memory"])
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--space", default="tuned")
    parser.add_argument("--images", type=int, default=14)
    options = parser.parse_args()
    print(machine(CPU))
    if options.what == "memory":
        memory()
        return
    model, network = GeneratorModel.load(options.files[0]), load_perceptual_network()
    if options.what == "step":
        step(model, network)
        return
    projector = Projector(model, network, Projecting(space=options.space, film=False))
    if options.what == "generated":
        projected(projector, *generated_photographs(model, options.images))
        return
    chosen = held_out(Cohort.load(options.files[1]), options.images)
    images = chosen.images(model.resolution, model.metadata.fit)
    photographs = [Photograph("0", np.array(image)) for image in images]
    found = projected(projector, photographs, chosen.rows["condition"].tolist())
    if len(options.files) > 2:
        no_copies(model, Ensemble.load(options.files[2]), found)


def held_out(cohort: Cohort, number: int) -> Cohort:
    """Unseen images of the conditions in turn."""
    test = np.flatnonzero(cohort.rows["fold"] == TEST_FOLD)
    unseen = cohort.select(test if len(test) else np.arange(len(cohort)))
    conditions = unseen.rows["condition"].reset_index(drop=True)
    turn = conditions.groupby(conditions).cumcount()
    return unseen.select(np.lexsort([conditions, turn])[:number])


def generated_photographs(model: GeneratorModel, number: int) -> tuple[list[Photograph], list[str]]:
    """Images of seeds 5000 …, psi 1, with the names of their conditions in turn."""
    names = [model.conditions[index % len(model.conditions)] for index in range(number)]
    images = model.mixtures(names, range(5000, 5000 + number), psi=1.0)
    return [Photograph("0", image) for image in images], names


def projected(
    projector: Projector, photographs: Sequence[Photograph], truth: Sequence[str]
) -> list[Projection]:
    """Project all, and print what each stage found, and how often their true condition."""
    started = time.process_time()
    found = [projector.project(photograph) for photograph in photographs]
    taken = (time.process_time() - started) / len(found)
    hits = sum(best(one) == name for one, name in zip(found, truth, strict=True))
    print(f"{len(found)} images, {taken:.1f} s of the processor each; condition found for {hits}")
    for stage in found[0].found:
        psnr = [one.found[stage].psnr for one in found]
        distance = [one.found[stage].perceptual for one in found]
        share = np.mean([one.found[stage].seconds for one in found])
        print(
            f"  {stage:7} PSNR {np.mean(psnr):.1f} dB (lowest {min(psnr):.1f}), {projector.network.name} "
            f"{np.mean(distance):.4f}, {share:.1f} s of the clock"
        )
    codes = [one.code_percentile for one in found]
    print(f"  percentile of the code: median {np.median(codes):.0f}, above 95: {sum(np.array(codes) > 95)}")
    return found


def best(projection: Projection) -> str:
    """The condition with the largest share."""
    return max(projection.end.label, key=lambda name: projection.end.label[name])


def no_copies(model: GeneratorModel, ensemble: Ensemble, found: Sequence[Projection]) -> None:
    """The morph at its own end, and whether moving to each other condition changes the ensemble's answer."""
    excess, changed, reached, moves = [], 0, 0, 0
    for projection in found:
        end = projection.end
        others = [name for name in model.conditions if name != best(projection)]
        paths = [LatentPath(End(end, end.label), End(end, {name: 1.0})) for name in others]
        own = paths[0].frames(model, [0.0])[0]
        excess.append(np.abs(own.astype(int) - projection.last.image.astype(int)).max())
        moved = [path.frames(model, [1.0])[0] for path in paths]
        answers = ensemble.predict(np.stack([projection.last.image, *moved]))
        named = [answers.conditions[index] for index in answers.predicted]
        changed += sum(name != named[0] for name in named[1:])
        reached += sum(name == wanted for name, wanted in zip(named[1:], others, strict=True))
        moves += len(others)
    print(
        f"  own end of the morph: at most {max(excess)} grey levels from the projection; moved by 100 %, the "
        f"ensemble's answer changes in {changed} of {moves} and is the new condition in {reached}",
        flush=True,
    )


def step(model: GeneratorModel, network: PerceptualNetwork) -> None:
    """One step of W+ against its two parts alone: synthesis, and features, each forward and backward."""
    photograph = generated_photographs(model, 1)[0][0]
    target = Target(network, as_tensor(photograph.pixels[None], CPU))
    ws = torch.zeros(1, model.G.num_ws, model.G.w_dim, requires_grad=True)
    image = target.photograph.clone().requires_grad_()
    optimiser = torch.optim.Adam([ws])

    def whole() -> None:
        optimiser.zero_grad()
        target.loss(rendered(model.G.synthesis, ws, {})).sum().backward()
        optimiser.step()

    parts: dict[str, Callable[[], object]] = {
        "step": whole,
        "synthesis": lambda: rendered(model.G.synthesis, ws, {}).square().mean().backward(),
        "features": lambda: network.features(image).square().sum().backward(),
    }
    times = interleaved(parts, CPU)
    both = times["synthesis"] + times["features"]
    shown = ", ".join(f"{name} {taken:.1f} ms" for name, taken in times.items())
    print(f"{shown}; step / parts {times['step'] / both:.2f}")


def memory() -> None:
    """The peak memory of tuning a generator of the published size at 256 px."""
    torch.manual_seed(0)
    G = Generator(512, 7, 512, 256, 3, synthesis_kwargs={"channel_base": 16384, "channel_max": 512})
    target = Target(load_perceptual_network(), torch.rand(1, 3, 256, 256) * 2 - 1)
    started = time.process_time()
    tune(G.synthesis.requires_grad_(False), target, torch.randn(1, 512), {}, 3, lambda seen: None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"tuning at 256 px: peak {peak:.2f} GiB, {(time.process_time() - started) / 3:.1f} s a step")


if __name__ == "__main__":
    main()
