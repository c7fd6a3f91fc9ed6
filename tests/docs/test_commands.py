"""README and docs as a reader follows them: every command and code block runs, small and on phantoms."""

import io
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from phantom_faces import phantom_gestalt, photograph
from stylegan2_checkpoints import checkpoint_bytes

from morphoscope.apps import studio
from morphoscope.apps.bundled_models import ENSEMBLE, GENERATOR
from morphoscope.classify import Ensemble
from morphoscope.cohort import Cohort, phantom, write_image
from morphoscope.generate import Generator, load
from morphoscope.runtime.torch_checkpoints import read_checkpoint, write_checkpoint

ROOT = Path(__file__).parents[2]

# A command that begins like this is not run, for the reason beside it.
NOT_RUN = {
    r"make (install|demo|study|test|app|docs|models)\b": "installs, or is what CI runs",
    r"source \.venv/bin/activate": "of the shell that a person types into",
    r"\.venv/bin/": "what CI runs",
    r"bash benchmarks/": "needs a GPU",
    r"torchrun\b": "tests/generate/training/test_processes.py trains in several processes",
    r"sbatch\b": "tests/apps/test_slurm_script.py runs the script without a cluster",
    r"(export MASTER_ADDR=|srun\b)": "tests/slurm runs it on a real Slurm",
}
# Of the shell, and harmless.
FILES = ("mkdir ", "cp ")
# A command that begins like this gets further words, which make it small.
_SMALL_GENERATOR = (
    "batch=4 mbstd_group=2 tick_kimg=0.008 snapshot_ticks=1 metric_images=8 "
    "resolution=16 z_dim=8 w_dim=8 channel_base=128 channel_max=8 kimg=0.016"
)
_SMALL_CLASSIFIER = "backbone=test_efficientnet resolution=32 weights=none freeze_stages=0 epochs=2 batch=8"
_SMALL_STUDY = (
    'shots=["all"] classifier_seeds=1 steps=2 start_from=null '
    'classifier={"backbone":"test_efficientnet","weights":"none","freeze_stages":0,"resolution":32} '
    'generator={"resolution":16,"z_dim":8,"w_dim":8,"channel_base":128,"channel_max":8,"batch":4,"kimg":0.016}'
)
SMALLER = {
    "morphoscope generate train": _SMALL_GENERATOR,
    "morphoscope generate metrics": "images=8 paths=2",
    "morphoscope generate project": "candidates=2 starts=2 search_steps=1 w_steps=1 w_plus_steps=1 "
    "tuning_steps=1 morph_steps=2 held_out=2",
    "morphoscope classify train": _SMALL_CLASSIFIER,
    "morphoscope classify explain": "steps=8 samples=2",
    "morphoscope classify attribution": "images=2 steps=2 samples=2 points=2 cascade=0 window=0.5",
    "morphoscope classify survey analyse": "replicates=100",
    "morphoscope gestalt train": "regions=[eyes] resolution=32 width=0.1 epochs=1 batch=4",
    "morphoscope study run": _SMALL_STUDY,
}
# What is written otherwise because of these.
SUBSTITUTED = [
    (r"--kimg \S+", "--kimg 0.016"),
    (r"--epochs \S+", "--epochs 2"),
    (r"snapshot-\d{9}", "snapshot-000000016"),
]
# A generator that starts from a snapshot has the snapshot's architecture.
_FROM_SNAPSHOT = ["resolution", "z_dim", "w_dim", "channel_base", "channel_max"]


def smaller(command: str) -> list[str]:
    """The words of a command of the program, made small."""
    for pattern, replacement in SUBSTITUTED:
        command = re.sub(pattern, replacement, command)
    words = shlex.split(command)
    for beginning, settings in SMALLER.items():
        if command.startswith(f"{beginning} "):
            for setting in settings.split():
                name = setting.partition("=")[0]
                if not ("--start-from" in words and name in _FROM_SNAPSHOT) and not (
                    "--kimg" in words and name == "kimg"
                ):
                    words += ["--set", setting]
    return words[1:]


