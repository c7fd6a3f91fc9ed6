"""Ends as people write them: "NF1", "NF1:7", "60% IP + 40% ML", "face.safetensors:NF1", "NF1:7@2=1.5"."""

import re
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


def parse_end(
    text: str, model: GeneratorModel, seed: int, photograph: ProjectedPhotograph | None = None
) -> End:
    """The end that a text stands for.

    Args:
        text: a condition, a mixture, or a file of a projected photograph; then ":SEED" or, for a
            photograph, ":CONDITION"; then "@DIRECTION=STRENGTH", repeatable. Names of conditions may contain
            ":", "@" and "+" themselves.
        seed: where the text names none.
        photograph: the source where the text names neither a photograph nor a seed, in place of `seed`.

    Raises:
        UserError: not an end, or one that this generator does not have.
    """
    if text in model.conditions:
        return End(photograph or seed, {text: 1.0})
    base, moves = _without_moves(text, model)
    head, colon, tail = base.rpartition(":")
    if head not in model.conditions and (found := _photograph(base, model)) is not None:
        return End(found[0], found[1], moves)
    if base not in model.conditions and colon and _SEED.fullmatch(tail):
        return End(_checked_seed(tail), parse_label(head, model), moves)
    return End(photograph or seed, parse_label(base, model), moves)


def parse_ends(texts: list[str], model: GeneratorModel, seed: int) -> list[End]:
    """Several ends of one morph. If there is one photograph, the ends that name no seed are of it, too.

    Raises:
        UserError: as `parse_end`.
    """
    alone = [parse_end(text, model, seed) for text in texts]
    photographs = [end.source for end in alone if not isinstance(end.source, int)]
    if len(photographs) != 1:
        return alone
    shared = [parse_end(text, model, seed, photographs[0]) for text in texts]
    return [
        single if not isinstance(single.source, int) else both
        for single, both in zip(alone, shared, strict=True)
    ]


def recorded_ends(texts: list[str], model: GeneratorModel, seed: int) -> dict[str, str]:
    """{text: what a run records of that end}; the path of a photograph's file may name a patient.

    Raises:
        UserError: as `parse_end`.
    """
    return {text: parse_end(text, model, seed).recorded(text) for text in texts}


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
