"""A cohort as the input of a run: what its run folder keeps of it, to say later in words what changed."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from morphoscope.cohort.cohort import Cohort

# Beyond this number of images a record has counts only: 24 bytes for each image, 1.2 MB at most.
_MOST_IMAGES = 50_000


class CohortInput:
    """Describes a cohort by the digests of its images with their conditions and folds; by no patient's name.

    Implements `morphoscope.runtime.run_requests.Described`.
    """

    def __init__(self, cohort: Cohort) -> None:
        self._cohort = cohort

    def __str__(self) -> str:
        return str(self._cohort.root)

    def as_json(self) -> dict[str, Any]:
        """Name, digest, {condition: number of images}; of each image its digest, condition and fold."""
        cohort = self._cohort
        counts = cohort.rows["condition"].value_counts()
        described: dict[str, Any] = {
            "name": cohort.root.name,
            "digest": cohort.digest,
            "conditions": {name: int(counts.get(name, 0)) for name in cohort.conditions},
        }
        if len(cohort) <= _MOST_IMAGES:
            parts = zip(cohort.image_hashes, cohort.labels, cohort.rows["fold"], strict=True)
            described["images"] = [f"{digest} {label} {fold}" for digest, label, fold in parts]
        return described

    def changes_since(self, recorded: Any) -> list[str]:
        """What differs from the cohort that an earlier run recorded, in words; empty if nothing does."""
        before = recorded if isinstance(recorded, Mapping) else {}
        if before.get("digest") == self._cohort.digest:
            return []
        now = self.as_json()
        changes = _condition_changes(_counts(before), now["conditions"])
        images, later = _images(before), _images(now)
        if images and later:
            if not images.keys() & later.keys():
                return [f"none of its images is in {now['name']}", *changes]
            return _image_changes(images, later) + changes or [_OTHER]
        return _count_changes(_counts(before), now["conditions"]) + changes or [_OTHER]


_OTHER = "other images, or another manifest (its columns, or the order of its rows)"


def _condition_changes(before: Mapping[str, int | None], now: Mapping[str, int]) -> list[str]:
    gone = [f"the condition {name} is gone" for name in before if name not in now]
    return gone + [f"the condition {name} is new" for name in now if before and name not in before]


def _count_changes(before: Mapping[str, int | None], now: Mapping[str, int]) -> list[str]:
    both = [name for name in now if before.get(name) not in (None, now[name])]
    return [f"{name} had {before[name]} images and has {now[name]}" for name in both]


def _image_changes(before: Mapping[str, list[Any]], now: Mapping[str, list[Any]]) -> list[str]:
    """By digest, images with their (condition, fold)."""
    earlier = Counter({digest: len(rows) for digest, rows in before.items()})
    later = Counter({digest: len(rows) for digest, rows in now.items()})
    both = [(before[digest], now[digest]) for digest in before.keys() & now.keys()]
    changed = [
        (_plural((later - earlier).total()), "added"),
        (_plural((earlier - later).total()), "removed"),
        (_plural(_moved(both, 0)), "given another condition"),
        (_plural(_moved(both, 1)), "put into another fold"),
    ]
    return [f"{number} {what}" for number, what in changed if number]


def _moved(both: list[tuple[list[Any], list[Any]]], place: int) -> int:
    """Number of images whose condition (place 0) or fold (place 1) is another one."""
    pairs = (
        (Counter(row[place] for row in rows), Counter(row[place] for row in after)) for rows, after in both
    )
    return sum(min((rows - after).total(), (after - rows).total()) for rows, after in pairs)


def _plural(number: int) -> str:
    if number == 0:
        return ""
    return "1 image was" if number == 1 else f"{number} images were"


def _counts(described: Mapping[str, Any]) -> Mapping[str, int | None]:
    """{condition: number of images, or None where that is not recorded}."""
    counts = described.get("conditions")
    return counts if isinstance(counts, Mapping) else {}


def _images(described: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """{digest: (condition, fold) of its rows}; empty where there are too many images, or none recorded."""
    conditions = list(_counts(described))
    found: dict[str, list[tuple[str, str]]] = {}
    for line in described.get("images", ()):
        digest, label, fold = str(line).split(" ", 2)
        found.setdefault(digest, []).append((conditions[int(label)], fold))
    return found
