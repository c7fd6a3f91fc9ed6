"""The machine builds plain values, and nothing that a pickle says is imported or called."""

import collections
import contextlib
import io
import os
import pickle
import tracemalloc
from pathlib import Path

import pytest
from hostile.limits import at_most
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.configs import UserError
from morphoscope.generate.formats import restricted_pickle
from morphoscope.generate.formats.restricted_pickle import read_pickle

KEYS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.binary(), st.floats(allow_nan=False))
VALUES = st.deferred(
    lambda: st.one_of(
        KEYS,
        st.lists(VALUES, max_size=3),
        st.dictionaries(KEYS, VALUES, max_size=3),
        st.tuples(VALUES, VALUES),
        st.sets(KEYS, max_size=3),
        st.frozensets(KEYS, max_size=3),
    )
)


class Runs:
    """Pickled as a call of a function with arguments."""

    def __init__(self, function, *arguments):
        self.called = (function, arguments)

    def __reduce__(self):
        return self.called


def read(data, **constructors):
    return read_pickle(io.BytesIO(data), "a.pkl", constructors)


@given(VALUES)
def test_plain_values_come_back(value):
    assert read(pickle.dumps(value, 4)) == value


def test_shared_and_cyclic_values_stay_shared():
    shared: list = []
    first, second = read(pickle.dumps([shared, shared]))
    assert first is second
    cyclic: list = []
    cyclic.append(cyclic)
    again = read(pickle.dumps(cyclic))
    assert again[0] is again


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Runs(os.system, "touch executed"), "posix.system"),
        (Runs(eval, "1"), "eval"),
        (Runs(__import__, "this"), "__import__"),
        (Runs(eval, Runs(os.system, "touch executed")), "eval"),
        (Runs(getattr, {}, "get"), "getattr"),
        (Runs(open, "executed", "w"), "open"),
        (Path("x"), "PosixPath"),
        (collections.Counter, "collections.Counter"),
    ],
)
def test_a_global_is_refused_by_its_name_and_nothing_runs(tmp_path, monkeypatch, protocol, value, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=name):
        read(pickle.dumps({"x": value}, protocol))
    assert not list(tmp_path.iterdir())


def test_an_allowed_name_is_called_with_what_the_file_says():
    data = pickle.dumps(Runs(os.system, "x", 3), 4)
    assert read(data, **{"posix.system": lambda *given: given}) == ("x", 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged"),
        (b"\x80\x04", "damaged"),
        (b"not a pickle", "damaged"),
        (b"\x80\x04N", "damaged"),
        (b".", "0 values"),
        (b"NN.", "2 values"),
        (b"0.", "lacks its arguments"),
        (b"a.", "lacks its arguments"),
        (b"t.", "lacks its mark"),
        (b"h\x05.", "not stored"),
        (b"Na.", "lacks its arguments"),
        (b"NNa.", "APPEND is applied to a value of type NoneType"),
        (b"}(NNNu.", "key without a value"),
        (b"}](NNd.", "values|lacks|type"),
        (b"NNR.", "calls a value of type NoneType"),
        (b"I1\nQ.", "outside the file"),
        (b"\x82\x01.", "EXT1"),
        (b"(NNo.", "OBJ"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc", "damaged"),
        (b"B\xff\xff\xff\xffabc", "damaged"),
    ],
)
def test_a_damaged_or_forbidden_program_is_refused_with_its_reason(data, message):
    with pytest.raises(UserError, match=message):
        read(data)


def nested(levels):
    return b"(" * levels + b"t" * levels + b"."


def exponential_keys(levels):
    """A key in which each level is the same tuple twice, so that its hash takes 2^levels steps."""
    return b"}" + b"N" + b"2\x86" * levels + b"Ns."


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(nested(10_000), id="nested 10,000 deep"),
        pytest.param(exponential_keys(60), id="a key whose hash takes exponential time"),
        pytest.param(b"N" + b"r\xff\xff\xff\x7f" + b".", id="a memo of 2^31 entries"),
        pytest.param(b"](" + b"N" * 50_000 + b"e" + b".", id="a long list"),
        pytest.param(b"L" + b"9" * 100_000 + b"L\n.", id="a number of 100,000 digits"),
    ],
)
def test_bombs_are_bounded_in_time_and_memory(data):
    tracemalloc.start()
    try:
        with at_most(seconds=20), contextlib.suppress(UserError):
            read(data)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


def test_the_number_of_operations_is_bounded(monkeypatch):
    monkeypatch.setattr(restricted_pickle, "MAX_OPERATIONS", 100)
    with pytest.raises(UserError, match="more than 100 operations"):
        read(b"N0" * 100 + b"N.")
