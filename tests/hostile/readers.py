"""The readers of whatever a user brings, each with sound files from which damaged ones are made."""

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from stylegan2_checkpoints import checkpoint_bytes

from hostile import images
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.classify.survey.answers import read_answers
from morphoscope.classify.survey.building import Surveys
from morphoscope.classify.survey.form import ANSWER_COLUMNS
from morphoscope.cohort import Cohort, Provenance, import_csv, import_dataset_json, read_image
from morphoscope.cohort.importers.cleaning import clean
from morphoscope.cohort.marked_files import encode_synthetic_png, file_provenance, mark_gif, mark_mp4
from morphoscope.cohort.mp4 import is_mp4
from morphoscope.configs import load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate import Generator
from morphoscope.generate.description import SnapshotMetadata
from morphoscope.generate.formats.stylegan2_networks import translate_generator
from morphoscope.generate.formats.stylegan2_pickle import read_networks
from morphoscope.runtime.torch_checkpoints import read_checkpoint, read_metadata, write_checkpoint

BUNDLED = Path(__file__).parents[2] / "apps" / "bundled"


@dataclass(frozen=True)
class Reader:
    """A reader and what it is tried with.

    Attributes:
        seeds: sound files; damaged ones are made from them.
        file: the name under which the file lies in an empty folder.
        read: reads it; may write beside it. It may raise UserError and nothing else.
        words: what is inserted by chance, beside bytes.
    """

    seeds: Callable[[Path], list[bytes]]
    file: str
    read: Callable[[Path], object]
    words: tuple[bytes, ...] = ()


def _image_seeds(folder: Path) -> list[bytes]:
    image = images.photograph(24, 32)
    exif = b"Exif\0\0" + images.entries_of_the_same_bytes(3, 100)[:200]
    return [
        images.encoded(image, "JPEG", restart_marker_rows=1),
        images.encoded(image, "JPEG", progressive=True, exif=exif),
        images.encoded(image, "PNG", dpi=(72, 72)),
        images.encoded(image.convert("P"), "PNG", transparency=0),
        images.encoded(image.convert("RGBA"), "PNG"),
        images.encoded(image, "TIFF", compression="tiff_lzw"),
        images.encoded(image.convert("P"), "GIF", comment=b"text"),
        images.encoded(image, "BMP"),
        images.encoded(image, "WEBP"),
        images.encoded(image, "MPO", save_all=True, append_images=[image]),
    ]


def _read_image(path: Path) -> None:
    data = path.read_bytes()
    clean(data, "a.jpg")
    clean(data, "a.png", to_srgb=True)
    read_image(path)


def _marked_seeds(folder: Path) -> list[bytes]:
    """A marked image, and marked films in both formats; players would want more of the MP4."""
    image = images.photograph(8, 12)
    mark = Provenance.parse('{"generator": "0123", "label": {"NF1": 1.0}, "seed": 3, "psi": 0.7}')
    film, video = folder / "a.gif", folder / "a.mp4"
    image.save(film, save_all=True, append_images=[image], comment=b"text")
    mark_gif(film, mark)
    video.write_bytes(b"\0\0\0\x10ftypisom\0\0\2\0" + b"\0\0\0\x0cmdat1234")
    mark_mp4(video, mark)
    return [encode_synthetic_png(image, mark), film.read_bytes(), video.read_bytes()]


def _read_mark(path: Path) -> None:
    """As `generate inspect` reads it."""
    data = path.read_bytes()
    if not is_mp4(data):
        read_image(path)
    file_provenance(data)


MANIFEST = (
    b"file,condition,group,view,fold,source,age\nimages/a.png,NF1,p1,focused,0,real,30\n"
    b'b.png,"T, SC",p2,other,test,real,\n'
)
SYNTHETIC = (
    b"file,condition,source,generator,seed,label,psi,trained_on_folds,trained_on_cohort,ancestor_cohorts\n"
    b'a.png,NF1,synthetic,0123,3,"{""NF1"": 1.0}",0.7,"[""1""]",abc,"[]"\n'
)


def _read_manifest(path: Path) -> None:
    cohort = Cohort.load(path.parent, strict=False)
    cohort.check()
    Cohort.load(path.parent)


def _zip_seeds(folder: Path) -> list[bytes]:
    found = []
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            archive.writestr("manifest.csv", MANIFEST)
            archive.writestr("images/a.png", images.encoded(images.photograph(8, 8), "PNG"))
        found.append(buffer.getvalue())
    return found


def _with_images(path: Path) -> Path:
    for name in ("a.png", "b.png"):
        (path.parent / name).write_bytes(images.encoded(images.photograph(8, 8), "PNG"))
    return path.parent / "out"


def _import_table(path: Path) -> None:
    import_csv(path, _with_images(path))


def _import_json(path: Path) -> None:
    import_dataset_json(path.parent, _with_images(path))


def _checkpoint_seeds(folder: Path) -> list[bytes]:
    """The metadata of the bundled models with other, small tensors."""
    found = []
    for name, kind in (("phantom-generator", "generator"), ("phantom-ensemble", "ensemble")):
        path = folder / f"{name}.safetensors"
        metadata = read_metadata(BUNDLED / path.name, kind)
        write_checkpoint(path, kind, {"a": torch.ones(3), "b": torch.zeros(2, 2)}, metadata)
        found.append(path.read_bytes())
    return found


