"""The HTML report of a training, at any time, from the files in its run folder alone."""

import io
import statistics
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from morphoscope.cohort.conditions import long_name
from morphoscope.generate.metrics import Quality, QualityReport
from morphoscope.generate.sheets import UNREADABLE, read_sheet
from morphoscope.generate.training.collapse import DIVERSITY_ALARM, alarms_begin, collapsed
from morphoscope.generate.training.copying_report import copying_section
from morphoscope.generate.training.curves import Curve, curve_of, draw_curves
from morphoscope.generate.training.film import FILM, sheets_by_kimg
from morphoscope.generate.training.records import ALARMS, STATS, Records, Tick
from morphoscope.runtime.progress import format_duration
from morphoscope.runtime.reporting.report import Figure, Section, Table, write_report

_WIDEST = 1600  # pixels of a sheet in the report
_MOST_ALARMS = 10
_RECENT = 20  # ticks whose speed the remaining time is estimated from


def write_training_report(run: Path) -> Path:
    """Write `report.html` of the training in `run`, from that folder's files alone, and return its path.

    What cannot be read (lines that a killed process left damaged, a broken sheet) is left out, with a note.

    Raises:
        UserError: not the run folder of a training, or the report cannot be written.
    """
    records = Records.read(run)
    sheets = _sheets(records)  # may add notes
    sections = [
        _alarms(records),
        _facts(records),
        sheets,
        *(_quality(records, network) for network in records.metrics),
        *(copying_section(network, measured) for network, measured in records.metrics.items()),
        _curves(records),
        Section("Config", "The resolved config, as in config.yaml.", code=records.config.text.strip()),
    ]
    path = run / "report.html"
    write_report(
        path,
        title=f"Training {run.absolute().name}",
        lead=_lead(records),
        notice=_notice(records),
        sections=[section for section in sections if section is not None],
        wide=True,
    )
    return path


def _lead(records: Records) -> str:
    if not records.ticks:
        return "No tick is complete yet."
    kimg, total = records.ticks[-1].kimg, records.config.kimg
    written = datetime.fromtimestamp((records.run / STATS).stat().st_mtime).astimezone()
    done = f"{kimg:g} kimg" if total is None else f"{kimg:g} of {total:g} kimg ({100 * kimg / total:.0f}%)"
    return f"{done}; {STATS} was last written on {written:%Y-%m-%d at %H:%M %Z}."


def _notice(records: Records) -> str:
    if records.metadata is not None and records.metadata.phantoms_only:
        images = (
            "The generated images are SYNTHETIC, and the real ones are phantoms, procedural drawings: no "
            "patient is shown."
        )
    else:
        images = (
            "The generated images are SYNTHETIC: they are not photographs, but may resemble the training "
            "photographs. The real images on this page come from the cohort: store and share this file under "
            "the same rules as the cohort."
        )
    return (
        f"{images} Each distance names the network whose features it compares. These values are not the FID "
        "and KID of publications. Compare values only if they were computed with the same network, the same "
        "real images and the same number of images."
    )


def _alarms(records: Records) -> Section | None:
    newest = records.alarms[: -_MOST_ALARMS - 1 : -1]
    messages = [f"At {alarm.kimg:g} kimg: {alarm.message}" for alarm in newest]
    earlier = len(records.alarms) - len(newest)
    if not messages and not records.notes:
        return None
    text = "Newest first. The table of quality below shows the current state." if messages else ""
    return Section(
        "Alarms and notes",
        text + (f" Earlier alarms ({earlier}) are in {ALARMS}." if earlier else ""),
        facts=[("note", note) for note in records.notes],
        alarms=messages,
    )


def _facts(records: Records) -> Section:
    facts = []
    if records.metadata is not None:
        conditions, images = records.metadata.conditions, records.metadata.images
        named = [long_name(name, records.metadata.descriptions) for name in conditions]
        facts += [
            ("conditions", f"{len(conditions)}: {', '.join(named)}"),
            ("training images", "not recorded" if images is None else str(images)),
            ("training cohort", records.metadata.origin),
        ]
    facts.append(("resolution", f"{records.config.resolution} px"))
    recent = [tick.values for tick in records.ticks[-_RECENT:]]
    speeds = [values["seconds_per_kimg"] for values in recent if "seconds_per_kimg" in values]
    if speeds:
        facts.append(("speed", _speed(records, statistics.median(speeds))))
    for name, label, pattern in [
        ("memory_gb", "peak memory", "{:.1f} GB"),
        ("augment_p", "augmentation probability p", "{:.3f}"),
        ("augment_real_sign", "r_t (near 1: D overfits)", "{:+.2f}"),
        ("label_influence", "influence of the labels", "{:.2f}"),
    ]:
        value = records.newest(name)
        if value is not None:
            facts.append((label, pattern.format(value)))
    facts += [("best snapshot", _best(records, network)) for network in records.metrics]
    return Section("Current state", facts=facts)


