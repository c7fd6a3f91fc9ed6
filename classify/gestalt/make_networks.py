"""Convert the bundled networks for faces from the npm packages that publish them.

    npm pack @mediapipe/face_detection@0.4.1657300184 @mediapipe/face_mesh@0.4.1657299874 \
        @vladmandic/face-api@1.7.15
    python -m morphoscope.classify.gestalt.make_networks FOLDER

FOLDER holds the three packages. Nothing in them is executed, and every file that is taken is checked by its
digest.
"""

import hashlib
import json
import struct
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.numpy import save_file

from morphoscope.classify.gestalt.bundled_networks import DETECTOR, MESH, RESNET
from morphoscope.cohort.face_mesh import CANONICAL_FACE
from morphoscope.configs import UserError
from morphoscope.configs.user_files import read_regular
from morphoscope.runtime import write_atomically
from morphoscope.runtime.terminal import say
from morphoscope.runtime.torch_checkpoints import write_checkpoint

_MAX_PACKAGE, _MAX_TOTAL = 64 * 2**20, 14_000_000


class _Source(NamedTuple):
    """A file in a package, and its SHA-256 digest."""

    package: str
    name: str
    digest: str


_DETECTION = _Source(
    "mediapipe-face_detection-0.4.1657300184.tgz",
    "face_detection_full_range.tflite",
    "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
)
_MESH_ASSETS = _Source(
    "mediapipe-face_mesh-0.4.1657299874.tgz",
    "face_mesh_solution_packed_assets.data",
    "dbe5905c582c0462cdaea17e7e6ecea92edaa8cccc515c5e2e7291f2cbb5fb99",
)
_WEIGHTS = _Source(
    "vladmandic-face-api-1.7.15.tgz",
    "model/face_recognition_model.bin",
    "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
)
_WEIGHTS_MANIFEST = _Source(
    "vladmandic-face-api-1.7.15.tgz",
    "model/face_recognition_model-weights_manifest.json",
    "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
)
# Where files lie in the mesh's packed assets, as its loader script says.
_MESH_BYTES = slice(2495952, 3737848)
_GEOMETRY_BYTES = slice(3737848, 3757224)


def make_networks(packages: Path) -> None:
    """Write the bundled networks from the packages in a folder.

    Raises:
        UserError: a package is missing, a file in it is another one, or the networks are too large together.
    """
    _write(DETECTOR, _read(packages, _DETECTION))
    assets = _read(packages, _MESH_ASSETS)
    _write(MESH, assets[_MESH_BYTES])
    points, triangles = canonical_geometry(assets[_GEOMETRY_BYTES])
    with write_atomically(CANONICAL_FACE) as temporary:
        save_file({"points": points, "triangles": triangles}, temporary)
    manifest = json.loads(_read(packages, _WEIGHTS_MANIFEST))
    write_checkpoint(RESNET, "face encoder", dict(quantised_weights(manifest, _read(packages, _WEIGHTS))), {})
    total = sum(path.stat().st_size for path in (DETECTOR, MESH, RESNET))
    say(f"The networks for faces: {total / 1e6:.1f} MB together")
    if total > _MAX_TOTAL:
        raise UserError(f"The networks take {total} bytes, more than {_MAX_TOTAL}.")


def quantised_weights(manifest: list[dict[str, Any]], weights: bytes) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, tensor) of a tfjs file: float32, or uint8 with float32 [scale, minimum] under `NAME/range`.

    Filters [H, W, in, out] become [out, in, H, W], and the matrix [in, out] becomes [out, in].
    """
    offset = 0
    for entry in manifest[0]["weights"]:
        facts = entry.get("quantization")
        dtype = np.dtype(facts["dtype"] if facts else entry["dtype"])
        values = np.frombuffer(weights, dtype, int(np.prod(entry["shape"])), offset).reshape(entry["shape"])
        offset += values.nbytes
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(values.ndim, (0,))
        name = entry["name"].replace("/", ".")
        yield name, torch.from_numpy(values.transpose(axes).copy())
        if facts:
            yield f"{name}/range", torch.tensor([facts["scale"], facts["min"]], dtype=torch.float32)
    assert offset == len(weights)


def canonical_geometry(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Points, float32 [468, 3] in cm (right, up, towards the viewer), and triangles, int32 [898, 3].

    Args:
        data: MediaPipe's protocol buffer `GeometryPipelineMetadata`, whose field 1 is the mesh `Mesh3d`:
            vertices of x, y, z, u, v in field 3 and indices in field 4.
    """
    mesh = next(value for number, value in _fields(data) if number == 1 and isinstance(value, bytes))
    entries = list(_fields(mesh))
    numbers = [value for number, value in entries if number == 3]
    vertices = np.array([struct.unpack("<f", value)[0] for value in numbers if isinstance(value, bytes)])
    triangles = np.array([value for number, value in entries if number == 4], np.int32)
    return vertices.reshape(-1, 5)[:, :3].astype(np.float32), triangles.reshape(-1, 3)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of an encoded protocol buffer; 32-bit and nested values are bytes."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        if key & 7 == 0:
            number, position = _varint(data, position)
            yield key >> 3, number
            continue
        length = 4
        if key & 7 == 2:
            length, position = _varint(data, position)
        yield key >> 3, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """(number, next position): seven bits in each byte, the lowest first."""
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, position


def _read(packages: Path, source: _Source) -> bytes:
    path = packages / source.package
    if not path.exists():
        raise UserError(f"{path}: no such package; run the `npm pack` command of this module's description.")
    read_regular(path, _MAX_PACKAGE)
    with tarfile.open(path) as archive:
        member = archive.extractfile(f"package/{source.name}")
        assert member is not None, source.name
        data = member.read()
    if hashlib.sha256(data).hexdigest() != source.digest:
        raise UserError(f"{path}: {source.name} has another digest than expected ({source.digest}).")
    return data


def _write(path: Path, data: bytes) -> None:
    with write_atomically(path) as temporary:
        temporary.write_bytes(data)


if __name__ == "__main__":
    make_networks(Path(sys.argv[1]))
