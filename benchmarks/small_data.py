"""Options for a generator of about 100 images per condition, each against the same baseline, over seeds.

    python benchmarks/small_data.py train COHORT FOLDER [--arms skin,lecam …] [--seeds 0,1,2] [--set …]
    python benchmarks/small_data.py table COHORT FOLDER

`train` resumes where it stopped. `table` compares every run's last snapshot with the cohort's test fold,
which no generator has seen, and prints Markdown: kernel distance, Fréchet distance and diversity as means
over seeds with their standard deviations, then by condition. COHORT must be split, e.g. HAM10000 with 100
images of each condition in folds and the rest in the test fold (docs/lab-notes.md says which).
"""

from arms import compare
from generator_arms import GeneratorArms

_TRANSITION = ["transition_start_kimg=4", "transition_end_kimg=12"]
ARMS = GeneratorArms(
    settings={
        "baseline": [],
        "skin": ["augment=skin"],
        "transition": _TRANSITION,
        "lecam": ["lecam_weight=0.1"],
        "diffaugment": ["augment=diffaugment"],
        "balanced": ["sampling=balanced"],
        "skin+transition": ["augment=skin", *_TRANSITION],
    },
    baseline=[
        "mirror=true",
        "snapshot_ticks=10",
        "augment=bgc",
        "sampling=natural",
        "transition_start_kimg=null",
        "transition_end_kimg=null",
        "lecam_weight=0",
    ],
    resolution=32,
    measured_at=[20_000],
    images=200,
)

if __name__ == "__main__":
    compare(__doc__, ARMS.settings, ARMS.train, ARMS.table)
