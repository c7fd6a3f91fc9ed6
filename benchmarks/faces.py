"""How good and how fast rankings of faces are, with photographs of known people in place of syndromes.

    python benchmarks/faces.py ../shared/data/orl_faces_40x8.zip [--only recognition|quality|…]

The zip holds one folder per person. People stand for syndromes, since no patient's photograph may be shared:
that tells how well faces are found and told apart, not how well syndromes are. Phantom syndromes are
measured on the same photographs. Times are CPU times of one thread.
"""

import argparse
import resource
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from morphoscope.classify.gestalt import (
    Entry,
    Face,
    Gallery,
    Gestalt,
    evaluate_gallery,
    find_evidence,
    find_faces,
)
from morphoscope.classify.gestalt.alignment import warp
from morphoscope.classify.gestalt.detection import detect_faces
from morphoscope.classify.gestalt.encoders import embed_chip, load_encoder, unit
from morphoscope.classify.gestalt.landmarks import find_landmarks
from morphoscope.classify.gestalt.nearest import image_distances, syndrome_distances
from morphoscope.classify.gestalt.quality import measure_quality
from morphoscope.cohort import read_image
from morphoscope.cohort.phantom.face_warps import PHANTOM_SYNDROMES, UNCHANGED, warp_face
from morphoscope.runtime.roc import auroc
from morphoscope.runtime.statistics import format_estimate, proportion, proportion_by_group

ENCODER = load_encoder()
EXPECTED = {
    "wide-set eyes": {"eyes"},
    "down-slanting eyes": {"eyes"},
    "long philtrum": {"mouth", "chin"},
    "small chin": {"chin"},
    "broad nasal bridge": {"nose"},
    "wide mouth": {"mouth", "cheeks"},
}


class Photograph(NamedTuple):
    """A photograph, uint8 RGB [H, W, 3], its person, and its number among the person's."""

    image: np.ndarray
    person: str
    number: int


def photographs(path: Path) -> Iterator[Photograph]:
    """Those in a zip with one folder per person, sorted by name."""
    counts: dict[str, int] = {}
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".png"):
                person = name.split("/")[-2]
                counts[person] = counts.get(person, 0) + 1
                yield Photograph(read_image(archive.read(name), name), person, counts[person])


def gallery_of(embeddings: list[np.ndarray], entries: list[Entry]) -> Gallery:
    """A gallery of the bundled encoder."""
    return Gallery(np.stack(embeddings), tuple(entries), ENCODER.name, ENCODER.digest)


def embedded(face: Face) -> np.ndarray:
    """The embedding of a face."""
    return embed_chip(ENCODER, face.aligned(ENCODER.template))


def recognition(path: Path) -> None:
    """Detection rate, rank-1 of leave-one-out and of few images per person, and unknown people."""
    shown = list(photographs(path))
    faces = [find_faces(one.image) for one in shown]
    found = sum(len(one) > 0 for one in faces)
    print(f"faces found: {format_estimate(proportion(found, len(shown)))} ({found} of {len(shown)})")
    print(f"several faces: {sum(len(one) > 1 for one in faces)}")
    print(f"flagged: {sum(bool(one[0].quality.flags) for one in faces if one)}")
    kept = [(one, each[0]) for one, each in zip(shown, faces, strict=True) if each]
    embeddings = np.stack([embedded(face) for _, face in kept])
    people = np.array([one.person for one, _ in kept])
    numbers = np.array([one.number for one, _ in kept])
    similar = embeddings @ embeddings.T - 2 * np.eye(len(people))
    correct = people[similar.argmax(axis=1)] == people
    print(f"rank-1, leave one image out: {format_estimate(proportion_by_group(correct, people))}")
    for images in (1, 2, 4):
        inside = numbers <= images
        nearest = people[inside][similar[~inside][:, inside].argmax(axis=1)] == people[~inside]
        estimate = format_estimate(proportion_by_group(nearest, people[~inside]))
        print(f"rank-1, {images} images per person in the gallery: {estimate} ({len(nearest)} tested)")
    open_set(embeddings, people, numbers)


