"""The page of an explanation: the picture, how the map was computed, and what to read into it."""

from collections.abc import Sequence
from pathlib import Path

from morphoscope.classify.attribution.maps import Attribution
from morphoscope.configs.attribution import METHOD_NAMES
from morphoscope.runtime.reporting import Figure, Section, write_report

_READING = (
    "The map shows which pixels this classifier's probability depends on. It does not show where the disease "
    "is, and a plausible map does not make the answer correct. Look whether the evidence lies on the lesion "
    "or on hair, rulers, borders and light. Where the models' maps agree little, do not read details. "
    "Compare methods before a conclusion: what only one of them shows may come from the method. "
    "The command classify attribution measures on a cohort how far each method can be trusted."
)
_NOTICE = (
    "This page contains the photograph: keep and share it as you would the photograph itself. For research "
    "and teaching. Nothing here is a diagnosis."
)


def write_explanation_page(
    folder: Path, found: Attribution, condition: str, file: str, answer: str, notes: Sequence[str]
) -> Path:
    """Write report.html into `folder`, which holds overlay.png from `write_explanation`.

    Args:
        found: the map.
        condition: name of `found.target` as people should read it.
        file: name of the image's file.
        answer: the ensemble's probability of the condition, and what it assumes.
        notes: sentences for the box at the top, such as that the classifier knows only phantoms.

    Returns:
        The page's path.

    Raises:
        UserError: the file cannot be written.
    """
    facts = [
        ("file", file),
        ("condition", condition),
        ("predicted probability", answer),
        ("method", METHOD_NAMES[found.method]),
        ("models", str(len(found.per_fold))),
    ]
    if found.baseline is not None:
        facts.append(("baseline", found.baseline))
    if found.agreement is not None:
        facts.append(("mean rank correlation between the models' maps", f"{found.agreement:.2f}"))
    if found.difference is not None:
        facts.append(("sum of the map, as probability", f"{found.difference:+.3f}"))
        facts.append(("largest convergence delta", f"{found.convergence_delta:+.4f}"))
    caption = f"{file}, and the evidence for {condition} by {METHOD_NAMES[found.method]}."
    write_report(
        folder / "report.html",
        title=f"Evidence for {condition}",
        lead=f"What the classifier's probability of {condition} in {file} depends on.",
        notice=" ".join([*notes, _NOTICE]),
        sections=[
            Section(
                "Image and map",
                figures=[Figure(folder / "overlay.png", caption)],
                alarms=[found.warning] if found.warning else [],
            ),
            Section("How it was computed", facts=facts),
            Section(
                "What to read into it",
                f"{_READING} map.npy and folds.npy hold the values.",
            ),
        ],
    )
    return folder / "report.html"
