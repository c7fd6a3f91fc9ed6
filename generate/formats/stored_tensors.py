"""Tensors inside pickles: torch's rebuilding calls and its legacy files of one storage, read with NumPy.

Nothing is allocated by what a file claims: a storage is a view of the bytes that are there.
"""

from collections.abc import Sequence
from io import BytesIO
from math import prod
from typing import NamedTuple

import numpy as np

from morphoscope.configs import UserError
from morphoscope.generate.formats.restricted_pickle import Constructor, read_pickle

MAX_STORAGES = 20_000
"""Storages of one file; a generator and a discriminator of 1024 px have about 300."""

_MAGIC = 0x1950A86A20F9469CFC6C  # the first value in a legacy file of torch
_PROTOCOL = 1001
_DTYPES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "<i1",
    "torch.ByteStorage": "<u1",
    "torch.BoolStorage": "?",
}


class Storage(NamedTuple):
    """Consecutive values of one type.

    Attributes:
        dtype: of NumPy, or "bfloat16", which NumPy lacks.
        data: the bytes.
    """

    dtype: str
    data: memoryview

    @property
    def item_size(self) -> int:
        """Bytes of a value."""
        return 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize


class StoredTensor(NamedTuple):
    """A tensor as a view of a storage, checked to lie inside it.

    Attributes:
        offset: of the first value, in values; the strides too.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def to_float32(self) -> np.ndarray:
        """A copy of the values, float32."""
        half = self.storage.dtype == "bfloat16"
        size = self.storage.item_size
        view: np.ndarray = np.ndarray(
            self.shape,
            "<u2" if half else self.storage.dtype,
            self.storage.data,
            self.offset * size,
            [stride * size for stride in self.strides],
        )
        if half:  # bfloat16 is the upper half of a float32
            bits = view.astype(np.uint32)
            bits <<= 16
            return bits.view(np.float32)
        return view.astype(np.float32)


class TensorReader:
    """The constructors of tensors for one file."""

    def __init__(self, source: str) -> None:
        """`source` names the file in messages."""
        self._source = source
        self._storages = 0

    def constructors(self) -> dict[str, Constructor]:
        """The table for `read_pickle`: torch's functions that rebuild storages, tensors and parameters."""
        return {
            "torch.storage._load_from_bytes": self.storage,
            "torch._utils._rebuild_tensor": self.tensor,
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "torch._utils._rebuild_parameter": self.parameter,
        }

    def storage(self, data: object) -> Storage:
        """The only storage of a legacy file of torch: five pickles, then the values.

        Raises:
            UserError: it is damaged, or claims another size than it has.
        """
        self._storages += 1
        if self._storages > MAX_STORAGES:
            raise UserError(f"{self._source}: refused, because it has more than {MAX_STORAGES} storages.")
        if not isinstance(data, bytes):
            raise self._damaged("its bytes are missing")
        file = BytesIO(data)
        magic = self._read(file)
        protocol = self._read(file)
        system = self._read(file)
        if magic != _MAGIC or protocol != _PROTOCOL:
            raise self._damaged("its bytes are not a legacy file of torch")
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise self._damaged("it was written on a big-endian machine; convert it on a usual one")
        claimed = self._read(file, persistent=True)
        keys = self._read(file)
        if not isinstance(claimed, _Claim) or keys != [claimed.key]:
            raise self._damaged("its bytes do not describe exactly one storage")
        count = int.from_bytes(file.read(8), "little")
        storage = Storage(claimed.dtype, memoryview(data)[file.tell() :])
        if count != claimed.values or count * storage.item_size != len(storage.data):
            raise self._damaged(
                f"it claims {claimed.values} values of {storage.item_size} bytes, "
                f"and {len(storage.data)} bytes follow"
            )
        return storage

    def tensor(
        self, storage: object, offset: object, shape: object, strides: object, *_: object
    ) -> StoredTensor:
        """A view of a storage; what follows the strides (gradients, hooks, metadata) is not needed.

        Raises:
            UserError: it reaches beyond its storage, or repeats values of it.
        """
        sizes, steps = _whole(shape), _whole(strides)
        if (
            not isinstance(storage, Storage)
            or not isinstance(offset, int)
            or sizes is None
            or steps is None
            or len(sizes) != len(steps)
            or offset < 0
        ):
            raise self._damaged("a tensor is described in another way than torch does")
        available = len(storage.data) // storage.item_size
        last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
        # A stride of 0 repeats values without end, hence the second condition.
        if prod(sizes) > 0 and (last >= available or prod(sizes) > available):
            raise self._damaged(
                f"a tensor of shape {list(sizes)} lies outside its storage of {available} values"
            )
        return StoredTensor(storage, offset, sizes, steps)

    def parameter(self, data: object, *_: object) -> StoredTensor:
        """The tensor of a parameter; whether it needs gradients, and its hooks, are not needed."""
        if not isinstance(data, StoredTensor):
            raise self._damaged("a parameter without a tensor")
        return data

    def _read(self, file: BytesIO, *, persistent: bool = False) -> object:
        storages: dict[str, Constructor] = dict.fromkeys(_DTYPES, dict)  # never called
        return read_pickle(file, f"{self._source}: a tensor", storages, self._claim if persistent else None)

    def _claim(self, identifier: object) -> "_Claim":
        match identifier:
            case ("storage", (str(dtype), _), str(key), str(), int(count), *_) if dtype in _DTYPES:
                return _Claim(_DTYPES[dtype], key, count)
        raise self._damaged("a storage is described in another way than torch does")

    def _damaged(self, reason: str) -> UserError:
        return UserError(f"{self._source}: refused, because of a tensor's storage: {reason}.")


class _Claim(NamedTuple):
    """What a legacy file says of its storage before the values follow."""

    dtype: str
    key: str
    values: int


def _whole(values: object) -> tuple[int, ...] | None:
    """Sizes or strides as a tuple of whole numbers from 0; None if they are anything else."""
    if not isinstance(values, Sequence) or len(values) > 64:
        return None
    if not all(type(value) is int and 0 <= value < 2**48 for value in values):
        return None
    return tuple(values)
