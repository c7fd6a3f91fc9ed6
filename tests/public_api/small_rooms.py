"""Calls of the operations and of cohorts."""

import types
from typing import Any

import torch
from PIL import Image

from morphoscope import cohort, ops
from public_api.case import Case, photograph


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
        "import_gmdb": Case(cohort.import_gmdb, source=new, destination=new, images=new, to_srgb=False),
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
