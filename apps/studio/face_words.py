"""The sentences of the Faces tab. All functions return plain text; whoever puts it into HTML escapes it."""

from collections.abc import Iterator
from typing import TypedDict

from morphoscope.apps.texts import text
from morphoscope.apps.verdict import listed, percent
from morphoscope.classify.gestalt import Gestalt, Quality, Ranking
from morphoscope.classify.gestalt.quality import MIN_EYE_DISTANCE
from morphoscope.classify.gestalt.ranking import ALARM, ALPHA
from morphoscope.runtime.statistics import format_estimate

_NAMED = 8  # syndromes in one sentence


class Check(TypedDict):
    """One thing to know about a ranking, in plain words; `state` is good, warning or unknown."""

    name: str
    sentence: str
    state: str


def seen(faces: int, largest: int, chosen: int) -> str:
    """How many faces there are, and which one is used.

    Args:
        faces: in the photograph.
        largest: of them about as large as the largest one.
        chosen: number of the one that is used, 0 for none.
    """
    if not faces:
        return text("faces.none")
    if not chosen:
        return text("faces.several", count=largest)
    return text("faces.one") if faces == 1 else text("faces.chosen", count=faces, number=chosen)


def flags(quality: Quality) -> list[str]:
    """What speaks against using a face."""
    values = {
        "eyes": f"{quality.eye_distance:.0f}",
        "least": f"{MIN_EYE_DISTANCE:.0f}",
        "yaw": f"{abs(quality.yaw):.0f}",
        "pitch": f"{abs(quality.pitch):.0f}",
    }
    return [text(f"faces.flag_{fault}", **values) for fault in quality.faults]


def part_name(part: str) -> str:
    """A part of the face, one of `PARTS`."""
    return text(f"faces.part_{part}")


def verdict(ranking: Ranking, none: bool | None) -> str:
    """What a ranking amounts to; `none`: whether the answer is "none of these", None if it cannot be."""
    first = ranking.syndromes[0]
    if ranking.known_photograph:
        return text("faces.known", name=first.syndrome)
    if none:
        return text("faces.none_of_these")
    key = "faces.most_unaffected" if first.syndrome == ranking.unaffected else "faces.most"
    return text(key, name=first.syndrome, similarity=f"{1 - first.distance:.3f}")


def checks(gestalt: Gestalt, ranking: Ranking, none: bool | None, quality: Quality) -> list[Check]:
    """What to know before anything is read into a ranking."""
    found = {
        "known": _known(gestalt, none),
        "set": _remaining(ranking),
        "unaffected": _unaffected(ranking),
        "quality": _quality(quality),
    }
    return [
        Check(name=text(f"faces.check_{name}"), sentence=sentence, state=state)
        for name, (sentence, state) in found.items()
    ]


def gallery_facts(gestalt: Gestalt) -> list[tuple[str, str]]:
    """(name, value) rows about a gallery."""
    return [(text(f"faces.fact_{name}"), value) for name, value in _facts(gestalt)]


def _known(gestalt: Gestalt, none: bool | None) -> tuple[str, str]:
    if gestalt.calibration is None:
        return text("faces.not_calibrated"), "unknown"
    if none is None:
        return text("faces.never_none", count=gestalt.calibration.patients), "unknown"
    values = {"share": percent(1 - ALARM), "alarm": percent(ALARM)}
    return (text("faces.outside", **values), "warning") if none else (text("faces.inside", **values), "good")


def _remaining(ranking: Ranking) -> tuple[str, str]:
    possible = ranking.prediction_set
    if possible is None:
        return text("faces.no_set"), "unknown"
    if not possible:
        return text("faces.empty_set"), "warning"
    share = percent(1 - ALPHA)
    if len(possible) == len(ranking.syndromes):
        return text("faces.whole_set", share=share), "warning"
    if len(possible) > _NAMED:
        return text("faces.long_set", count=len(possible), share=share), "warning"
    state = "good" if len(possible) == 1 else "warning"
    return text("faces.set", names=listed(possible), share=share), state


def _unaffected(ranking: Ranking) -> tuple[str, str]:
    if not ranking.unaffected:
        return text("faces.no_unaffected"), "unknown"
    place = [one.syndrome for one in ranking.syndromes].index(ranking.unaffected)
    if place == 0:
        return text("faces.unaffected_first", name=ranking.unaffected), "warning"
    return text("faces.unaffected_later", name=ranking.unaffected, place=place + 1), "good"


def _quality(quality: Quality) -> tuple[str, str]:
    found = flags(quality)
    return (" ".join(found), "warning") if found else (text("faces.good_photograph"), "good")


def _facts(gestalt: Gestalt) -> Iterator[tuple[str, str]]:
    gallery, calibration = gestalt.gallery, gestalt.calibration
    patients = len(set(gallery.patients))
    yield "images", text("faces.images_of", images=len(gallery), patients=patients)
    yield "syndromes", str(len(gallery.syndromes))
    yield "unaffected", gallery.unaffected or text("faces.nobody")
    yield "encoder", gallery.encoder
    if calibration is None:
        yield "calibration", text("faces.fact_too_few")
    else:
        yield (
            "calibration",
            text(
                "faces.fact_calibrated",
                patients=calibration.patients,
                detection=format_estimate(calibration.detection),
                missed=format_estimate(calibration.missed),
            ),
        )
    yield (
        "shown",
        text("faces.fact_hidden")
        if gallery.thumbnails is None
        else text("faces.fact_allowed", consent=gallery.consent),
    )
