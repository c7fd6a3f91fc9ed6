"""Ends as people write them: "NF1", "NF1:7", "60% IP + 40% ML", "face.safetensors:NF1", "NF1:7@2=1.5"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from morphoscope.configs import UserError
from morphoscope.generate.latents.directions import condition_axis, factorised_directions
from morphoscope.generate.latents.ends import End, Move, ProjectedPhotograph
from morphoscope.generate.latents.photographs import read_photograph
from morphoscope.generate.model import GeneratorModel

_SHARE = re.compile(r"(\d+(?:\.\d+)?) ?% (.+)")
_MOVE = re.compile(r"(.+)=([+-]?\d+(?:\.\d+)?)")
_NUMBERED = re.compile(r"(\d{1,6})(?:/(\d{1,4}-\d{1,4}))?")
_LAYERS = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")
_SEED = re.compile(r"\d{1,10}")


@dataclass(frozen=True)
class WrittenEnd:
    """An end, and the text that stands for it.

    Attributes:
        text: may be the path of a photograph's file, which may name a patient: show `title`, record
            `recorded`.
        names_source: whether the text names the seed or the photograph.
    """

    text: str
    end: End
    names_source: bool

    @property
    def title(self) -> str:
        """The text as it may be shown."""
        return self.end.title(self.text)

    @property
    def recorded(self) -> str:
        """What a run records in place of the text: of a photograph's file, which projection it holds."""
        source = self.end.source
        if not self.names_source or isinstance(source, int):
            return self.text
        return f"{self.title} (projection {source.file_digest})"

    def with_seed(self, seed: int) -> "WrittenEnd":
        """With another seed, unless the text names one or the end is of a photograph."""
        return self if self.names_source or self.end.seed is None else self.of(seed)

    def of(self, source: int | ProjectedPhotograph) -> "WrittenEnd":
        """With another source."""
        return replace(self, end=replace(self.end, source=source))


def parse_end(text: str, model: GeneratorModel, seed: int) -> WrittenEnd:
    """The end that a text stands for.

    Args:
        text: a condition, a mixture, or a file of a projected photograph; then ":SEED" or, for a
            photograph, ":CONDITION"; then "@DIRECTION=STRENGTH", repeatable. Names of conditions may contain
            ":", "@" and "+" themselves.
        seed: where the text names none.

    Raises:
        UserError: not an end, or one that this generator does not have.
    """
    base, moves = _without_moves(text, model)
    head, colon, tail = base.rpartition(":")
    if base not in model.conditions:
        if head not in model.conditions and (found := _photograph(base, model)) is not None:
            return WrittenEnd(text, End(*found, moves), names_source=True)
        if colon and _SEED.fullmatch(tail):
            own = End(_checked_seed(tail), parse_label(head, model), moves)
            return WrittenEnd(text, own, names_source=True)
    return WrittenEnd(text, End(seed, parse_label(base, model), moves), names_source=False)


def parse_ends(texts: Sequence[str], model: GeneratorModel, seed: int) -> list[WrittenEnd]:
    """Several ends of one morph. If there is one photograph, the ends that name no seed are of it, too.

    Raises:
        UserError: as `parse_end`.
    """
    found = [parse_end(text, model, seed) for text in texts]
    photographs = [one.end.source for one in found if one.end.seed is None]
    if len(photographs) != 1:
        return found
    return [one if one.names_source else one.of(photographs[0]) for one in found]


def recorded_ends(ends: Sequence[WrittenEnd]) -> dict[str, str]:
    """{text: what a run records of that end}."""
    return {one.text: one.recorded for one in ends}


def parse_label(text: str, model: GeneratorModel) -> dict[str, float]:
    """A condition, or a mixture "60% NF1 + 40% TSC", as {condition: share}.

    Raises:
        UserError: an unknown condition, or shares that do not add up to 100 %.
    """
    text = text.strip()
    parts = [_SHARE.fullmatch(part.strip()) for part in text.split(" + ")]
    if text in model.conditions or not all(parts):
        model.label(text)
        return {text: 1.0}
    shares: dict[str, float] = {}
    for part in filter(None, parts):
        shares[part[2]] = shares.get(part[2], 0.0) + float(part[1]) / 100
    model.label(shares)
    return shares


def parse_layers(text: str) -> range:
    """Layers "2-5", the last included, or "3".

    Raises:
        UserError: something else.
    """
    found = _LAYERS.fullmatch(text.strip())
    if not found:
        raise UserError(f"layers: {text!r} is not a layer or a range of layers, e.g. 0-3.")
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def parse_direction(text: str, strength: float, model: GeneratorModel) -> Move:
    """A step along a factorised direction, "2" or "2/0-3" (layers), or along an axis, "NF1>TSC".

    Raises:
        UserError: there is no such direction.
    """
    if found := _NUMBERED.fullmatch(text):
        number = int(found[1])
        layers = parse_layers(found[2]) if found[2] else None
        if number < 1:
            raise UserError("direction 0: directions are numbered from 1.")
        return factorised_directions(model, number, layers)[-1].move(strength)
    axes = [(a, b) for a in model.conditions for b in model.conditions if f"{a}>{b}" == text]
    if not axes:
        raise UserError(
            f"direction {text!r}: neither a number (2), a number with layers (2/0-3) nor two conditions of "
            f"this generator (A>B); it has {', '.join(model.conditions)}."
        )
    return condition_axis(model, *axes[0]).move(strength)


def _without_moves(text: str, model: GeneratorModel) -> tuple[str, tuple[Move, ...]]:
    """(the text before its moves, the moves)."""
    moves: list[Move] = []
    while text not in model.conditions and "@" in text:
        head, _, tail = text.rpartition("@")
        found = _MOVE.fullmatch(tail.strip())
        if not found:
            break
        moves.insert(0, parse_direction(found[1], float(found[2]), model))
        text = head.strip()
    return text, tuple(moves)


def _photograph(text: str, model: GeneratorModel) -> tuple[ProjectedPhotograph, dict[str, float]] | None:
    """A file of a projected photograph, and its own label or the one behind the colon; None if it is none."""
    head, colon, label = text.rpartition(".safetensors:")
    path = f"{head}.safetensors" if colon else text
    if not path.endswith(".safetensors") or text in model.conditions:
        return None
    photograph = read_photograph(Path(path), model)
    return photograph, parse_label(label, model) if colon else dict(photograph.label)


def _checked_seed(text: str) -> int:
    if int(text) > 2**32 - 1:
        raise UserError(f"seed {text}: seeds go from 0 to {2**32 - 1}.")
    return int(text)