def phantoms(folder: Path, per_condition: int = 20, conditions: int = 7, **columns: list[str]) -> Cohort:
    """Small phantoms, two images per patient, of the first conditions; `columns` are repeated as needed."""
    drawn = phantom(folder, per_condition=per_condition, size=32)
    rows = drawn.rows[drawn.rows["condition"].isin(drawn.conditions[:conditions])].reset_index(drop=True)
    for name, values in columns.items():
        rows[name] = (values * len(rows))[: len(rows)]
    cohort = Cohort.from_rows(folder, rows)
    cohort.save()
    return cohort


class Reader:
    """Somebody at a terminal in a folder."""

    def __init__(self, folder: Path, call: Callable[..., tuple[int, str, str]]) -> None:
        self.folder, self.call, self.output = folder, call, ""

    def run(self, command: str, refused: bool = False) -> None:
        """Run one command, unless it is listed as one that is not run; it must succeed, or be refused."""
        self.output = ""
        if any(re.match(pattern, command) for pattern in NOT_RUN):
            return
        if command.startswith(FILES):
            found = (sorted(self.folder.glob(word)) or [word] for word in shlex.split(command))
            subprocess.run([word for words in found for word in words], cwd=self.folder, check=True)
            return
        assert command.startswith("morphoscope "), f"neither run nor listed in NOT_RUN: {command}"
        if command.startswith("morphoscope classify survey analyse"):
            answer_surveys(self.folder)
        code, out, err = self.call(*smaller(command))
        assert code == (2 if refused else 0), f"{command}\n{out}\n{err}"
        self.output = err if refused else out

    def python(self, code: str) -> None:
        """Run a block of Python."""
        with redirect_stdout(io.StringIO()) as printed:
            exec(code, {})  # noqa: S102 our own pages
        self.output = printed.getvalue()

    def expect(self, text: str) -> None:
        """The last command printed these lines in this order; "…" is anything, numbers may differ."""
        assert self.output, "a block of kind text stands below a command that is not run"
        printed = as_words(self.output)
        for line in text.replace("…", "\n").splitlines():
            words = as_words(line)
            assert words in printed, f"not printed: {line}\n{self.output}"
            printed = printed[printed.index(words) + len(words) :]


def as_words(text: str) -> str:
    """The text with one space between its words, without the lines of tables, every number as 0."""
    return re.sub(r"\d+(\.\d+)?", "0", " ".join(re.sub(r"[^\S\n]|[─-╿]", " ", text).split()))


def photographs(reader: Reader) -> None:
    """The README's folder: one folder for each condition, in it one for each patient."""
    drawn = phantoms(reader.folder / "drawn", conditions=2)
    names = dict(zip(drawn.conditions, ("mel", "nv"), strict=True))
    for index, row in drawn.rows.iterrows():
        patient = reader.folder / "photographs" / names[row["condition"]] / f"patient-{index // 2:03d}"
        write_image(patient / f"image-{index}.png", drawn.image(index))
    shutil.copy(patient / f"image-{index}.png", reader.folder / "photograph.jpg")
    for model in ("generator", "ensemble"):
        shutil.copy(
            ROOT / f"apps/bundled/phantom-{model}.safetensors", reader.folder / f"our-{model}.safetensors"
        )


def generator(reader: Reader) -> None:
    """A cohort, and a generator trained on it."""
    phantoms(reader.folder / "cohort", conditions=2).split(folds=5, seed=0, test_fraction=0.2).save()
    reader.run("morphoscope generate train cohort --run runs/generator --preset cpu64")


def generator_of_skin(reader: Reader) -> None:
    """A generator with the conditions of HAM10000, and a photograph."""
    tensors, metadata = read_checkpoint(GENERATOR, "generator")
    metadata |= {"conditions": ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]}
    write_checkpoint(reader.folder / "ham10000.safetensors", "generator", tensors, metadata)
    phantom(reader.folder / "drawn", per_condition=1, size=64)
    shutil.copy(next((reader.folder / "drawn").rglob("*.png")), reader.folder / "photograph.jpg")


def held_out(reader: Reader) -> None:
    """Photographs, models, and a cohort with a test fold that the generator has not seen."""
    photographs(reader)
    phantoms(reader.folder / "cohort", per_condition=12).split(folds=2, test_fraction=0.3).save()


