"""Every function of the public API, called with every argument of the wrong type: only ever a UserError."""

import inspect
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from morphoscope import classify, cohort, generate, ops
from morphoscope.apps.bundled_models import ENSEMBLE, GENERATOR
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.loading import load_config
from morphoscope.runtime import RunFolder

WRONG: list[Any] = [
    None,
    object(),
    "x.jpg",
    b"x",
    ["x.jpg"],
    [None],
    {"a": "b"},
    {},
    [],
    4,
    -3,
    2.5,
    float("nan"),
    True,
    1 + 2j,
    np.zeros((2, 3)),
    np.zeros((2, 5, 5, 4), np.uint8),
    np.array(3.0),
    np.array(["a"]),
    torch.zeros(2, 3),
    torch.zeros(0),
    torch.zeros(2, 3, 4, 4, dtype=torch.int64),
    pd.DataFrame({"a": [1]}),
    Path("nowhere"),
    int,
]

# Results, constants, types and modules rather than functions.
NOT_FUNCTIONS = {
    "Attribution", "CheckReport", "CohortInput", "Estimate", "Evaluation", "Fit", "FoldPlan", "HeldOut",
    "HeldOutPlan", "MAX_PIXELS",
    "PHANTOM_CONDITIONS", "PhantomImage", "Prediction", "Problem", "Provenance", "TEST_FOLD",
}  # fmt: skip
# Made from parts that only this package makes.
NOT_CALLED_BY_USERS = {"Cohort", "Ensemble", "GeneratorModel", "Cohort.from_store"}
# They take no argument, or only those of torch.nn.Module.
WITHOUT_ARGUMENTS = {"doctor", "Cohort.check", "Cohort.save"}


