"""The report of a training, for a person to read at any time, from the files of its run folder alone."""

import io
import statistics
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from morphoscope.generate.metrics import Quality
from morphoscope.generate.sheets import UNREADABLE, read_sheet
from morphoscope.generate.training.collapse import DIVERSITY_ALARM
from morphoscope.generate.training.curves import Curve, curve, draw
from morphoscope.generate.training.film import FILM, sheets_by_kimg
from morphoscope.generate.training.progress import duration
from morphoscope.generate.training.records import Measured, Records
from morphoscope.runtime.reporting.report import Figure, Section, Table, write_report

_WIDEST = 1600  # pixels of a sheet in the report
_MOST_ALARMS = 10
_RECENT = 20  # ticks whose speed tells the time left


def write_training_report(run: Path) -> Path:
    """Write `report.html` of a training in `run`, from that folder's files alone, and return its path.

    What cannot be read (lines that a killed process left damaged, a broken sheet) is left out, with a note.

    Raises:
        UserError: not the run folder of a training, or the report cannot be written.
    """
    records = Records.read(run)
    pictures = _pictures(records)  # may leave notes
    sections = [
        _alarms(records),
        _facts(records),
        pictures,
        *(_quality(records, network) for network in records.metrics),
        _curves(records),
        Section("Config", "As resolved; config.yaml.", code=records.config_text.strip()),
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
    kimg = records.newest("kimg")
    if kimg is None:
        return "No tick is finished yet."
    ticked = datetime.fromtimestamp((records.run / "stats.jsonl").stat().st_mtime).astimezone()
    total = records.config.get("kimg")
    share = f" of {total:g} kimg ({100 * kimg / total:.0f} %)" if isinstance(total, int | float) else " kimg"
    return f"{kimg:g}{share}; stats.jsonl was last written on {ticked:%Y-%m-%d at %H:%M %Z}."


def _notice(records: Records) -> str:
    if records.metadata is not None and records.metadata.phantoms_only:
        pictures = (
            "The generated images are SYNTHETIC, and the real ones are phantoms, procedural drawings: no "
            "patient is shown."
        )
    else:
        pictures = (
            "The generated images are SYNTHETIC: no photographs, though they may resemble those trained on. "
            "The real images on this page are the cohort's own: keep and share this file as you would them."
        )
    return (
        f"{pictures} Distances bear the name of the network whose features they compare. They are not the "
        "FID and KID of papers, and only figures of the same network, the same real images and the same "
        "numbers of images can be compared."
    )


def _alarms(records: Records) -> Section | None:
    newest = records.alarms[: -_MOST_ALARMS - 1 : -1]
    said = [f"At {line['kimg']:g} kimg: {line.get('message', '')}" for line in newest]
    earlier = len(records.alarms) - len(newest)
    if not said and not records.notes:
        return None
    text = "Newest first; the table below tells how it is now." if said else ""
    return Section(
        "Alarms and notes",
        text + (f" {earlier} earlier ones are in alarms.jsonl." if earlier else ""),
        facts=[("note", note) for note in records.notes],
        alarms=said,
    )


def _facts(records: Records) -> Section:
    facts = []
    if records.metadata is not None:
        conditions, images = records.metadata.conditions, records.metadata.images
        facts += [
            ("conditions", f"{len(conditions)}: {', '.join(conditions)}"),
            ("training images", "not recorded" if images is None else str(images)),
        ]
    facts.append(("resolution", f"{records.config.get('resolution', '?')} px"))
    speeds = [line["seconds_per_kimg"] for line in records.stats[-_RECENT:] if "seconds_per_kimg" in line]
    if speeds:
        facts.append(("speed", _speed(records, statistics.median(speeds))))
    for key, name, pattern in [
        ("memory_gb", "memory, at most", "{:.1f} GB"),
        ("augment_p", "augmentation probability p", "{:.3f}"),
        ("augment_real_sign", "r_t (near 1: D overfits)", "{:+.2f}"),
        ("label_influence", "influence of the labels", "{:.2f}"),
    ]:
        value = records.newest(key)
        if value is not None:
            facts.append((name, pattern.format(value)))
    facts += [("best snapshot", _best(records, network)) for network in records.metrics]
    return Section("Where it stands", facts=facts)


def _speed(records: Records, seconds_per_kimg: float) -> str:
    text = f"{seconds_per_kimg:.1f} s/kimg, {1000 / seconds_per_kimg:.1f} images/s"
    total, kimg = records.config.get("kimg"), records.newest("kimg")
    if isinstance(total, int | float) and kimg is not None and kimg < total:
        text += f"; {duration((total - kimg) * seconds_per_kimg)} to go, snapshots not counted"
    return text


def _best(records: Records, network: str) -> str:
    best = records.best(network)
    if best is None:
        return f"none has a finite KID by {network}"
    return f"{best.snapshot or 'unnamed'} at {best.kimg:g} kimg: KID ({network}) {_kid(best.report.overall)}"


def _pictures(records: Records) -> Section:
    shown = [
        (path, f"SYNTHETIC: generated at {kimg} kimg, with the same seeds each time.")
        for kimg, path in sheets_by_kimg(records.run)[-1:]
    ]
    reals = records.run / "reals.png"
    if reals.exists():
        shown.append((reals, "Real: images trained on, one row a condition."))
    fitted = [(_fitted(path, records.notes), caption) for path, caption in shown]
    figures = [Figure(picture, caption) for picture, caption in fitted if picture is not None]
    if (records.run / FILM).exists():
        text = f"{FILM} beside this file shows the sheets of all snapshots in order."
    else:
        text = "" if figures else "There is no sheet yet."
    return Section("Generated and real", text, figures=figures, side_by_side=True)


def _fitted(path: Path, notes: list[str]) -> bytes | None:
    """A sheet as a JPEG no wider or higher than `_WIDEST`, marked in its comment as the file is."""
    try:
        picture, provenance = read_sheet(path)
    except UNREADABLE as error:
        notes.append(f"{path.name}: cannot be read ({error}).")
        return None
    picture.thumbnail((_WIDEST, _WIDEST), Image.Resampling.LANCZOS)
    comment = f"Synthetic? {provenance.statement}" if provenance else ""
    out = io.BytesIO()
    picture.save(out, "jpeg", quality=92, subsampling=0, comment=comment)
    return out.getvalue()


def _quality(records: Records, network: str) -> Section:
    """Table of the newest figures, and their course."""
    measured = records.metrics[network]
    newest = measured[-1].report
    return Section(
        f"Quality by {network}",
        f"The table is of {measured[-1].kimg:g} kimg. KID (kernel distance, ± its deviation over subsets) is "
        "unbiased and leads on small sets; the Fréchet distance grows as images get fewer. Diversity is the "
        "mean distance between two images, generated to real: 1 is as it should be, near 0 a collapse.",
        table=Table(
            ["condition", "generated", "real", f"KID ({network})", f"Fréchet ({network})", "diversity"],
            [_row("all", newest.overall), *(_row(name, one) for name, one in newest.by_condition.items())],
        ),
        figures=[
            Figure(
                draw(_courses(measured, "kernel", "kernel_deviation"), f"KID ({network})"),
                "Kernel distance to the images trained on, with its deviation; lower is better.",
            ),
            Figure(
                draw(_courses(measured, "frechet"), f"Fréchet distance ({network})"),
                "Fréchet distance to the images trained on; lower is better.",
            ),
            Figure(
                draw(
                    _courses(measured, "relative_diversity"),
                    "diversity, generated / real",
                    line=(DIVERSITY_ALARM, "alarm"),
                    span=(0, 1.05),
                ),
                "Diversity; a condition below the line shows ever the same few pictures.",
            ),
        ],
        side_by_side=True,
    )


def _courses(measured: list[Measured], value: str, deviation: str | None = None) -> list[Curve]:
    """A field of `Quality` over the snapshots, overall and by condition."""
    names = dict.fromkeys(name for one in measured for name in one.report.by_condition)
    overall = [(one.kimg, one.report.overall) for one in measured]
    courses = [_course("all", None, overall, value, deviation)]
    for k, name in enumerate(names):
        found = [(one.kimg, quality) for one in measured if (quality := one.report.by_condition.get(name))]
        courses.append(_course(name, k, found, value, deviation))
    return courses


def _course(
    name: str, colour: int | None, found: list[tuple[float, Quality]], value: str, deviation: str | None
) -> Curve:
    def column(key: str) -> np.ndarray:
        return np.array([getattr(quality, key) for _, quality in found], np.float64)

    x = np.array([kimg for kimg, _ in found])
    return Curve(name, x, column(value), colour, None if deviation is None else column(deviation))


def _row(name: str, quality: Quality) -> list[str]:
    ratio = quality.relative_diversity
    return [
        name,
        str(quality.generated),
        str(quality.real),
        _kid(quality),
        f"{quality.frechet:#.4g}",
        f"{ratio:.2f}" + (" (alarm)" if ratio < DIVERSITY_ALARM else ""),
    ]


def _kid(quality: Quality) -> str:
    return f"{quality.kernel:#.3g} ± {quality.kernel_deviation:#.2g}"


def _curves(records: Records) -> Section | None:
    if not records.stats:
        return None

    def curves(*keys: tuple[str, str]) -> list[Curve]:
        return [curve(records.stats, key, name, k) for k, (key, name) in enumerate(keys)]

    target = records.config.get("ada_target") if records.newest("augment_real_sign") is not None else None
    drawings = [
        (curves(("loss_G", "G"), ("loss_D", "D")), "loss", None, "Losses of generator and discriminator."),
        (
            curves(("logits_real", "real"), ("logits_fake", "generated")),
            "D's logits",
            None,
            "What D makes of real and generated images; the further apart, the surer it is.",
        ),
        (
            curves(("augment_p", "p"), ("augment_real_sign", "r_t"), ("label_influence", "labels")),
            "probability, sign",
            (target, "target of r_t") if isinstance(target, int | float) else None,
            "Augmentation follows r_t, the mean sign of D's logits of real images: above its target p rises.",
        ),
        (
            curves(
                ("r1", "R1"),
            ),
            "R1",
            None,
            "Squared gradient of D at real images.",
        ),
        (
            curves(("path_length", "path length"), ("path_penalty", "penalty")),
            "path length",
            None,
            "How far an image moves with w, and how unevenly.",
        ),
    ]
    return Section(
        "Course of the training",
        "Each point is the mean of a tick, or of several where there are many.",
        figures=[
            Figure(draw(lines, label, mark), caption)
            for lines, label, mark, caption in drawings
            if any(len(line.x) for line in lines)
        ],
        side_by_side=True,
    )