def quality(path: Path) -> None:
    """How often flags are raised: for photographs as they are, blurred, small, and with a mask."""
    shown = [one.image for one in photographs(path) if one.number == 1]
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "as they are": lambda image: image,
        "blurred, SD 2 pixels": lambda image: cv2.GaussianBlur(image, (0, 0), 2),
        "blurred, SD 3 pixels": lambda image: cv2.GaussianBlur(image, (0, 0), 3),
        "a third of the size": lambda image: cv2.resize(
            image, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA
        ),
        "masked": masked,
    }
    for name, change in changes.items():
        faces = [find_faces(change(image)) for image in shown]
        found = [one[0].quality for one in faces if one]
        presence = np.quantile([one.presence for one in found], [0.05, 0.5, 0.95]).round(1)
        flagged = sum(bool(one.flags) for one in found)
        print(
            f"{name}: {len(found)} of {len(shown)} found, {flagged} flagged; presence {presence} (5, 50, 95%)"
        )


def masked(image: np.ndarray) -> np.ndarray:
    """The image with a surgical mask, in one colour: from the bridge of the nose to the chin."""
    points = find_faces(image)[0].landmarks.points[[5, 234, 454, 132, 361, 152, 148, 377], :2]
    covered = image.copy()
    cv2.fillPoly(covered, [cv2.convexHull(points.astype(np.int32))], (190, 200, 210))
    return covered