def _speed(records: Records, seconds_per_kimg: float) -> str:
    text = f"{seconds_per_kimg:.1f} s/kimg, {1000 / seconds_per_kimg:.1f} images/s"
    total, kimg = records.config.kimg, records.ticks[-1].kimg
    if total is not None and kimg < total:
        text += f"; {format_duration((total - kimg) * seconds_per_kimg)} left, not counting snapshots"
    return text


def _best(records: Records, network: str) -> str:
    best = records.best(network)
    if best is None:
        return f"none has a finite KID ({network})"
    chosen = f"{best.snapshot or 'unnamed'} at {best.kimg:g} kimg: KID ({network}) {_kid(best.choice)}"
    if best.held_out is None:
        return f"{chosen} against the training images, since none are held out; this favours copies of them"
    return f"{chosen} against {best.choice.real} held-out images"


def _sheets(records: Records) -> Section:
    shown = [
        (path, f"SYNTHETIC: generated at {kimg:.10g} kimg, with the same seeds in every sheet.")
        for kimg, path in sheets_by_kimg(records.run)[-1:]
    ]
    reals = records.run / "reals.png"
    if reals.exists():
        shown.append((reals, "Real: training images, one strip per condition."))
    fitted = [(_fitted(path, records.notes), caption) for path, caption in shown]
    figures = [Figure(sheet, caption) for sheet, caption in fitted if sheet is not None]
    if (records.run / FILM).exists():
        text = f"{FILM} in the same folder shows the sheets of all snapshots in order."
    else:
        text = "" if figures else "There is no sheet yet."
    return Section("Generated and real images", text, figures=figures, side_by_side=True)


def _fitted(path: Path, notes: list[str]) -> bytes | None:
    """A sheet as a JPEG no wider or higher than `_WIDEST`; a comment keeps the mark of a synthetic sheet."""
    try:
        sheet, provenance = read_sheet(path)
    except UNREADABLE as error:
        notes.append(f"{path.name}: cannot be read ({error}).")
        return None
    sheet.thumbnail((_WIDEST, _WIDEST), Image.Resampling.LANCZOS)
    comment = f"Synthetic? {provenance.statement}" if provenance else ""
    out = io.BytesIO()
    sheet.save(out, "jpeg", quality=92, subsampling=0, comment=comment)
    return out.getvalue()


def _quality(records: Records, network: str) -> Section:
    """A table of the newest values, and their curves."""
    measured = records.metrics[network]
    newest, held_out = measured[-1].report, measured[-1].held_out
    alarming = measured[-1].kimg >= alarms_begin(records.config.kimg or 0)
    on_held_out = {} if held_out is None else {"all": held_out.overall, **held_out.by_condition}
    reports = [(one.kimg, one.report) for one in measured]
    held_out_reports = [(one.kimg, one.held_out) for one in measured if one.held_out is not None]
    return Section(
        f"Quality by {network}",
        f"The table shows the values at {measured[-1].kimg:g} kimg, compared with the training images except "
        "in the column held out. KID (kernel distance ± its standard deviation over subsets) is unbiased and "
        "preferred for small sets; the Fréchet distance increases as the number of images decreases. "
        "Different images is how many equally frequent images would repeat as often as the generated ones "
        "do. Diversity is the mean distance between two generated images divided by that between two real "
        "ones: 1 is ideal, a value near 0 is a collapse.",
        table=Table(
            [
                "condition",
                "generated",
                "real",
                f"KID ({network})",
                "KID, held out",
                f"Fréchet ({network})",
                "different images",
                "diversity",
            ],
            [
                _cells(name, one, on_held_out.get(name), alarming)
                for name, one in [("all", newest.overall), *newest.by_condition.items()]
            ],
        ),
        figures=[
            Figure(
                draw_curves(_quality_curves(reports, "kernel", "kernel_deviation"), f"KID ({network})"),
                "Kernel distance to the training images, with its standard deviation; lower is better.",
            ),
            *(
                Figure(
                    draw_curves(
                        _quality_curves(held_out_reports, "kernel", "kernel_deviation"),
                        f"KID ({network}), held out",
                    ),
                    "Kernel distance to held-out images, by which the best snapshot is chosen.",
                )
                for _ in held_out_reports[:1]
            ),
            Figure(
                draw_curves(_quality_curves(reports, "frechet"), f"Fréchet distance ({network})"),
                "Fréchet distance to the training images; lower is better.",
            ),
            Figure(
                draw_curves(
                    _quality_curves(reports, "relative_diversity"),
                    "diversity, generated / real",
                    line=(DIVERSITY_ALARM, "alarm"),
                    span=(0, 1.05),
                ),
                "Diversity; for a condition below the line, the generator repeats very few images.",
            ),
        ],
        side_by_side=True,
    )


