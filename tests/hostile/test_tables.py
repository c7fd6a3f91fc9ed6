"""Tables that would fill the memory are refused in one line, before they do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hostile.limits import at_most
from hostile.tables import LARGE, name_that_is_not_the_utf8_it_claims
from morphoscope.cohort import Cohort, import_csv
from morphoscope.configs import UserError


@pytest.mark.parametrize("make", LARGE)
def test_a_manifest_that_unpacks_to_too_much(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path / "cohort.zip")
    assert path.stat().st_size < 500_000
    for reader in (Cohort.load, lambda path: import_csv(path, tmp_path / "out")):
        with (
            at_most(60),
            pytest.raises(UserError, match=r"manifest\.csv: (larger than 64 MiB|more than)") as error,
        ):
            reader(path)
        assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_a_zip_with_a_name_that_cannot_be_decoded(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.zip: not a readable zip file"):
        Cohort.load(name_that_is_not_the_utf8_it_claims(tmp_path / "a.zip"))
