"""Every function of the public API, called with every argument of the wrong type: only ever a UserError."""

import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from morphoscope import classify, cohort, generate, ops
from morphoscope.configs import UserError
from public_api.case import Case

WRONG: list[Any] = [
    None,
    object(),
    "x.jpg",
    b"x",
    ["x.jpg"],
    [None],
    {"a": "b"},
    {},
    [],
    4,
    -3,
    2.5,
    float("nan"),
    True,
    1 + 2j,
    np.zeros((2, 3)),
    np.zeros((2, 5, 5, 4), np.uint8),
    np.array(3.0),
    np.array(["a"]),
    torch.zeros(2, 3),
    torch.zeros(0),
    torch.zeros(2, 3, 4, 4, dtype=torch.int64),
    pd.DataFrame({"a": [1]}),
    Path("nowhere"),
    int,
]

# Results, constants, types and modules rather than functions.
NOT_FUNCTIONS = {
    "Attribution", "CheckReport", "CohortInput", "Estimate", "Evaluation", "Fit", "FoldPlan", "HeldOut",
    "HeldOutPlan", "MAX_PIXELS",
    "PHANTOM_CONDITIONS", "PhantomImage", "Prediction", "Problem", "Provenance", "TEST_FOLD",
}  # fmt: skip
# Made from parts that only this package makes.
NOT_CALLED_BY_USERS = {"Cohort", "Ensemble", "GeneratorModel", "Cohort.from_store"}
# They take no argument, or only those of torch.nn.Module.
WITHOUT_ARGUMENTS = {"doctor", "Cohort.check", "Cohort.save"}


def public_names() -> Iterator[str]:
    """Functions and classes of the four packages, and the methods of the three main classes."""
    for room in (ops, cohort, generate, classify):
        yield from set(room.__all__) - NOT_FUNCTIONS
    for kind in (cohort.Cohort, generate.GeneratorModel, classify.Ensemble):
        for name, member in vars(kind).items():
            if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, classmethod)):
                yield f"{kind.__name__}.{name}"


NAMES = sorted(
    {*public_names(), "AugmentPipe.forward", "Discriminator.forward", "Generator.forward"}
    - NOT_CALLED_BY_USERS
    - WITHOUT_ARGUMENTS
    - {"GeneratorModel.provenance"}  # describes what this package has generated
)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_types_are_user_errors(name: str, cases: dict[str, Case], made: types.SimpleNamespace) -> None:
    """A wrong value may be a right one for some argument; otherwise the message must be for the user."""
    case = cases[name]
    before = sorted(made.folder.iterdir())
    for argument in case.valid:
        for wrong in WRONG:
            try:
                case.function(**case.valid | {argument: wrong})
            except UserError as error:
                assert len(str(error)) > 10, (argument, wrong)
            except Exception as error:  # noqa: BLE001 (whatever it is, it is the fault that is sought)
                pytest.fail(f"{name}({argument}={wrong!r}): {type(error).__name__}: {error}")
    assert not (made.folder / "x.jpg").exists()
    new = {path.name for path in set(made.folder.iterdir()) - set(before)}
    assert new <= {"one.png", "one.svg", "one.pdf", "report.html", "again.safetensors"}


@pytest.mark.parametrize("name", NAMES)
def test_what_can_never_be_right_is_refused(name: str, cases: dict[str, Case]) -> None:
    case = cases[name]
    for argument in case.valid:
        with pytest.raises(UserError):
            case.function(**case.valid | {argument: object()})


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_is_tried(name: str, cases: dict[str, Case]) -> None:
    """A new argument belongs in its function's case."""
    case = cases[name]
    parameters = inspect.signature(case.function).parameters.values()
    named = {each.name for each in parameters if each.kind is not each.VAR_KEYWORD}
    assert named - set(case.valid) - {"console", "args", "kwargs"} == set()