def ensemble(reader: Reader) -> None:
    """A cohort, an ensemble trained on it, other images to tell from it, and a photograph."""
    photographs(reader)
    phantoms(reader.folder / "cohort").split(folds=5, seed=0, test_fraction=0.2).save()
    phantoms(reader.folder / "healthy", per_condition=2)
    reader.run("morphoscope classify train cohort --run runs/real")
    reader.run("morphoscope classify train cohort --run runs/other --seed 1")


def two_views(reader: Reader) -> None:
    """Photographs in two views, and a table of them."""
    drawn = phantoms(reader.folder / "photographs", conditions=2, view=["focused", "panoramic"])
    table = drawn.rows.rename(columns={"group": "patient"})[["file", "condition", "patient", "view"]]
    only_this_table(drawn.root, table, kept=drawn.rows["file"])
    (drawn.root / "train.csv").rename(drawn.root / "table.csv")
    for name in ("close-up.jpg", "overview.jpg"):
        shutil.copy(drawn.root / drawn.rows["file"][0], reader.folder / name)


def for_clinicians(reader: Reader) -> None:
    """A cohort in two views with a test fold, and an ensemble of its other folds."""
    drawn = phantoms(reader.folder / "cohort", view=["focused", "panoramic"])
    drawn.split(folds=5, seed=0, test_fraction=0.4).save()
    reader.run("morphoscope classify train cohort --run runs/real")


def answer_surveys(folder: Path) -> None:
    """One participant for each survey, who is always right."""
    key = pd.read_csv(folder / "survey" / "key.csv")
    name = re.search(r'"name": "([^"]+)"', (folder / "survey" / "survey.json").read_text())[1]
    (folder / "answers").mkdir()
    for survey, page in key.groupby("survey"):
        sheet = page[["survey", "position", "view"]].assign(answer=page["condition"], set=name)
        sheet = sheet.assign(participant=f"p{survey}", specialty="dermatology", years="", confidence="")
        sheet.assign(saved="2026-05-01T12:00:00Z").to_csv(folder / "answers" / f"{survey}.csv", index=False)


def published_tables(reader: Reader) -> None:
    """The tables of the published classifier and of SIIM-ISIC, with phantoms in place of the photographs."""
    for folder, first in (("Crop", 0), ("Recrop", 1)):
        drawn = phantoms(reader.folder / folder, conditions=2)
        rows = drawn.rows.iloc[first::2].reset_index(drop=True)
        table = pd.DataFrame({"image_name": rows["file"].str[:-4], "filepath": rows["file"]})
        table = table.assign(diagnosis=rows["condition"], tfrecord=np.arange(len(rows)) % 15)
        table = table.assign(is_test=(np.arange(len(rows)) % 4 == 0).astype(int), patient_id=rows["group"])
        only_this_table(reader.folder / folder, table, kept=rows["file"])
    for index, folder in enumerate(("jpeg-melanoma-512x512", "jpeg-isic2019-512x512")):
        drawn = phantom(reader.folder / folder / "train", per_condition=4, size=32, seed=5 + index)
        rows = drawn.rows.assign(image_name=[Path(file).stem for file in drawn.rows["file"]])
        rows = rows.assign(diagnosis=np.where(rows.index % 2, "melanoma", "nevus"))
        rows = rows.assign(tfrecord=rows.index % 15, patient_id=-1, target=rows.index % 2)
        table = rows[["image_name", "patient_id", "diagnosis", "target", "tfrecord"]]
        only_this_table(reader.folder / folder, table, kept="train/" + rows["file"])


def only_this_table(folder: Path, table: pd.DataFrame, kept: pd.Series) -> None:
    """Replace a phantom cohort's own tables by train.csv, and remove images that are not in it."""
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        if file.relative_to(folder).as_posix() not in set(kept):
            file.unlink()
    table.to_csv(folder / "train.csv", index=False)


def other_programs(reader: Reader) -> None:
    """A checkpoint of another program, and an image that it made."""
    keywords = {"z_dim": 8, "c_dim": 3, "w_dim": 8, "img_resolution": 16, "img_channels": 3}
    keywords["synthesis_kwargs"] = {"channel_base": 128, "channel_max": 8}
    checkpoint = checkpoint_bytes({"G_ema": Generator(**keywords)}, {"G_ema": keywords})
    (reader.folder / "network.pkl").write_bytes(checkpoint)
    write_image(reader.folder / "images" / "seed0000.png", np.zeros((16, 16, 3), np.uint8))