class Case:
    """A call that works: `function(**valid)`, of which one argument at a time is replaced."""

    def __init__(self, function: Callable[..., Any], **valid: Any) -> None:
        self.function, self.valid = function, valid


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> types.SimpleNamespace:
    """A cohort of phantoms and the bundled models."""
    folder = tmp_path_factory.mktemp("api")
    phantoms = cohort.phantom(folder / "phantoms", per_condition=6, size=32)
    split = phantoms.split(folds=2, test_fraction=0.3)
    split.save()
    ensemble = classify.Ensemble.load(ENSEMBLE)
    evaluation = classify.evaluate(ensemble, split.select(range(4)), rows="all")
    evaluation.write(folder)
    return types.SimpleNamespace(
        folder=folder,
        evaluation=evaluation,
        cohort=split,
        generator=generate.load(GENERATOR),
        ensemble=ensemble,
        config=load_config(GeneratorTraining, family="generate", preset="cpu64"),
        classifier=load_config(EnsembleTraining, family="classify", preset="lite"),
    )


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions that write to a folder, such as `phantom("x.jpg")`, write it here."""
    monkeypatch.chdir(tmp_path)


def photograph() -> np.ndarray:
    return np.full((40, 30, 3), 90, np.uint8)


def ops_cases() -> dict[str, Case]:
    x, w, s = torch.ones(2, 3, 8, 8), torch.ones(4, 3, 3, 3), torch.ones(2, 3)
    f, b = ops.setup_filter([1, 3, 3, 1]), torch.ones(3)
    resampling: dict[str, Any] = {"padding": 0, "flip_filter": False, "gain": 1.0}
    activation: dict[str, Any] = {"act": "lrelu", "gain": 1.0, "clamp": 2.0}
    convolution: dict[str, Any] = {"x": x, "w": w, "f": f, "up": 1, "down": 1, "padding": 1}
    convolution |= {"weight_is_correlated": True}
    return {
        "backend": Case(lambda name: ops.backend(name).__enter__(), name="auto"),
        "bias_act": Case(ops.bias_act, x=x, b=b, dim=1, alpha=0.1, **activation),
        "conv2d_resample": Case(ops.conv2d_resample, **convolution, groups=1),
        "downsample2d": Case(ops.downsample2d, x=x, f=f, down=2, **resampling),
        "epilogue": Case(
            ops.epilogue,
            x=x,
            b=b,
            scale=s,
            noise=torch.ones(8, 8),
            alpha=0.1,
            f=None,
            up=1,
            down=1,
            padding=0,
            flip_filter=False,
            filter_gain=1.0,
            **activation,
        ),
        "filter2d": Case(ops.filter2d, x=x, f=f, **resampling),
        "grid_sample": Case(ops.grid_sample, images=x, grid=torch.zeros(2, 4, 4, 2)),
        "modulated_conv2d": Case(ops.modulated_conv2d, **convolution, s=s, demodulate=True),
        "modulated_layer": Case(
            ops.modulated_layer,
            x=x,
            w=w,
            s=s,
            f=f,
            up=1,
            noise=torch.ones(8, 8),
            b=torch.ones(4),
            **activation,
        ),
        "setup_filter": Case(
            ops.setup_filter,
            taps=[1, 2],
            normalize=True,
            flip_filter=False,
            gain=1.0,
            separable=True,
            device="cpu",
        ),
        "upfirdn2d": Case(ops.upfirdn2d, x=x, f=f, up=1, down=1, **resampling),
        "upsample2d": Case(ops.upsample2d, x=x, f=f, up=2, **resampling),
    }


def cohort_cases(made: types.SimpleNamespace) -> dict[str, Case]:
    one, new = made.cohort, made.folder / "phantoms"  # a destination that exists: nothing is ever written
    rows = one.rows[["file", "condition"]]
    table = {"source": made.folder / "phantoms" / "manifest.csv", "destination": new, "images": None}
    table |= {"allow_unlisted": False, "to_srgb": False}
    return {
        "Cohort.load": Case(cohort.Cohort.load, path=new, strict=True),
        "Cohort.from_rows": Case(cohort.Cohort.from_rows, root=new, rows=rows, conditions=one.conditions),
        "Cohort.select": Case(one.select, mask_or_index=[0, 1]),
        "Cohort.as_one_condition": Case(one.as_one_condition, name="all"),
        "Cohort.image": Case(one.image, i=0),
        "Cohort.images": Case(one.images, size=16, fit="crop"),
        "Cohort.lesion_mask": Case(one.lesion_mask, i=0, size=16, fit="crop"),
        "Cohort.split": Case(one.split, folds=2, seed=0, test_fraction=0.0),
        "Cohort.with_folds": Case(one.with_folds, folds=one.rows["fold"]),
        "Cohort.save_as": Case(one.save_as, path=new),
        "export_dataset_json": Case(
            cohort.export_dataset_json, cohort=one, destination=new, resolution=16, fit="crop"
        ),
        "export_folders": Case(cohort.export_folders, cohort=one, destination=new),
        "import_classifynf1": Case(cohort.import_classifynf1, **table, view="focused"),
        "import_csv": Case(
            cohort.import_csv, **table, file_column="file", condition_column="condition", group_column="group"
        ),
        "import_dataset_json": Case(
            cohort.import_dataset_json,
            source=new,
            destination=new,
            conditions=one.conditions,
            view="other",
            to_srgb=False,
        ),
        "import_folder": Case(
            cohort.import_folder,
            source=new,
            destination=new,
            view="other",
            group_pattern="(a)",
            split_folders=False,
            step_inside=False,
            to_srgb=False,
        ),
        "import_isic": Case(cohort.import_isic, **table, view="focused", condition_column="dx"),
        "import_siim_isic": Case(cohort.import_siim_isic, **table),
        "join_cohorts": Case(cohort.join_cohorts, cohorts=[one, one], destination=new, test_fold_only=False),
        "new_folder": Case(lambda path: cohort.new_folder(path).__enter__(), path=new),
        "phantom": Case(cohort.phantom, destination=new, per_condition=1, size=32, seed=0),
        "phantom_image": Case(cohort.phantom_image, condition="NF1", index=0, size=32, seed=0),
        "read_image": Case(cohort.read_image, source=new / one.rows["file"][0], name="a"),
        "square": Case(cohort.square, image=Image.new("RGB", (9, 7)), size=4, fit="crop"),
        "write_image": Case(cohort.write_image, path=made.folder / "one.png", pixels=photograph()),
    }


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
            copies=None,
        ),
        "augment_multipliers": Case(generate.augment_multipliers, name="bgc"),
        "plan_training": Case(generate.plan_training, folder=exists, **training),
        "train_generator": Case(generate.train_generator, run=RunFolder(exists), overwrite=False, **training),
    }


def classify_cases(made: types.SimpleNamespace) -> dict[str, Case]:
    ensemble, image = made.ensemble, photograph()
    fold, other = ensemble.folds[0], made.cohort
    found = classify.Attribution(
        np.zeros((40, 30), np.float32), np.zeros((1, 8, 8), np.float32), None, None, "NF1", "gradcam", None
    )
    exists = made.folder / "phantoms"
    return {
        "Ensemble.load": Case(classify.Ensemble.load, path=ENSEMBLE, device="cpu", test_time=1),
        "Ensemble.pair": Case(ensemble.pair, focused=image, panoramic=image),
        "Ensemble.predict": Case(ensemble.predict, images=[image], batch=1, prevalence="uniform"),
        "Ensemble.requested_prior": Case(ensemble.requested_prior, prevalence="uniform"),
        "Ensemble.predict_fold": Case(ensemble.predict_fold, fold=fold, images=[image]),
        "Ensemble.calibrate": Case(ensemble.calibrate, cohort=other),
        "Ensemble.require_training_cohort": Case(ensemble.require_training_cohort, cohort=other),
        "Ensemble.attribute": Case(
            ensemble.attribute, image=image, target="NF1", method="gradcam", steps=4, seed=0
        ),
        "Ensemble.fold": Case(ensemble.fold, name=fold),
        "Ensemble.with_models": Case(ensemble.with_models, models={fold: ensemble.models[0]}),
        "Ensemble.save": Case(ensemble.save, path=made.folder / "again.safetensors", dtype=torch.float16),
        "cross_validate": Case(
            classify.cross_validate,
            config=made.classifier,
            cohort=other.with_folds(other.rows["fold"].replace({"1": "0"})),  # too few folds to train
            run=RunFolder(exists),
            repeats=1,
            auxiliary=[],
            view="focused",
            device="cpu",
            overwrite=False,
        ),
        "combine": Case(classify.combine, per_fold=np.full((1, 2, 3), 0.3, np.float32)),
        "evaluate": Case(
            classify.evaluate,
            ensemble=ensemble,
            cohort=other,
            rows="test",
            unlike=other,
            view="face",
            prevalence="uniform",
        ),
        "write_evaluation_page": Case(
            classify.write_evaluation_page, evaluation=made.evaluation, folder=made.folder, descriptions={}
        ),
        "write_explanation": Case(
            classify.write_explanation,
            path=made.folder / "one.png",
            image=image,
            found=found,
            condition="NF1",
            file="a.jpg",
            notes=["a"],
            provenance=None,
        ),
        "legend": Case(classify.legend, width=100, height=40, signed=True),
        "overlay": Case(
            classify.overlay, image=image, attribution=np.zeros((40, 30), np.float32), signed=True
        ),
        "measure_held_out": Case(
            classify.measure_held_out,
            config=made.classifier,
            ensemble=ensemble,
            plan=classify.HeldOutPlan(other, None, None, []),  # refused, so that nothing is trained
            run=RunFolder(exists),
            auxiliary=[],
            device="cpu",
            overwrite=False,
        ),
        "plan_held_out": Case(
            classify.plan_held_out,
            config=made.classifier,
            cohort=other,
            conditions=other.conditions[:1],
            view=None,
            folds=None,
        ),
        "plan_folds": Case(
            classify.plan_folds,
            cohort=other,
            synthetic=[],
            auxiliary=[],
            view="focused",
            dual=False,
            folds=["0"],
            synthetic_per_real=1.0,
            seed=0,
        ),
        "train_ensemble": Case(
            classify.train_ensemble,
            config=made.classifier,
            cohort=other,
            run=RunFolder(exists),
            synthetic=[],
            auxiliary=[],
            view="face",
            folds=["9"],  # there are no such images and fold, so that nothing is trained
            device="cpu",
            overwrite=False,
        ),
    }


def all_cases(made: types.SimpleNamespace) -> dict[str, Case]:
    return ops_cases() | cohort_cases(made) | generate_cases(made) | classify_cases(made)


def public_names() -> Iterator[str]:
    """Functions and classes of the four packages, and the methods of the three main classes."""
    for room in (ops, cohort, generate, classify):
        yield from set(room.__all__) - NOT_FUNCTIONS
    for kind in (cohort.Cohort, generate.GeneratorModel, classify.Ensemble):
        for name, member in vars(kind).items():
            if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, classmethod)):
                yield f"{kind.__name__}.{name}"


NAMES = sorted(
    {*public_names(), "AugmentPipe.forward", "Discriminator.forward", "Generator.forward"}
    - NOT_CALLED_BY_USERS
    - WITHOUT_ARGUMENTS
    - {"GeneratorModel.provenance"}  # describes what this package has generated
)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_types_are_user_errors(name: str, made: types.SimpleNamespace, tmp_path: Path) -> None:
    """A wrong value may be a right one for some argument; otherwise the message must be for the user."""
    case = all_cases(made)[name]
    before = sorted(made.folder.iterdir())
    for argument in case.valid:
        for wrong in WRONG:
            try:
                case.function(**case.valid | {argument: wrong})
            except UserError as error:
                assert len(str(error)) > 10, (argument, wrong)
            except Exception as error:  # noqa: BLE001 (whatever it is, it is the fault that is sought)
                pytest.fail(f"{name}({argument}={wrong!r}): {type(error).__name__}: {error}")
    assert not (made.folder / "x.jpg").exists()
    assert set(made.folder.iterdir()) - set(before) <= {
        made.folder / "one.png",
        made.folder / "report.html",
        made.folder / "again.safetensors",
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_can_never_be_right_is_refused(name: str, made: types.SimpleNamespace) -> None:
    case = all_cases(made)[name]
    for argument in case.valid:
        with pytest.raises(UserError):
            case.function(**case.valid | {argument: object()})


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_is_tried(name: str, made: types.SimpleNamespace) -> None:
    """A new argument belongs in its function's case."""
    case = all_cases(made)[name]
    parameters = inspect.signature(case.function).parameters.values()
    named = {each.name for each in parameters if each.kind is not each.VAR_KEYWORD}
    assert named - set(case.valid) - {"console", "args", "kwargs"} == set()


