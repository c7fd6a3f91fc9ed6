"""An alarm for generators that copy their training images."""

from morphoscope.generate.metrics import Copying, CopyingReport

# Probability of a false alarm at one snapshot, for all conditions and the whole together. Both tests must
# reject: Meehan's alone also rejects for images without detail, and the other for a trace of a resemblance.
COPYING_LEVEL = 0.01

_REMEDY = (
    "Look at the closest pairs (generate metrics --closest-pairs), use an earlier snapshot, or train with "
    "more images, with augmentation, or for a shorter time"
)


class CopyingAlarm:
    """Names the conditions whose images copy training images, once each until they recover."""

    def __init__(self) -> None:
        self._raised: set[str] = set()

    def check(self, report: CopyingReport | None) -> str | None:
        """One message for all conditions that copy, if one has begun to since the last call."""
        copied = copied_conditions(report)
        is_new = not copied.keys() <= self._raised
        self._raised = set(copied)
        if not is_new or report is None:
            return None
        named = ", ".join(f"{name} {one.closer.value:.2f}" for name, one in copied.items())
        return (
            "The generator copies training images. Probability that a generated image is closer to them than "
            f"a held-out photograph is (0.5 is ideal): {named} (features of {report.network}). {_REMEDY}."
        )


def copied_conditions(report: CopyingReport | None) -> dict[str, Copying]:
    """The conditions, and "all", for which both tests reject at `COPYING_LEVEL` (Bonferroni)."""
    if report is None:
        return {}
    tests = {"all": report.overall, **report.by_condition}
    level = COPYING_LEVEL / len(tests)
    return {name: one for name, one in tests.items() if max(one.p_value, one.pull_p_value) <= level}