def served(reader: Reader) -> None:
    """Photographs of skin and of a face, and a studio with a gallery of faces at its usual address."""
    photographs(reader)
    write_image(reader.folder / "face.jpg", photograph(4, 1))
    studio.serve(studio.build(load(GENERATOR), Ensemble.load(ENSEMBLE), gestalt=phantom_gestalt()))


def faces(reader: Reader) -> None:
    """Photographs of phantom people, a cohort of six with two images each, and one of two other people."""
    write_image(reader.folder / "photograph.jpg", photograph(0, 2))
    write_image(reader.folder / "other.jpg", photograph(6))
    labels = ["unaffected", "syndrome-1", "syndrome-2"]
    for folder, people in (("faces", range(6)), ("people", range(7, 9))):
        rows = []
        for person in people:
            for shot in (0, 1):
                write_image(reader.folder / folder / f"{person}-{shot}.png", photograph(person, shot))
                rows.append((f"{person}-{shot}.png", labels[person % 3], f"p{person}", f"gene-{person}"))
        table = pd.DataFrame(rows, columns=["file", "condition", "group", "gene"])
        Cohort.from_rows(reader.folder / folder, table).save()


def own_certificate(reader: Reader) -> None:
    """A certificate for signatures, and its key."""
    from certificates import Authority  # needs an extra

    issued = Authority().issue(reader.folder)
    issued.certificate.rename(reader.folder / "our-certificate.pem")
    issued.key.rename(reader.folder / "our-key.pem")


# What a page, or one of its sections, takes for granted. Sections without an entry share the page's folder.
SCENES: dict[tuple[str, str], Callable[[Reader], None]] = {
    ("README.md", ""): photographs,
    ("docs/training.md", ""): generator,
    ("docs/metrics.md", ""): generator,
    ("docs/morphs.md", "A generator of photographs of skin"): generator_of_skin,
    ("docs/other-programs.md", ""): other_programs,
    ("docs/projection.md", ""): held_out,
    ("docs/provenance.md", ""): own_certificate,
    ("docs/classifying.md", ""): ensemble,
    ("docs/classifying.md", "Two photographs of one lesion"): two_views,
    ("docs/classifying.md", "Against clinicians"): for_clinicians,
    ("docs/classifying.md", "As published"): published_tables,
    ("docs/faces.md", ""): faces,
    ("docs/reference/cohort.md", ""): photographs,
    ("docs/api.md", ""): served,
}


@pytest.fixture
def reader_of(tmp_path, monkeypatch, command_line) -> Callable[[str, str], Reader]:
    """reader_of(page, section): the reader in that section's folder, which is the working directory then."""
    readers: dict[tuple[str, str], Reader] = {}
    monkeypatch.setattr(studio, "launch", lambda page, **_: "not served")
    monkeypatch.setenv("COLUMNS", "200")

    def found(page: str, section: str) -> Reader:
        scene = (page, section) if (page, section) in SCENES else (page, "")
        folder = tmp_path / str(list(readers).index(scene) if scene in readers else len(readers))
        folder.mkdir(exist_ok=True)
        os.chdir(folder)
        if scene not in readers:
            (folder / "apps").symlink_to(ROOT / "apps")
            readers[scene] = Reader(folder, command_line)
            SCENES.get(scene, lambda _: None)(readers[scene])
        return readers[scene]

    monkeypatch.chdir(tmp_path)
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_page_can_be_followed(page, blocks, reader_of):
    for block in blocks:
        if block.kind == "sh":
            reader = reader_of(block.page, block.section)
            for command in block.commands:
                reader.run(command, refused=command in block.refused)
        elif block.kind == "text":
            reader_of(block.page, block.section).expect(block.text)
        elif block.kind == "python":
            reader_of(block.page, block.section).python(block.text)


def test_a_command_is_run_or_listed(command):
    listed = any(re.match(pattern, command) for pattern in NOT_RUN)
    assert listed != command.startswith(("morphoscope ", *FILES)), command