def open_set(embeddings: np.ndarray, people: np.ndarray, numbers: np.ndarray, splits: int = 20) -> None:
    """AUROC of the nearest distance with a random half of the people unknown; 4 images in the gallery."""
    names, values = np.unique(people), []
    for seed in range(splits):
        known = np.random.default_rng(seed).permutation(names)[: len(names) // 2]
        inside = np.isin(people, known) & (numbers <= 4)
        tested = numbers > 4
        distances = 1 - (embeddings[tested] @ embeddings[inside].T).max(axis=1)
        values.append(auroc(distances, ~np.isin(people[tested], known), people[tested]))
    mean = np.mean([one.value for one in values])
    print(
        f"unknown people: AUROC {mean:.4f}, mean of {splits} halves; the first {format_estimate(values[0])}"
    )


def phantoms(path: Path, per_person: int = 2) -> None:
    """Phantom syndromes by degree: against other people, and against the same person unchanged."""
    shown = [one for one in photographs(path) if one.number <= per_person]
    faces = [find_faces(one.image)[0] for one in shown]
    people = sorted({one.person for one in shown})
    labels = [UNCHANGED, *PHANTOM_SYNDROMES]
    syndrome = {person: labels[place % len(labels)] for place, person in enumerate(people)}
    plain = [embedded(face) for face in faces]
    for degree in (0.5, 1.0, 1.5):
        changed, entries = [], []
        for one, face, own in zip(shown, faces, plain, strict=True):
            label = syndrome[one.person]
            changed.append(own if label == UNCHANGED else embedded(changed_face(face, label, degree)))
            entries.append(Entry(label, one.person, "", f"{one.person}-{one.number}"))
        across = evaluate_gallery(gallery_of(changed, entries)).protocols[0]
        print(
            f"degree {degree}: other people's images, top-1 {format_estimate(across.accuracy[1])}", end=", "
        )
        print(f"chance {across.chance[1]:.3f}; top-5 {format_estimate(across.accuracy[5])}")
        print(f"  the same person with and without it: {within(shown, plain, changed, syndrome)}")


def within(
    shown: list[Photograph], plain: list[np.ndarray], changed: list[np.ndarray], syndrome: dict[str, str]
) -> str:
    """Proportion of changed images that are nearer to the person's other image changed than unchanged."""
    index = {(one.person, one.number): place for place, one in enumerate(shown)}
    hits, groups = [], []
    for (person, number), place in index.items():
        if syndrome[person] != UNCHANGED:
            other = index[person, 3 - number]
            hits.append(changed[place] @ changed[other] > changed[place] @ plain[other])
            groups.append(person)
    return format_estimate(proportion_by_group(np.array(hits), np.array(groups)))


def changed_face(face: Face, syndrome: str, degree: float) -> Face:
    """The face with a phantom syndrome, found again."""
    image = warp_face(face.image, face.landmarks.points, syndrome, degree).image
    return find_faces(image)[0]


def evidence(path: Path, per_syndrome: int = 4, degree: float = 1.5) -> None:
    """Where the evidence for a change lies, against the same person's other image unchanged."""
    shown = {(one.person, one.number): one for one in photographs(path) if one.number <= 2}
    people = sorted({person for person, _ in shown})
    inside, area, hits = [], [], []
    for place, syndrome in enumerate(PHANTOM_SYNDROMES):
        for person in people[place * per_syndrome : (place + 1) * per_syndrome]:
            first, second = (find_faces(shown[person, number].image)[0] for number in (1, 2))
            known = [embedded(first), embedded(changed_face(first, syndrome, degree))]
            entries = [Entry(UNCHANGED, "a", "", "a"), Entry(syndrome, "b", "", "b")]
            warped = warp_face(second.image, second.landmarks.points, syndrome, degree)
            face = find_faces(warped.image)[0]
            found = find_evidence(Gestalt(gallery_of(known, entries), ENCODER), face, syndrome)
            size = ENCODER.template.size
            transform = ENCODER.template.transform(face.landmarks.points)
            mask = warp(warped.mask.astype(np.uint8) * 255, transform, size) > 127
            strength = np.abs(found.map)
            inside.append(strength[mask].sum() / strength.sum())
            area.append(mask.mean())
            hits.append(max(found.occlusion, key=lambda part: found.occlusion[part]) in EXPECTED[syndrome])
    print(
        f"evidence, degree {degree}, {len(inside)} faces: {np.mean(inside):.3f} of the integrated gradients",
        end=" ",
    )
    print(f"inside the mask, which covers {np.mean(area):.3f} of the aligned face")
    agreeing = format_estimate(proportion(sum(hits), len(hits)))
    print(f"occlusion: the strongest part is the changed one in {agreeing}")


def speed(path: Path, faces: int = 20, known: int = 10_000) -> None:
    """CPU time of each stage per face, in one thread, of the search in a large gallery, and memory."""
    torch.set_num_threads(1)
    images = [one.image for one in photographs(path)][:faces]
    random = np.random.default_rng(0)
    gallery = gallery_of(
        list(unit(random.normal(size=(known, 128)))),
        [Entry(f"s{number % 500:03d}", f"p{number}", "", str(number)) for number in range(known)],
    )
    labels = gallery.labels
    detections = [find_faces(image)[0] for image in images]
    chips = [face.aligned(ENCODER.template) for face in detections]
    colour = [np.clip(chip * [1.1, 1.0, 0.9], 0, 255).astype(np.uint8) for chip in chips]
    embeddings = [embed_chip(ENCODER, chip) for chip in chips]

    def search(place: int) -> None:
        syndrome_distances(image_distances(embeddings[place][None], gallery), labels, 500)

    stages: dict[str, Callable[[int], object]] = {
        "detection": lambda place: detect_faces(images[place]),
        "mesh (two passes)": lambda place: find_landmarks(images[place], detections[place].detection),
        "quality": lambda place: measure_quality(
            images[place], detections[place].detection, detections[place].landmarks
        ),
        "alignment": lambda place: detections[place].aligned(ENCODER.template),
        "embedding of a grey face": lambda place: embed_chip(ENCODER, chips[place]),
        "embedding of a colour face": lambda place: embed_chip(ENCODER, colour[place]),
        f"search among {known}": search,
    }
    for name, stage in stages.items():
        times = []
        for place in range(len(images)):
            start = time.process_time()
            stage(place)
            times.append(time.process_time() - start)
        print(f"{name}: {np.median(times) * 1000:.1f} ms")
    print(f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


MEASUREMENTS: dict[str, Callable[[Path], None]] = {
    "recognition": recognition,
    "quality": quality,
    "phantoms": phantoms,
    "evidence": evidence,
    "speed": speed,
}


def main() -> None:
    """Run all measurements, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--only", choices=MEASUREMENTS)
    given = parser.parse_args()
    for name, measure in MEASUREMENTS.items():
        if given.only in (None, name):
            print(f"# {name}", flush=True)
            measure(given.photographs)


if __name__ == "__main__":
    main()
