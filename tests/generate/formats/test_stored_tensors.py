"""Tensors in pickles are read as torch reads them, and never claim more than is there."""

import io
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.configs import UserError
from morphoscope.generate.formats.restricted_pickle import read_pickle
from morphoscope.generate.formats.stored_tensors import StoredTensor, TensorReader

NAMES = {"collections.OrderedDict": dict}
TERA = (2**40).to_bytes(6, "little")
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8]


def read(data):
    return read_pickle(io.BytesIO(data), "a.pkl", NAMES | TensorReader("a.pkl").constructors())


@given(
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 4), max_size=4),
    st.booleans(),
    st.sampled_from([3, 4]),
)
def test_any_tensor_comes_back(dtype, shape, transposed, protocol):
    values = torch.arange(torch.Size(shape).numel() + 2).to(dtype)[2:].reshape(shape)
    values = values.T if transposed and values.ndim == 2 else values
    stored = read(pickle.dumps(values, protocol))
    assert stored.shape == tuple(values.shape)
    assert torch.equal(torch.from_numpy(stored.to_float32()), values.float())


def test_a_parameter_is_its_tensor():
    parameter = torch.nn.Parameter(torch.tensor([1.5, -2.0]))
    assert read(pickle.dumps(parameter, 4)).to_float32().tolist() == [1.5, -2.0]


def test_bool_tensors_are_read():
    assert read(pickle.dumps(torch.tensor([True, False]), 4)).to_float32().tolist() == [1, 0]


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (0, (2, 3), (4, 1)),
        (0, (10**6, 10**6), (0, 0)),
        (0, (2, 4), (0, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2,), (1, 1)),
        (0, (2.0,), (1,)),
        (0, (True,), (1,)),
        ("0", (2,), (1,)),
        (0, 2, 1),
    ],
)
def test_a_view_must_lie_inside_its_storage(offset, shape, strides):
    reader = TensorReader("a.pkl")
    storage = reader.storage(_legacy(torch.zeros(6)))
    with pytest.raises(UserError, match=r"a\.pkl: refused, because of a tensor's storage"):
        reader.tensor(storage, offset, shape, strides)


def test_what_follows_the_strides_does_not_matter():
    reader = TensorReader("a.pkl")
    storage = reader.storage(_legacy(torch.arange(6.0)))
    stored = reader.tensor(storage, 1, [2, 2], [2, 1], False, {}, {"further": 1})
    assert isinstance(stored, StoredTensor)
    assert stored.to_float32().tolist() == [[1, 2], [3, 4]]


def _legacy(tensor):
    """The bytes that torch stores for a tensor's storage inside a pickle."""
    pickled = pickle.dumps(tensor, 4)
    start = pickled.index(b"\x80\x02\x8a\n")
    return pickled[start : pickled.index(b"\x94\x85\x94R", start)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "claims 6 values of 4 bytes, and 23 bytes follow"),
        (lambda data: data + b"\0", "and 25 bytes follow"),
        (lambda data: data[:-24], "and 0 bytes follow"),
        (lambda data: data[:-32], "and 0 bytes follow"),
        (lambda data: data.replace(b"K\x06N", b"J\xff\xff\xff\x7fN"), "claims 2147483647 values"),
        (
            lambda data: data.replace(b"K\x06N", b"\x8a\x06" + (2**40).to_bytes(6, "little") + b"N"),
            "claims 10995",
        ),
        (lambda data: data.replace(b"\x88X\n", b"\x89X\n", 1), "big-endian"),
        (lambda data: data.replace(b"\x8a\nl", b"\x8a\nm", 1), "not a legacy file"),
        (lambda data: data.replace(b"FloatStorage", b"EvilsStorage"), "torch.EvilsStorage"),
        (
            lambda data: data.replace(b"X\x07\x00\x00\x00storage", b"X\x07\x00\x00\x00storagf", 1),
            "another way",
        ),
        (lambda data: b"", "damaged"),
        (lambda data: None, "bytes are missing"),
    ],
)
def test_a_damaged_storage_is_refused_with_its_reason(change, message):
    with pytest.raises(UserError, match=message):
        TensorReader("a.pkl").storage(change(_legacy(torch.zeros(6))))


def test_every_length_of_a_cut_storage_is_refused():
    data = _legacy(torch.zeros(3))
    for length in range(len(data)):
        with pytest.raises(UserError):
            TensorReader("a.pkl").storage(data[:length])


def test_the_number_of_storages_is_bounded(monkeypatch):
    monkeypatch.setattr("morphoscope.generate.formats.stored_tensors.MAX_STORAGES", 2)
    reader, data = TensorReader("a.pkl"), _legacy(torch.zeros(1))
    reader.storage(data)
    reader.storage(data)
    with pytest.raises(UserError, match="more than 2 storages"):
        reader.storage(data)
