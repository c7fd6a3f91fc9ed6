"""Calls of the generator's room."""

import types
from typing import Any

import numpy as np
import torch

from morphoscope import generate
from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.runtime import RunFolder
from public_api.case import Case


def generate_cases(made: types.SimpleNamespace) -> dict[str, Case]:
    model, exists = made.generator, made.folder / "phantoms"
    sizes: dict[str, Any] = {"c_dim": 2, "img_resolution": 8, "img_channels": 3}
    small = {"channel_base": 64, "channel_max": 8}
    training = {"config": made.config, "cohort": made.cohort, "start_from": exists, "processes": None}
    training |= {"exclude_folds": ["9"]}  # there are no such snapshot and fold, so that nothing is trained
    pipe = generate.AugmentPipe(xflip=1)
    G = generate.Generator(4, 2, 8, 8, 3, None, small)
    D = generate.Discriminator(2, 8, 3, **small)
    z, c, images = torch.ones(2, 4), torch.eye(2), torch.zeros(2, 3, 8, 8)
    controller = generate.AdaController(pipe)
    controller.observe(z)
    labels = np.eye(len(model.conditions), dtype=np.float32)[:1]
    return {
        "AdaController": Case(
            generate.AdaController, pipe=pipe, target=0.6, kimg=500, interval=4, ceiling=0.9
        ),
        "AdaController.observe": Case(controller.observe, real_logits=z),
        "AdaController.step": Case(generate.AdaController(pipe).step, images=4),
        "AugmentPipe": Case(generate.AugmentPipe, **dict.fromkeys(pipe.multipliers, 0)),
        "AugmentPipe.forward": Case(pipe, images=images, percentile=0.5),
        "Discriminator": Case(
            generate.Discriminator,
            **sizes,
            **small,
            architecture="resnet",
            num_fp16_res=0,
            conv_clamp=1.0,
            cmap_dim=4,
            mapping_kwargs={"num_layers": 1},
            epilogue_kwargs={},
            half_dtype="float16",
        ),
        "Discriminator.forward": Case(D, img=images, c=c),
        "Generator": Case(
            generate.Generator, **sizes, z_dim=4, w_dim=8, mapping_kwargs={}, synthesis_kwargs=small
        ),
        "Generator.forward": Case(G, z=z, c=c, truncation_psi=0.5, truncation_cutoff=2, noise_mode="const"),
        "GeneratorModel.load": Case(
            generate.GeneratorModel.load, path=GENERATOR, device="cpu", precision="float32"
        ),
        "load": Case(generate.load, path=GENERATOR, device="cpu", precision="float32"),
        "GeneratorModel.file_stem": Case(model.file_stem, condition="NF1"),
        "GeneratorModel.label": Case(model.label, condition="NF1"),
        "GeneratorModel.sample": Case(model.sample, condition="NF1", seeds=[0], psi=0.7, noise_mode="const"),
        "GeneratorModel.mixtures": Case(model.mixtures, conditions=["NF1"], seeds=[0], psi=0.7),
        "GeneratorModel.stream": Case(
            lambda **values: list(model.stream(**values)), condition="NF1", seeds=[0], psi=0.7
        ),
        "GeneratorModel.morph": Case(model.morph, a="NF1", b="TSC", seed=0, steps=2, psi=0.7),
        "GeneratorModel.stored": Case(model.stored, image=np.zeros((64, 64, 3), np.uint8)),
        "GeneratorModel.synthesise": Case(
            model.synthesise, z=torch.ones(1, model.G.z_dim), labels=labels, psi=1.0, noise_mode="const"
        ),
        "GeneratorModel.codes": Case(model.codes, z=torch.ones(1, model.G.z_dim), labels=labels, psi=1.0),
        "GeneratorModel.images": Case(
            model.images, codes=torch.ones(1, model.G.num_ws, model.G.w_dim), noise_mode="const"
        ),
        "GeneratorModel.class_mean": Case(model.class_mean, condition="NF1"),
        "augment": Case(
            generate.augment,
            model=model,
            destination=exists,
            per_condition=1,
            seed=0,
            psi=1.0,
            view="face",
            morphs=False,
            copies=None,
        ),
        "augment_multipliers": Case(generate.augment_multipliers, name="bgc"),
        "plan_training": Case(generate.plan_training, folder=exists, **training),
        "train_generator": Case(generate.train_generator, run=RunFolder(exists), overwrite=False, **training),
    }
