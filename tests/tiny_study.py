"""Settings of a study whose networks train within a second."""

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
