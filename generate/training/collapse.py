"""An alarm for conditions of which a generator makes almost the same few images again and again."""

from morphoscope.generate.metrics import QualityReport

# If a condition has only k different images, shown equally often, one pair in k does not differ at all. Its
# diversity is then 1 - 1/k of the real one, provided that the k differ as photographs do. Below a half, fewer
# than two different images are shown.
DIVERSITY_ALARM = 0.5

# At first no generated images vary, and alarms at that stage would teach people to ignore alarms. In the
# training of docs/lab-notes.md (seven conditions at 64 px, from random weights) every condition was above the
# limit at 10 thousand images; larger networks take longer, and so do longer trainings.
_QUIET_KIMG = 10.0
_QUIET_FRACTION = 0.1

_REMEDY = (
    "In another run, try sampling=balanced, a transition (transition_start_kimg, transition_end_kimg), "
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
        """One message for all conditions below `DIVERSITY_ALARM`, if one fell below it since the last call.

        Args:
            kimg: thousands of images that the training has seen.
            total_kimg: thousands of images that it will see; see `alarms_begin`.
        """
        if kimg < alarms_begin(total_kimg):
            return None
        ratios = {name: quality.relative_diversity for name, quality in report.by_condition.items()}
        low = {name: ratio for name, ratio in ratios.items() if ratio < DIVERSITY_ALARM}  # not NaN
        is_new = not low.keys() <= self._raised
        self._raised = set(low)
        if not is_new:
            return None
        named = ", ".join(f"{name} {ratio:.2f}" for name, ratio in low.items())
        return (
            f"{len(low)} of {len(ratios)} conditions collapsing, with diversity below {DIVERSITY_ALARM:g} of "
            f"that of their real images: {named} (features of {report.network}). {_REMEDY}."
        )
