"""A generator as a graph for other programs: ONNX, or a program of `torch.export`."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch

from morphoscope.configs import UserError
from morphoscope.generate.model import GeneratorModel, draw_latents
from morphoscope.ops import backend
from morphoscope.runtime.extras import extra_package
from morphoscope.runtime.files import write_atomically

OPSETS = range(18, 25)
"""Versions of ONNX's operators that a graph can be written for."""

DEFAULT_OPSET = 20
_INPUTS = ["z", "label", "psi"]
_OUTPUT = "image"
_BATCHES = (1, 3)  # that a written graph is tried with
_TOLERANCE = 1e-3  # of the image's range [-1, 1]; rounding gives about 2e-6
_LARGEST_BATCH = 1024


class SamplingGraph(torch.nn.Module):
    """z [N, z_dim], label [N, K] and psi [] -> images [N, C, R, R], about [-1, 1], with the stored noise.

    Truncation is towards the mean w of the condition. For a mixture of conditions it is towards the same
    mixture of their means, which is near the mean of the mixture but not equal to it.
    """

    class_means: torch.Tensor

    def __init__(self, model: GeneratorModel) -> None:
        super().__init__()
        self.G = model.G
        self.register_buffer("class_means", model.class_means)

    def forward(self, z: torch.Tensor, label: torch.Tensor, psi: torch.Tensor) -> torch.Tensor:
        mapping = self.G.mapping
        # An unconditional generator has one condition, so the label is used, if only to stay an input.
        ws = mapping(z, label if self.G.c_dim else None)
        centre = (mapping.spread_stages(label) @ self.class_means)[:, None]
        return self.G.synthesis(centre.lerp(ws, psi), "const")


class GraphReport(NamedTuple):
    """A written graph.

    Attributes:
        difference: largest difference from our own images, of the range [-1, 1], over batches of 1 and 3.
    """

    path: Path
    difference: float


def write_program(model: GeneratorModel, path: Path) -> GraphReport:
    """Write the graph as a program of `torch.export` (.pt2), which torch loads without Morphoscope.

    Raises:
        UserError: the file cannot be written.
    """
    graph = SamplingGraph(model).eval()
    program = _exported(graph, model)
    file = BytesIO()
    torch.export.save(program, file, extra_files={"morphoscope.json": _description(model)})
    run = program.module()
    difference = _difference(graph, model, lambda *inputs: run(*inputs))
    with write_atomically(path) as temporary:
        temporary.write_bytes(file.getvalue())
    return GraphReport(path, difference)


def write_onnx(model: GeneratorModel, path: Path, opset: int = DEFAULT_OPSET) -> GraphReport:
    """Write the graph as ONNX, and compare what onnxruntime makes of it with our own images.

    Args:
        opset: version of ONNX's operators, of `OPSETS`.

    Raises:
        UserError: no such opset, a package of the extra `onnx` is missing, the file cannot be written, or the
            graph computes something else; then no file is left.
    """
    if opset not in OPSETS:
        raise UserError(f"opset {opset}: graphs can be written for {OPSETS[0]} to {OPSETS[-1]}.")
    onnx, runtime = _package("onnx"), _package("onnxruntime")
    _package("onnxscript")  # torch's exporter needs it
    graph = SamplingGraph(model).eval()
    exported = _exported(graph, model)
    with backend("reference"):
        program: Any = torch.onnx.export(
            exported,
            (),
            dynamo=True,
            opset_version=opset,
            input_names=_INPUTS,
            output_names=[_OUTPUT],
            verbose=False,
        )
    proto = program.model_proto
    onnx.helper.set_model_props(proto, {"morphoscope": _description(model)})
    written = next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
    if written != opset:
        raise UserError(f"opset {opset}: the exporter of this version of torch wrote {written}; choose that.")
    content = proto.SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(*inputs: torch.Tensor) -> torch.Tensor:
        named = {name: tensor.numpy() for name, tensor in zip(_INPUTS, inputs, strict=True)}
        return torch.from_numpy(session.run([_OUTPUT], named)[0])

    difference = _difference(graph, model, run)
    if difference > _TOLERANCE:
        raise UserError(
            f"{path}: not written, because onnxruntime's images differ by {difference:.2g} from ours; try "
            "another opset or version of onnxruntime."
        )
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)
    return GraphReport(path, difference)


def _exported(graph: SamplingGraph, model: GeneratorModel) -> torch.export.ExportedProgram:
    images = torch.export.Dim("images", min=1, max=_LARGEST_BATCH)
    shapes = {"z": {0: images}, "label": {0: images}, "psi": None}
    # The graph must consist of operators that other programs know.
    with backend("reference"):
        return torch.export.export(graph, _inputs(model, 2), dynamic_shapes=shapes)


def _inputs(model: GeneratorModel, images: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    conditions = len(model.conditions)
    labels = torch.eye(conditions)[torch.arange(images) % conditions]
    return draw_latents(range(images), model.G.z_dim), labels, torch.tensor(0.7)


def _difference(graph: SamplingGraph, model: GeneratorModel, run: Callable[..., torch.Tensor]) -> float:
    """Largest difference of `run`, a graph, from our own images."""
    largest = 0.0
    for images in _BATCHES:
        inputs = _inputs(model, images)
        with torch.no_grad():
            largest = max(largest, float((run(*inputs) - graph(*inputs)).abs().max()))
    return largest


def _description(model: GeneratorModel) -> str:
    """What a program that finds the graph should know, as JSON."""
    return json.dumps(
        {
            "generator": model.digest,
            "conditions": model.conditions,
            "inputs": "z: standard normal; label: shares of the conditions, sum 1; psi: truncation, 0 to 1",
            "output": "images [N, C, R, R], about -1 to 1",
            "phantoms_only": model.phantoms_only,
            "notice": "Every image of this model is synthetic. Mark it as such.",
        }
    )


def _package(name: str) -> ModuleType:
    return extra_package(name, "onnx", "ONNX")