def _read_checkpoint(path: Path) -> None:
    kind, schema = ("ensemble", EnsembleMetadata)
    if b'"kind": "gen' in path.read_bytes() or b'\\"kind\\": \\"gen' in path.read_bytes():
        kind, schema = "generator", SnapshotMetadata
    values = read_checkpoint(path, kind)[1]
    if kind == "ensemble":
        values = {k: v for k, v in values.items() if k not in ("calibration", "half_calibrations")}
    schema.from_json(values, path)


def _foreign_seeds(folder: Path) -> list[bytes]:
    """A checkpoint of another program, with a small generator."""
    keywords = {"z_dim": 8, "c_dim": 2, "w_dim": 8, "img_resolution": 8, "img_channels": 3}
    keywords["synthesis_kwargs"] = {"channel_base": 128, "channel_max": 2}
    return [checkpoint_bytes({"G_ema": Generator(**keywords)}, {"G_ema": keywords})]


def _read_foreign(path: Path) -> None:
    read = read_networks(path)
    if "G_ema" in read:
        translate_generator(path, "G_ema", read["G_ema"])


KEY = pd.DataFrame(
    [(1, position, "focused", f"{position}.png", "NF1", f"p{position}") for position in range(1, 4)],
    columns=["survey", "position", "view", "file", "condition", "group"],
)
SURVEYS = Surveys("s0123abcd", KEY, ["NF1", "TSC"], ["dermatology"], "0" * 16, True)


def _answer_seeds(folder: Path) -> list[bytes]:
    facts = {"set": "s0123abcd", "survey": "1", "participant": "p-7", "specialty": "dermatology"}
    facts |= {"years": "12", "saved": "2026-05-01T12:00:00Z", "view": "focused", "confidence": "4"}
    rows = [{**facts, "position": str(position), "answer": "NF1"} for position in range(1, 4)]
    text = io.StringIO()
    writer = csv.DictWriter(text, ANSWER_COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return [text.getvalue().encode()]


def _read_settings(path: Path) -> None:
    errors = []
    for schema in (GeneratorTraining, EnsembleTraining):
        try:
            load_config(schema, file=path)
        except ValueError as error:
            errors.append(error)
    if len(errors) == 2:
        raise errors[-1]


TABLE_WORDS = (
    *(b",", b'"', b"\n", b"=cmd()", b"\xff", b"../", b"nan"),
    *(b"1" * 400, b"\x00", b"sep=;\n", b"\xef\xbb\xbf"),
)
JSON_WORDS = (
    *(b"[", b"{", b"null", b"1e999", b"NaN", b"-1", b"true", b'""'),
    *(b'"\\ud800"', b"[" * 500, b"9" * 5000),
)
IMAGE_WORDS = (b"\xff\xda", b"\xff\xd8", b"Exif\0\0", b"IDAT", b"IEND")
MARK_WORDS = (b"XMP DataXMP", b"uuid", b"<x>", b"<!ENTITY a 'b'>", b"&a;", b"\x21\xff\x0b", b"[" * 500)
ZIP_WORDS = (b"PK\x01\x02", b"\xff\xff")
PICKLE_WORDS = (b"cos\nsystem\n", b"R", b"b", b"h\0", b"\x94", b"(" * 500, b"\x8e" + b"\xff" * 8, b".", b"Q")
SETTINGS = [
    (Path(__file__).parents[2] / "configs" / "presets" / preset).read_bytes()
    for preset in ("generate/cpu64.yaml", "classify/lite.yaml")
]

READERS = {
    "image": Reader(_image_seeds, "a.img", _read_image, IMAGE_WORDS),
    "mark of synthesis": Reader(_marked_seeds, "a.png", _read_mark, (*IMAGE_WORDS, *MARK_WORDS)),
    "manifest": Reader(lambda folder: [MANIFEST, SYNTHETIC], "manifest.csv", _read_manifest, TABLE_WORDS),
    "zip": Reader(_zip_seeds, "cohort.zip", lambda path: Cohort.load(path).check(), ZIP_WORDS),
    "table": Reader(
        lambda folder: [b"file;condition;group\na.png;NF1;p1\nb.png;TSC;p2\n", MANIFEST],
        "table.csv",
        _import_table,
        TABLE_WORDS,
    ),
    "dataset.json": Reader(
        lambda folder: [
            json.dumps({"labels": [["a.png", 0], ["b.png", [0, 1]]], "conditions": ["NF1", "TSC"]}).encode()
        ],
        "dataset.json",
        _import_json,
        JSON_WORDS,
    ),
    "checkpoint": Reader(_checkpoint_seeds, "a.safetensors", _read_checkpoint, JSON_WORDS),
    "checkpoint of another program": Reader(_foreign_seeds, "a.pkl", _read_foreign, PICKLE_WORDS),
    "answers": Reader(_answer_seeds, "a.csv", lambda path: read_answers(path, SURVEYS), TABLE_WORDS),
    "settings": Reader(
        lambda folder: SETTINGS,
        "config.yaml",
        _read_settings,
        (*JSON_WORDS, b"&a ", b"*a", b"!!python/object:os.system", b"- ", b"? ", b"2024-99-99", b"\t"),
    ),
}


def empty(folder: Path) -> None:
    """Remove what the reader before may have left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
