"""The cohort of phantom syndromes: faces of a user's cohort, or phantom people, each with one change."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.manifest import MASK_SUFFIX
from morphoscope.cohort.phantom.face_warps import PHANTOM_SYNDROMES, UNCHANGED, warp_face
from morphoscope.cohort.phantom.heads import PhantomPerson, phantom_head
from morphoscope.cohort.storage import new_folder
from morphoscope.configs import UserError, arguments
from morphoscope.runtime.progress import track

FindMesh = Callable[[np.ndarray], np.ndarray | None]
"""From uint8 RGB [H, W, 3] to its face's mesh points, [468, 2 or 3] in pixels, or None without a face."""


class Portrait(NamedTuple):
    """A face before it is changed; uint8 RGB [H, W, 3], and its person."""

    image: np.ndarray
    person: str


def phantom_people(people: int, images: int, seed: int = 0, size: int = 192) -> list[Portrait]:
    """Rendered phantom people, `images` of each; image i of a person does not depend on the other numbers."""
    portraits = []
    for number in range(people):
        person = PhantomPerson.draw(np.random.default_rng([seed, number]))
        for shot in range(images):
            image = phantom_head(person, np.random.default_rng([seed, number, shot]), size)
            portraits.append(Portrait(image, f"phantom-person-{number:04d}"))
    return portraits


def cohort_portraits(cohort: Cohort) -> Iterator[Portrait]:
    """The real images of a cohort; its groups are the people."""
    for index in np.flatnonzero(cohort.rows["source"] == "real").tolist():
        yield Portrait(cohort.image(index), cohort.rows["group"][index])


def phantom_faces(
    destination: Path, portraits: Sequence[Portrait], find_mesh: FindMesh, degree: float = 1.0, seed: int = 0
) -> Cohort:
    """Write a cohort in which each person has one phantom syndrome, or none, in all images.

    Besides the usual columns the rows have `mask` (relative path, 255 where the face was changed), `degree`
    and `phantom` (always "true": the syndromes are). People get the six syndromes and "unaffected" in equal
    numbers, in random order.

    Args:
        destination: a new or empty folder; it is created only once it is complete.
        portraits: faces, of at least seven people. Those without a mesh are left out.
        find_mesh: finds the mesh in each of them.
        degree: strength of the changes, above 0 up to 2.
        seed: of the order.

    Raises:
        UserError: too few people, no mesh in any portrait, or the folder is not empty or cannot be written.
    """
    arguments.real_number("degree", degree, 0.01, 2)
    arguments.whole_number("seed", seed, 0)
    people = sorted({portrait.person for portrait in portraits})
    labels = [UNCHANGED, *PHANTOM_SYNDROMES]
    if len(people) < len(labels):
        raise UserError(
            f"{len(people)} people: phantom syndromes need at least {len(labels)}, one for each and one "
            f"unaffected."
        )
    order = np.random.default_rng(seed).permutation(len(people))
    syndrome = {people[person]: labels[place % len(labels)] for place, person in enumerate(order)}
    with new_folder(destination) as folder:
        rows = list(_write_images(folder, portraits, syndrome, find_mesh, degree))
        if not rows:
            raise UserError("No face was found in any of the images, so there is nothing to warp.")
        Cohort.from_rows(folder, pd.DataFrame(rows)).save()
    return Cohort.load(Path(destination))


def _write_images(
    root: Path,
    portraits: Sequence[Portrait],
    syndrome: dict[str, str],
    find_mesh: FindMesh,
    degree: float,
) -> Iterator[dict[str, str]]:
    """Warp and write all images and masks under `root`; yields the manifest's rows."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number, portrait in enumerate(track(portraits, "Drawing phantom faces", unit="images")):
        points = find_mesh(portrait.image)
        if points is None:
            continue
        condition = syndrome[portrait.person]
        image, mask = warp_face(portrait.image, points, condition, degree)
        name = f"phantom-face-{number:05d}.png"
        Image.fromarray(image).save(root / "images" / name, compress_level=1)
        Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(
            root / "masks" / f"{name}{MASK_SUFFIX}", "PNG"
        )
        yield {
            "file": f"images/{name}",
            "condition": condition,
            "group": portrait.person,
            "view": "face",
            "source": "real",
            "mask": f"masks/{name}{MASK_SUFFIX}",
            "degree": "0" if condition == UNCHANGED else f"{degree:g}",
            "phantom": "true",
        }
