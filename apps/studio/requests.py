"""What browsers and programs request of the studio: values of any type and size, checked here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from morphoscope.apps.morphing import Morph
from morphoscope.apps.studio.uploads import Uploads
from morphoscope.apps.studio.words import METHODS, MOST_PROBABLE
from morphoscope.apps.texts import text
from morphoscope.configs import UserError
from morphoscope.configs.attribution import Method
from morphoscope.generate import GeneratorModel
from morphoscope.generate.latents import End, parse_photograph
from morphoscope.generate.latents.parsing import parse_label

MAX_SEED = 2**32 - 1


def morph_of(values: Mapping[str, Any], model: GeneratorModel, uploads: Uploads) -> Morph:
    """The morph that a request describes.

    Args:
        values: a, b, a condition or a mixture "60% IP + 40% ML" for each end; seed_a, seed_b; psi; even;
            photograph_a, photograph_b, tokens of uploaded files of projected photographs, in place of seeds.

    Raises:
        UserError: a value is missing or out of range, an unknown condition, or a file that cannot be read.
    """
    psi = number("psi", values.get("psi"), 1)
    a, b = (_end(values, name, model, uploads) for name in "ab")
    return Morph(a, b, psi, values.get("even") is True)


def values_of(request: object) -> dict[str, Any]:
    """The values of a request that a component sends as JSON; none if it is anything else."""
    try:
        values = json.loads(request) if isinstance(request, str) else None
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def label_of(condition: object, model: GeneratorModel) -> dict[str, float]:
    """The label that a condition or a mixture "60% IP + 40% ML" stands for.

    Raises:
        UserError: anything else.
    """
    if not isinstance(condition, str):
        raise UserError(
            text("error.condition", value=repr(condition)[:40], known=", ".join(model.conditions))
        )
    return parse_label(condition, model)


def number(name: str, value: object, highest: int, lowest: int = 0) -> float:
    """A number from `lowest` to `highest`; NaN is none.

    Raises:
        UserError: another value, named after its field.
    """
    if value is None:
        raise UserError(text("error.empty", field=name))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not lowest <= value <= highest:
        raise UserError(
            text("error.range", field=name, value=str(value)[:40], lowest=lowest, highest=highest)
        )
    return float(value)


def whole_number(name: str, value: object, highest: int) -> int:
    """A whole number from 0 to `highest`; errors as for `number`."""
    found = number(name, value, highest)
    if found != int(found):
        raise UserError(text("error.whole", field=name, value=f"{found:g}"))
    return int(found)


def chosen_of(name: str, value: object, known: Sequence[str]) -> str:
    """A value of a field that takes one of the `known` texts.

    Raises:
        UserError: another value.
    """
    if not isinstance(value, str) or value not in known:
        raise UserError(text("error.choice", field=name, value=repr(value)[:40], known=", ".join(known)))
    return value


def short_text(name: str, value: object, longest: int) -> str:
    """A line of at most `longest` characters, without those that cannot be printed.

    Raises:
        UserError: something else than text, or a longer one.
    """
    if not isinstance(value, str) or len(value) > longest:
        raise UserError(text("error.text", field=name, longest=longest))
    return " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())


def wanted_target(choice: object) -> str | None:
    """The condition whose evidence is requested, which need not exist; None for the most probable one."""
    return None if choice == MOST_PROBABLE else str(choice)


def wanted_method(choice: object) -> Method:
    """The method of attribution.

    Raises:
        UserError: there is no such method.
    """
    return METHODS[chosen_of("method", choice, list(METHODS))]


def _end(values: Mapping[str, Any], name: str, model: GeneratorModel, uploads: Uploads) -> End:
    condition, token = values.get(name), values.get(f"photograph_{name}")
    if token is None:
        label = label_of(condition, model)
        return End(whole_number("seed", values.get(f"seed_{name}"), MAX_SEED), label)
    upload = uploads.take(token)
    photograph = parse_photograph(upload.data, upload.name, model)
    return End(photograph, label_of(condition, model) if condition else photograph.label)
