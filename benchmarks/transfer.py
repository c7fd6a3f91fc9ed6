"""Starting from a model of other images, with Freeze-D and rates by layer, against starting at random.

    python benchmarks/transfer.py train COHORT FOLDER [--arms scratch,transfer …] [--seeds 0,1,2] [--set …]
    python benchmarks/transfer.py table COHORT FOLDER

The bundled generator of phantoms stands in for a foreign model. `train` resumes where it stopped. `table`
compares snapshots with the cohort's test fold, which no generator has seen, and prints Markdown: means over
seeds with their standard deviations.
"""

from pathlib import Path

from arms import compare
from generator_arms import GeneratorArms

_PHANTOMS = Path(__file__).parents[1] / "apps" / "bundled" / "phantom-generator.safetensors"
_FREEZE_D = ["freeze_d=4"]  # the first block: fromrgb, conv0, conv1 and skip at 64 px
_TRANSFERRED = {
    "transfer": [],
    "freeze_d": _FREEZE_D,
    "freeze_d+layer_decay": [*_FREEZE_D, "layer_decay=0.7"],
}
ARMS = GeneratorArms(
    settings={"scratch": [], **_TRANSFERRED},
    baseline=["mirror=true", "tick_kimg=0.8", "snapshot_ticks=2"],
    resolution=64,
    measured_at=[1600, 3200, 4800],
    images=50,
    start_from=dict.fromkeys(_TRANSFERRED, _PHANTOMS),
)

if __name__ == "__main__":
    compare(__doc__, ARMS.settings, ARMS.train, ARMS.table)
