"""An alarm for conditions of which a generator makes almost the same few images again and again."""

from morphoscope.generate.metrics import QualityReport

# If a condition has only k different images, shown equally often, one pair in k does not differ at all. Its
# diversity is then 1 - 1/k of the real one, provided that the k differ as photographs do. Below a half, fewer
# than two different images are shown.
DIVERSITY_ALARM = 0.5

_REMEDY = (
    "In another run, try sampling=balanced, transition_start_kimg and transition_end_kimg (which begin "
    "without labels), lecam_weight, another augment, or a cohort with more images of this condition"
)

# At first no generated images vary. Alarms at that stage would teach people to ignore alarms.
_QUIET_FRACTION = 0.1


class CollapseAlarm:
    """Names the conditions that vary far less than their photographs, once each until they recover."""

    def __init__(self) -> None:
        self._raised: set[str] = set()

    def check(self, report: QualityReport, fraction_done: float) -> list[str]:
        """One message per condition that fell below `DIVERSITY_ALARM` since the last call.

        Args:
            fraction_done: of the training, 0 to 1; in its first tenth there are no alarms.
        """
        messages: list[str] = []
        if fraction_done < _QUIET_FRACTION:
            return messages
        for name, quality in report.by_condition.items():
            ratio = quality.relative_diversity
            if not ratio < DIVERSITY_ALARM:  # NaN where the real images do not differ
                self._raised.discard(name)
            elif name not in self._raised:
                self._raised.add(name)
                messages.append(
                    f"{name} is collapsing: the diversity of its generated images is {ratio:.2f} times that "
                    f"of its real images (features of {report.network}; the alarm limit is "
                    f"{DIVERSITY_ALARM:g}). "
                    f"{_REMEDY}."
                )
        return messages
