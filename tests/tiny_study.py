"""A study whose networks train within a second, and its cohort: three conditions that differ by colour."""

from pathlib import Path

import numpy as np
import pandas as pd

from morphoscope.cohort import Cohort, write_image

COLOURS = {"blue": (60, 70, 200), "green": (70, 190, 60), "red": (200, 60, 60)}
PATIENTS = {"blue": 8, "green": 10, "red": 14}

TINY = {
    "arms": {
        "repeated": {"sampling": "balanced"},
        "synthetic": {"synthetic": 1},
        "only": {"real": False, "synthetic": 1},
    },
    "shots": [2, "all"],
    "folds": 2,
    "inner_folds": 2,
    "generator_seeds": 1,
    "classifier_seeds": 1,
    "steps": 2,
    "classifier_preset": "lite",
    "classifier": {
        "backbone": "test_efficientnet",
        "weights": "none",
        "freeze_stages": 0,
        "resolution": 32,
        "epochs": 1,
        "batch": 8,
    },
    "generator_preset": "cpu64",
    "generator": {
        "resolution": 16,
        "z_dim": 8,
        "w_dim": 8,
        "channel_base": 128,
        "channel_max": 8,
        "batch": 4,
        "mbstd_group": 2,
        "kimg": 0.02,
        "tick_kimg": 0.02,
        "metric_network": None,
    },
}


def write_colours(root: Path) -> Cohort:
    """Unequal numbers of patients per condition, two images each; no folds."""
    random, rows = np.random.default_rng(0), []
    for condition, patients in PATIENTS.items():
        for number in range(2 * patients):
            name = f"{condition}-{number}.png"
            noise = random.normal(0, 30, (40, 40, 3))
            write_image(root / name, np.clip(np.array(COLOURS[condition]) + noise, 0, 255).astype(np.uint8))
            rows.append({"file": name, "condition": condition, "group": f"{condition}-{number // 2}"})
    made = Cohort.from_rows(root, pd.DataFrame(rows))
    made.save()
    return Cohort.load(root)