def _quality_curves(
    reports: list[tuple[float, QualityReport]], value: str, sd: str | None = None
) -> list[Curve]:
    """Curves of one field of `Quality`, overall and by condition; `sd` names its standard deviation."""

    def quality_curve(name: str, colour: int | None, found: Sequence[tuple[float, Quality]]) -> Curve:
        def column(field: str) -> np.ndarray:
            return np.array([getattr(quality, field) for _, quality in found], np.float64)

        x = np.array([kimg for kimg, _ in found])
        return Curve(name, x, column(value), colour, None if sd is None else column(sd))

    names = dict.fromkeys(name for _, report in reports for name in report.by_condition)
    curves = [quality_curve("all", None, [(kimg, report.overall) for kimg, report in reports])]
    for k, name in enumerate(names):
        found = [(kimg, quality) for kimg, report in reports if (quality := report.by_condition.get(name))]
        curves.append(quality_curve(name, k, found))
    return curves


def _cells(name: str, quality: Quality, held_out: Quality | None, alarming: bool) -> list[str]:
    """One row of the table of quality; with `alarming` a collapse is marked."""
    return [
        name,
        str(quality.generated),
        str(quality.real),
        _kid(quality),
        "–" if held_out is None else _kid(held_out),
        f"{quality.frechet:#.4g}",
        quality.different_text,
        f"{quality.relative_diversity:.2f}" + (" (alarm)" if alarming and collapsed(quality) else ""),
    ]


def _kid(quality: Quality) -> str:
    return f"{quality.kernel:#.3g} ± {quality.kernel_deviation:#.2g}"


class _Chart(NamedTuple):
    """What one chart of the ticks shows: {value of the ticks: its name in the legend}."""

    values: dict[str, str]
    label: str
    caption: str
    line: tuple[float, str] | None = None

    def curves(self, ticks: list[Tick]) -> list[Curve]:
        named = enumerate(self.values.items())
        return [curve_of(ticks, value, name, colour) for colour, (value, name) in named]


def _curves(records: Records) -> Section | None:
    if not records.ticks:
        return None
    target = records.config.ada_target if records.newest("augment_real_sign") is not None else None
    charts = [
        _Chart({"loss_G": "G", "loss_D": "D"}, "loss", "Losses of generator and discriminator."),
        _Chart(
            {"logits_real": "real", "logits_fake": "generated"},
            "D's logits",
            "Logits of D for real and generated images; the further apart, the more confident D is.",
        ),
        _Chart(
            {"augment_p": "p", "augment_real_sign": "r_t", "label_influence": "labels"},
            "probability, sign",
            "The augmentation probability p follows r_t, the mean sign of D's logits of real images: p rises "
            "while r_t is above its target.",
            line=None if target is None else (target, "target of r_t"),
        ),
        _Chart({"r1": "R1"}, "R1", "Squared gradient of D at real images."),
        _Chart(
            {"path_length": "path length", "path_penalty": "penalty"},
            "path length",
            "How much an image changes with w, and how unevenly.",
        ),
    ]
    drawn = [(chart, chart.curves(records.ticks)) for chart in charts]
    return Section(
        "Training curves",
        "Each point is the mean of one tick, or of several neighbouring ticks if there are many.",
        figures=[
            Figure(draw_curves(curves, chart.label, chart.line), chart.caption)
            for chart, curves in drawn
            if any(len(curve.x) for curve in curves)
        ],
        side_by_side=True,
    )
