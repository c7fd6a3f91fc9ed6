"""An alarm for conditions of which a generator makes almost the same few images again and again."""

from morphoscope.generate.metrics import Quality, QualityReport

# If a condition has only k different images, shown equally often, one pair in k does not differ at all. Its
# diversity is then 1 - 1/k of the real one, provided that the k differ as photographs do. Below a half, fewer
# than two different images are shown.
DIVERSITY_ALARM = 0.5

# The proportion of pairs that show the same image is near 1/k for k such images. In simulations with
# photographs of HAM10000 (docs/lab-notes.md), 20 repeated images were counted as 16 to 23, and images without
# repetition never as fewer than 700.
FEWEST_DIFFERENT = 30

# At first no generated images vary, and alarms at that stage would teach people to ignore alarms. In the
# training of docs/lab-notes.md (seven conditions at 64 px, from random weights) every condition was above the
# limit at 10 thousand images; larger networks take longer, and so do longer trainings.
_QUIET_KIMG = 10.0
_QUIET_FRACTION = 0.1

_REMEDY = (
    "In another run, try sampling=grouped, a transition (transition_start_kimg, transition_end_kimg), "
    "lecam_weight, another augment, or more images of them"
)


def alarms_begin(kimg: float) -> float:
    """Thousands of images before which a training of `kimg` thousand raises no alarm."""
    return max(_QUIET_KIMG, _QUIET_FRACTION * kimg)


class CollapseAlarm:
    """Names the conditions that vary far less than their photographs, once each until they recover."""

    def __init__(self) -> None:
        self._raised: set[str] = set()

    def check(self, report: QualityReport, kimg: float, total_kimg: float) -> str | None:
        """One message for all conditions that collapse, if one has begun to since the last call.

        A condition collapses if its diversity is below `DIVERSITY_ALARM` of the real one, or if its images
        repeat as often as those of fewer than `FEWEST_DIFFERENT` images would.

        Args:
            kimg: thousands of images that the training has seen.
            total_kimg: thousands of images that it will see; see `alarms_begin`.
        """
        if kimg < alarms_begin(total_kimg):
            return None
        low = {name: text for name, one in report.by_condition.items() if (text := collapsed(one))}
        is_new = not low.keys() <= self._raised
        self._raised = set(low)
        if not is_new:
            return None
        named = ", ".join(f"{name} {text}" for name, text in low.items())
        return (
            f"{len(low)} of {len(report.by_condition)} conditions collapsing, with diversity below "
            f"{DIVERSITY_ALARM:g} of that of their real images, or with fewer than {FEWEST_DIFFERENT} "
            f"different images: {named} (features of {report.network}). {_REMEDY}."
        )


def collapsed(quality: Quality) -> str:
    """The values that show a collapse, e.g. "0.31" or "0.72 with 5 different images"; "" without one."""
    ratio = quality.relative_diversity
    if quality.different < FEWEST_DIFFERENT:  # neither is NaN if it is smaller
        count = round(quality.different)
        return f"{ratio:.2f} with {count} different image{'s' * (count != 1)}"
    return f"{ratio:.2f}" if ratio < DIVERSITY_ALARM else ""
