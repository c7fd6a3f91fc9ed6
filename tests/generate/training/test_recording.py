"""Recorded steps: nothing in them waits for a GPU, and replays compute what plain calls do."""

from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate.augmentation import AdaController, AugmentPipe, build_augmentation
from morphoscope.generate.networks.discriminator import Discriminator
from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.training.architecture import discriminator_kwargs, generator_kwargs
from morphoscope.generate.training.recording import Outcome, RecordedStep
from morphoscope.generate.training.steps import Steps
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.ops import backend
from morphoscope.runtime.torch_processes import Processes

CONDITIONS = ["a", "b", "c"]
SMALL = {
    "resolution": 32,
    "batch": 8,
    "channel_base": 256,
    "channel_max": 32,
    "z_dim": 16,
    "w_dim": 16,
    "num_fp16_res": 0,
}
VARIANTS: list[dict[str, Any]] = [
    {},
    {"augment": "bgcfnc"},
    {"augment": "diffaugment", "micro_batch": 4},
    {"transition_start_kimg": 0.016, "transition_end_kimg": 0.08, "lecam_weight": 0.1, "freeze_d": 2},
    {"augment": None, "style_mixing": 0.0, "pl_weight": 0.0},
]


def test_without_a_pool_every_call_computes() -> None:
    step = RecordedStep(lambda inputs: Outcome({"twice": 2 * inputs["x"]}, []), None)
    assert [float(step({"x": torch.tensor(x)}).values["twice"]) for x in (1.0, 2.0, 3.0)] == [2, 4, 6]


class Crossings(TorchDispatchMode):
    """Collects the operations that read from a device or copy between two."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [x for x in (*args, result) if isinstance(x, torch.Tensor)]
        copies = "copy" in str(func) and len({x.device.type for x in tensors}) > 1
        if copies or "_local_scalar_dense" in str(func):
            self.found.append(str(func))
        return result


def _no_gradients(_: torch.Tensor, inputs: Any, **__: Any) -> list[torch.Tensor]:
    """Replaces autograd, which needs a real GPU."""
    return [torch.zeros_like(x) for x in (inputs if isinstance(inputs, list) else [inputs])]


def _as_if_on_a_gpu(module: torch.nn.Module) -> None:
    """Replace every tensor of a module by one without memory; within FakeTensorMode."""
    for part in module.modules():
        for held in (part._parameters, part._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    stand_in = torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda:0")
                    held[name] = torch.nn.Parameter(stand_in) if held is part._parameters else stand_in


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_steps_neither_read_from_a_gpu_nor_copy_to_it(
    variant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CUDA graph can record neither. The tests on a GPU cover the backward passes."""
    config = GeneratorTraining(**SMALL, **variant).resolved()
    G = Generator(**generator_kwargs(config, CONDITIONS))
    D = Discriminator(**discriminator_kwargs(config, CONDITIONS))
    augment = build_augmentation(config.augmentation.augment)
    monkeypatch.setattr(torch.autograd, "grad", _no_gradients)
    with FakeTensorMode():
        for module in (G, D, augment):
            if module is not None:
                _as_if_on_a_gpu(module)
        ada = AdaController(augment) if isinstance(augment, AugmentPipe) else None
        device = torch.device("cuda", 0)
        steps = Steps(config, G, D, augment, ada, device)
        labels = torch.empty(config.training.micro_batch, len(CONDITIONS), device=device)
        images = torch.empty(config.training.micro_batch, 3, 32, 32, device=device)
        inputs = {"labels": labels, "real_labels": labels, "real_images": images}
        if config.loss.style_mixing > 0:
            inputs["crossover"] = torch.empty([], dtype=torch.int64, device=device)
        with backend("reference"), Crossings() as crossings:
            for step in (steps.generator, steps.path_length, steps.discriminator, steps.r1):
                outcome = step(inputs)
                assert all(value.device == device for value in outcome.values.values())
    assert crossings.found == []


def _trainer(**settings: Any) -> GeneratorTrainer:
    config = GeneratorTraining(**SMALL, **settings).resolved()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(24) % len(CONDITIONS)
    return GeneratorTrainer(config, images, labels, CONDITIONS, Processes(torch.device("cuda", 0)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_replay_computes_what_a_plain_call_does(variant: dict[str, Any]) -> None:
    """With other seeds, inputs, probabilities and influences than when recorded, but the same weights.

    Whole trainings diverge: Adam's first steps turn the sign of a vanishing gradient into a full step.
    """
    trainer = _trainer(**variant, cuda_graphs=False)
    for _ in range(2):
        trainer.iterate()
    steps = trainer.steps
    pool = torch.cuda.graph_pool_handle()  # it exists only as long as one of its graphs
    pairs = [
        (plain, RecordedStep(plain, pool))
        for plain in (steps.generator, steps.path_length, steps.discriminator, steps.r1)
    ]
    for plain, recorded in pairs:
        seen = []
        for seed in range(4):
            trainer.images_seen += trainer.config.training.batch
            steps.set_influence(seed / 3)
            if isinstance(trainer.augment, AugmentPipe):
                trainer.augment.p.fill_(seed / 4)
            inputs = trainer._reals(0) | trainer._choices(trainer.config.training.micro_batch)
            torch.manual_seed(seed)
            expected = plain(inputs)
            torch.manual_seed(seed)
            outcome = recorded(inputs)
            assert outcome.values.keys() == expected.values.keys()
            for name, value in outcome.values.items():
                torch.testing.assert_close(value, expected.values[name], rtol=1e-3, atol=1e-4)
            ours, theirs = _flat(outcome), _flat(expected)
            assert (ours - theirs).norm() <= 1e-3 * theirs.norm()
            seen.append(float(ours.norm()))
        assert len(set(seen)) == len(seen)  # every replay used its own inputs


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_recorded_training_keeps_what_changes_between_iterations() -> None:
    """LeCam's anchors and the influence of the labels, in steps recorded within the first iteration."""
    trainer = _trainer(micro_batch=4, lecam_weight=0.1, transition_start_kimg=0.008, transition_end_kimg=0.03)
    iterations = [trainer.iterate() for _ in range(5)]
    assert all(value.isfinite() for values in iterations for value in values.values())
    assert iterations[0]["lecam"] == 0 < iterations[2]["lecam"] != iterations[3]["lecam"]
    assert [float(values["label_influence"]) for values in iterations][:2] == [0, 0]
    assert float(trainer.steps.influence) == 1


def _flat(outcome: Outcome) -> torch.Tensor:
    return torch.cat([gradient.flatten() for _, gradient in outcome.gradients])
