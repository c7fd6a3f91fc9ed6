"""Everything about one explanation in a folder: the page, figures, tables, and the maps themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from morphoscope.classify.attribution.explanation import (
    Subject,
    draw_explanation,
    draw_models,
    write_marked,
)
from morphoscope.classify.attribution.maps import Attribution
from morphoscope.classify.prediction import Prediction
from morphoscope.cohort.conditions import Description, long_name
from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.configs.attribution import METHOD_NAMES
from morphoscope.runtime import write_atomically
from morphoscope.runtime.reporting import Figure, Section, Table, write_report

_READING = (
    "The map shows which pixels this classifier's probability depends on. It does not show where the disease "
    "is, and a plausible map does not make the answer correct. Look whether the evidence lies on the lesion "
    "or on hair, rulers, borders and light. Compare methods before a conclusion: what only one of them shows "
    "may come from the method. The command classify attribution measures on a cohort how far each method can "
    "be trusted."
)
_MODELS = (
    "The models were trained on different parts of the same cohort. Where their maps differ, the evidence is "
    "a property of one model, not of the condition. A correlation near 0 means that the maps have nothing in "
    "common: do not read details."
)
_ANSWER = (
    "The map is about one condition's probability, however small that is. Evidence for a condition that is "
    "not probable shows what speaks for it, not that it is present."
)
_FILES = (
    "overlay and models are there as PNG, SVG and PDF. probabilities.csv has the prediction, models.csv the "
    "table of the models, map.npy the map on the image's own pixels and folds.npy that of each model."
)
_NOTICE = (
    "This page contains the photograph: keep and share it as you would the photograph itself. For research "
    "and teaching. Nothing here is a diagnosis."
)


@dataclass(frozen=True)
class Explanation:
    """An image, what an ensemble predicts for it, and the map of a condition.

    Attributes:
        image: uint8 [H, W, 3] RGB, or a pair.
        seen: the image as the models see it, `Ensemble.seen`.
        found: the map.
        prediction: of this image alone.
        folds: names of the models' folds.
        subject: how people should read condition and file.
        descriptions: what the names of the conditions stand for, as far as it is known.
    """

    image: np.ndarray
    seen: np.ndarray
    found: Attribution
    prediction: Prediction
    folds: Sequence[str]
    subject: Subject
    descriptions: Mapping[str, Description]

    def write(self, folder: Path) -> Path:
        """Write figures, tables, arrays and report.html into `folder`; returns the page's path.

        Raises:
            UserError: a file cannot be written.
        """
        made = self.subject.provenance
        write_marked(draw_explanation(self.image, self.found, self.subject), folder / "overlay.png", made)
        models = self.models
        titles = [
            f"fold {fold}: probability {probability:.3f}"
            for fold, probability in zip(models["fold"], models["probability"], strict=True)
        ]
        figure = draw_models(self.seen, self.found, titles, self.subject)
        write_marked(figure, folder / "models.png", made)
        write_csv(folder / "models.csv", models)
        write_csv(folder / "probabilities.csv", self.prediction.to_frame([self.subject.file]))
        arrays = {"map": self.found.map, "folds": self.found.per_fold, "deltas": self.found.deltas}
        for name, array in arrays.items():
            if array is not None:
                with write_atomically(folder / f"{name}.npy") as temporary:
                    np.save(temporary, array)
        return self._write_page(folder)

    @property
    def models(self) -> pd.DataFrame:
        """One row per model: fold, probability of the condition, and what is known of its map.

        `sum` (of the map) and `convergence_delta` are for integrated gradients only, `agreement` (mean rank
        correlation with the other maps) for several models.
        """
        found = self.found
        target = self.prediction.conditions.index(found.target)
        columns = {"fold": list(self.folds), "probability": self.prediction.per_fold[:, 0, target]}
        if found.deltas is not None:
            columns |= {"sum": found.per_fold.sum(axis=(1, 2)), "convergence_delta": found.deltas}
        if found.agreements is not None:
            columns["agreement"] = found.agreements
        return pd.DataFrame(columns)

    def _write_page(self, folder: Path) -> Path:
        subject, found = self.subject, self.found
        path, about = folder / "report.html", f"{subject.condition} in {subject.file}"
        caption = f"The evidence for {about}, by {METHOD_NAMES[found.method]}."
        write_report(
            path,
            title=f"Evidence for {subject.condition}",
            lead=f"What the classifier's probability of {about} depends on.",
            notice=" ".join([*subject.notes, _NOTICE]),
            sections=[
                Section(
                    "Image and map",
                    figures=[Figure(folder / "overlay.png", caption)],
                    alarms=[found.warning] if found.warning else [],
                ),
                self._answer(),
                self._models(folder),
                Section("How it was computed", facts=self._facts()),
                Section("What to read into it", _READING),
                Section("Files beside this page", _FILES),
            ],
        )
        return path

    def _answer(self) -> Section:
        prediction = self.prediction
        combined, single = prediction.combined[0], prediction.per_fold[:, 0]
        rows = [
            [
                long_name(prediction.conditions[k], self.descriptions),
                f"{combined[k]:.3f}",
                f"{single[:, k].min():.3f} to {single[:, k].max():.3f}",
            ]
            for k in np.argsort(-combined, kind="stable")
        ]
        assumed = "unknown frequencies" if prediction.prior is None else prediction.prior.name
        facts = [("the probabilities assume", assumed)]
        if (possible := prediction.possible(0)) is not None:
            facts.append(("conditions that remain possible", ", ".join(possible)))
        alarms = []
        if prediction.novel is not None and prediction.novel[0]:
            alarms.append(
                "This is another kind of image than the training images: probabilities and map say nothing."
            )
        elif prediction.unsure[0]:
            alarms.append("Unsure: no condition has a probability above 50%.")
        table = Table(["condition", "probability", "single models"], rows)
        return Section("What the ensemble predicts", _ANSWER, facts=facts, table=table, alarms=alarms)

    def _models(self, folder: Path) -> Section:
        names = {
            "probability": "probability",
            "sum": "sum of the map",
            "convergence_delta": "convergence delta",
            "agreement": "rank correlation with the others",
        }
        models = self.models
        shown = [name for name in names if name in models]
        rows = [
            [str(fold), *(f"{value:.3f}" for value in values)]
            for fold, *values in models[["fold", *shown]].itertuples(index=False)
        ]
        return Section(
            "Whether the models agree",
            _MODELS,
            table=Table(["fold", *(names[name] for name in shown)], rows),
            figures=[Figure(folder / "models.png", "The map of each model over what it sees.")],
        )

    def _facts(self) -> list[tuple[str, str]]:
        found = self.found
        facts = [
            ("file", self.subject.file),
            ("condition", self.subject.condition),
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
        return facts
