"""Encoders: what turns an aligned face into numbers that are near for similar faces."""

import copy
import hashlib
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from morphoscope.classify.gestalt.alignment import Template
from morphoscope.classify.gestalt.bundled_networks import RESNET
from morphoscope.classify.gestalt.head import Head, joint_digest, joint_name, unit
from morphoscope.classify.gestalt.resnet import SIZE, face_resnet
from morphoscope.cohort.face_mesh import (
    LEFT_EYE,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_BASE,
    NOSE_TIP,
    RIGHT_EYE,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)
from morphoscope.cohort.luma import in_grey
from morphoscope.configs import UserError
from morphoscope.configs.user_files import read_regular
from morphoscope.runtime.extras import extra_package

_MAX_ONNX = 1 << 30
_BATCH = 32

# dlib's mean face of five points (`get_face_chip_details`), with a margin of 0.25 of the face on each side.
_DLIB_FACE = np.array(
    [
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.6460604764104, 0.2289674387677],
        [0.8595674595992, 0.2134981538014],
        [0.4901123135679, 0.6277975316475],
    ]
)
_DLIB_PARTS = ((LEFT_EYE_OUTER,), (LEFT_EYE_INNER,), (RIGHT_EYE_INNER,), (RIGHT_EYE_OUTER,), (NOSE_BASE,))
DLIB_TEMPLATE = Template(SIZE, _DLIB_PARTS, (_DLIB_FACE + 0.25) / 1.5 * SIZE)
"""How faces are aligned for the bundled encoder."""
# ArcFace's template for 112 pixels (Deng et al. 2019): eyes, tip of the nose, corners of the mouth.
_ARCFACE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_ARCFACE_PARTS = (tuple(LEFT_EYE), tuple(RIGHT_EYE), (NOSE_TIP,), (MOUTH_LEFT,), (MOUTH_RIGHT,))


class Encoder(Protocol):
    """What galleries need of an encoder.

    Attributes:
        name: for people.
        digest: SHA-256 of its file, or of it and its head; galleries are bound to it.
        template: how faces are aligned for it.
        head: a linear map that follows, see `with_head`; None for most.
    """

    name: str
    digest: str
    template: Template
    head: Head | None

    def encode(self, chips: np.ndarray) -> NDArray[np.float32]:
        """Embeddings [N, D], N >= 1, of aligned faces uint8 RGB [N, S, S, 3]; their length has no meaning.

        They are those before the head.
        """
        ...


class DlibEncoder:
    """The bundled encoder: dlib's ResNet, 128 numbers, at 150 px."""

    name = "dlib face recognition ResNet v1"
    head: Head | None = None

    def __init__(self) -> None:
        self.digest = _digest(RESNET.read_bytes())
        self.template = DLIB_TEMPLATE
        self.network = face_resnet()

    def encode(self, chips: np.ndarray) -> NDArray[np.float32]:
        """See `Encoder.encode`."""
        found = []
        with torch.inference_mode():
            for start in range(0, len(chips), _BATCH):
                batch = torch.from_numpy(np.ascontiguousarray(chips[start : start + _BATCH]))
                found.append(self.network(batch.permute(0, 3, 1, 2).float()).numpy())
        return np.concatenate(found)


class OnnxEncoder:
    """An encoder that a user brings: ONNX, faces of 112 px aligned as for ArcFace, RGB in [-1, 1].

    Raises:
        UserError: onnxruntime is not installed, or the file is missing, no ONNX model, or takes other inputs.
    """

    head: Head | None = None

    def __init__(self, path: Path) -> None:
        onnxruntime = extra_package("onnxruntime", "onnx", "An encoder of your own")
        data = read_regular(path, _MAX_ONNX)
        try:
            self._session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's have no base of their own
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{path}: not an ONNX model that can be run ({reason}).") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or not _fits(inputs[0].shape):
            raise UserError(
                f"{path}: takes {[one.shape for one in inputs]}; an encoder for faces takes one input "
                "[N, 3, 112, 112]."
            )
        self._input = inputs[0].name
        self.name = path.name
        self.digest = _digest(data)
        self.template = Template(112, _ARCFACE_PARTS, _ARCFACE)

    def encode(self, chips: np.ndarray) -> NDArray[np.float32]:
        """See `Encoder.encode`; faces are given one at a time, since many files fix the batch to 1."""
        values = (np.asarray(chips, np.float32).transpose(0, 3, 1, 2) - 127.5) / 127.5
        rows = [np.ravel(self._session.run(None, {self._input: one[None]})[0]) for one in values]
        return np.stack(rows).astype(np.float32)


def load_encoder(path: Path | None = None) -> Encoder:
    """The bundled encoder, or the one in a user's ONNX file; errors as for `OnnxEncoder`."""
    return DlibEncoder() if path is None else OnnxEncoder(path)


EncoderT = TypeVar("EncoderT", bound=Encoder)


def with_head(encoder: EncoderT, head: Head | None) -> EncoderT:
    """The same encoder, followed by a head; the encoder itself if there is none."""
    if head is None:
        return encoder
    tuned = copy.copy(encoder)
    tuned.name, tuned.digest = joint_name(encoder.name), joint_digest(encoder.digest, head)
    tuned.head = head
    return tuned


def finished(encoder: Encoder, embeddings: np.ndarray) -> NDArray[np.float32]:
    """Embeddings [N, D] of `Encoder.encode` as galleries hold them: after the head, of length 1."""
    found = unit(embeddings)
    return found if encoder.head is None else encoder.head(found)


def embed_chip(encoder: Encoder, chip: np.ndarray) -> NDArray[np.float32]:
    """The embedding of an aligned face, float32 [D] of length 1.

    It is the mean of the embeddings of the face, of its mirror image and of both in grey, which is
    GestaltMatcher's test-time augmentation (Hustinx et al. 2023).

    Args:
        chip: uint8 RGB [S, S, 3].
    """
    grey = in_grey(chip[None])[0]
    variants = [chip] if np.array_equal(chip, grey) else [chip, grey]
    found = encoder.encode(np.stack([*variants, *(one[:, ::-1] for one in variants)]))
    return finished(encoder, unit(found).mean(axis=0))


def _fits(shape: list[Any]) -> bool:
    """Whether an input can be [1, 3, 112, 112]; dimensions that are free have a name or None."""
    return len(shape) == 4 and all(
        not isinstance(given, int) or given == wanted
        for given, wanted in zip(shape, (1, 3, 112, 112), strict=True)
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
