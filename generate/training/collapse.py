"""An alarm for conditions of which a generator shows ever the same few pictures."""

from morphoscope.generate.metrics import QualityReport

# A condition of k different pictures, shown equally often, has one pair in k without any difference: its
# diversity is 1 - 1/k of the real one if the k differ as photographs do. Below a half it shows less than two.
DIVERSITY_ALARM = 0.5

_REMEDY = (
    "In another run, try sampling=balanced, transition_start_kimg and transition_end_kimg (at first as if "
    "unconditional), lecam_weight, another augment, or a cohort with more images of it"
)


# At first nothing that a generator makes varies; an alarm then would teach to ignore alarms.
_QUIET_SHARE = 0.1


class CollapseAlarm:
    """Says which conditions vary far less than their photographs, once each until they recover."""

    def __init__(self) -> None:
        self._raised: set[str] = set()

    def check(self, report: QualityReport, share_done: float) -> list[str]:
        """A message for each condition that fell below `DIVERSITY_ALARM` since the last call.

        Args:
            share_done: of the training, 0 … 1; in its first tenth nothing is raised.
        """
        messages: list[str] = []
        if share_done < _QUIET_SHARE:
            return messages
        for name, quality in report.by_condition.items():
            ratio = quality.relative_diversity
            if not ratio < DIVERSITY_ALARM:  # also where the real images tell nothing
                self._raised.discard(name)
            elif name not in self._raised:
                self._raised.add(name)
                messages.append(
                    f"{name} is collapsing: its generated images have {ratio:.2f} of the diversity of its "
                    f"real ones (features of {report.network}; the alarm's line is {DIVERSITY_ALARM:g}). "
                    f"{_REMEDY}."
                )
        return messages