def test_the_messages_say_what_is_taken_and_what_came(made: types.SimpleNamespace) -> None:
    x, w = torch.ones(1, 3, 8, 8), torch.ones(4, 3, 3, 3)
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: made.ensemble.predict(["absent.jpg"]), r"absent\.jpg: no such file"),
        (lambda: made.ensemble.predict([4]), r"uint8 RGB images \[H, W, 3\], got int 4"),
        (lambda: made.ensemble.predict(photograph()[0]), r"a path, a Pillow .* not ndarray uint8 \[30, 3\]"),
        (lambda: made.generator.sample("NF1", 4), r"seeds takes a list of whole numbers.*, not int 4"),
        (lambda: made.generator.sample("NF1", ["4"]), r"from 0 to 4294967295, not str '4'"),
        (lambda: made.ensemble.attribute(photograph(), None), "None"),
        (lambda: made.cohort.images("64"), r"size takes a whole number from 1 to 4096, not str '64'"),
        (
            lambda: ops.conv2d_resample(x, w, up=0, padding=1),
            r"up takes a whole number of at least 1, not int 0",
        ),
        (lambda: ops.conv2d_resample(x, w, down=-1), r"down takes a whole number of at least 1, not int -1"),
        (lambda: ops.bias_act([1.0]), r"x takes a tensor of float32.*, not list \[1.0\]"),
    ]
    for call, message in calls:
        with pytest.raises(UserError, match=message):
            call()


def test_objects_say_what_they_are(made: types.SimpleNamespace) -> None:
    ensemble, generator = made.ensemble, made.generator
    digest = made.cohort.digest
    test = made.cohort.select(made.cohort.rows["fold"] == "test")
    evaluation = classify.evaluate(ensemble, test, rows="all")
    said = {
        ensemble: ["5 models", "7 conditions (HMI, IP,", "128 px", "phantoms only", "digest", "calibrated"],
        generator: ["64 px", f"digest {generator.digest}", "7 conditions", "phantoms only"],
        made.cohort: ["42 images of 21 groups", "7 conditions", f"digest {digest}", "phantoms only"],
        "prediction": ["1 images by 5 models, calibrated", "7 conditions", "equally frequent"],
        "evaluation": [f"{len(test)} images", "rows all of cohort phantoms", "7 conditions", "accuracy "],
    }
    objects = {"prediction": ensemble.predict(photograph()), "evaluation": evaluation}
    for key, words in said.items():
        text = repr(objects.get(key, key) if isinstance(key, str) else key)
        assert [word for word in words if word not in text] == [], text
        assert len(text.splitlines()) <= 3 and len(text) < 400
