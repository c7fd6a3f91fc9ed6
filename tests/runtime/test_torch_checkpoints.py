"""Checkpoints and training states: round trips, damage, full disks, and malicious files."""

import pickle
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hostile.limits import full_disk
from safetensors.torch import save_file

from morphoscope.configs import UserError
from morphoscope.runtime import torch_checkpoints as checkpoints
from morphoscope.runtime.torch_checkpoints import (
    read_checkpoint,
    read_metadata,
    read_state,
    write_checkpoint,
    write_state,
)


def _tensors() -> dict[str, torch.Tensor]:
    return {
        "weight": torch.arange(12.0).reshape(3, 4),
        "transposed": torch.arange(6.0).reshape(2, 3).t(),
        "half": torch.tensor([1.5, -65504.0], dtype=torch.float16),
        "count": torch.tensor(7),
    }


def _state() -> dict[str, object]:
    return {
        "images": 1000,
        "p": 0.25,
        "weight": torch.randn(40),
        "order": [3, 1],
        "rng": torch.get_rng_state(),
    }


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_checkpoint(path, "generator", _tensors(), {"conditions": ["a", "ü"], "res": 64})
    tensors, metadata = read_checkpoint(path, "generator")
    assert tensors.keys() == _tensors().keys()
    for name, expected in _tensors().items():
        assert tensors[name].dtype == expected.dtype
        assert torch.equal(tensors[name], expected)
    assert (metadata["conditions"], metadata["res"], metadata["kind"]) == (["a", "ü"], 64, "generator")
    assert {"version", "git_revision"} <= metadata.keys()
    assert read_metadata(path, "generator") == metadata


def test_parameters_are_stored_without_their_graph(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_checkpoint(path, "generator", {"w": torch.nn.Parameter(torch.ones(2))}, {})
    assert not read_checkpoint(path, "generator")[0]["w"].requires_grad


def test_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_checkpoint(path, "ensemble", _tensors(), {})
    with pytest.raises(UserError, match=r"model\.safetensors: expected .*'generator', found 'ensemble'"):
        read_checkpoint(path, "generator")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"other": "1"},
        {"morphoscope": "{"},
        {"morphoscope": "[1]"},
        {"morphoscope": "[" * 100_000},
    ],
)
def test_safetensors_of_another_program(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "other.safetensors"
    save_file(_tensors() | {"transposed": torch.ones(1)}, path, metadata=metadata)
    with pytest.raises(UserError, match=r"other\.safetensors: a safetensors file, but not a Morphoscope"):
        read_checkpoint(path, "generator")


def test_a_checkpoint_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    write_checkpoint(path, "generator", _tensors(), {})

    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkpoints, "safe_open", refuse)
    with pytest.raises(UserError, match=r"model\.safetensors: cannot be read \(Permission denied\)"):
        read_checkpoint(path, "generator")


def test_the_revision_is_ours_or_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel in a virtual environment inside a user's repository must not name its revision."""
    module = Path(checkpoints.__file__).resolve().relative_to(Path(__file__).parents[2])

    def repository(root: Path) -> str:
        (root / module).parent.mkdir(parents=True)
        monkeypatch.setattr(checkpoints, "__file__", str(root / module))
        git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        return head.stdout.strip()

    revision = repository(tmp_path / "ours")
    write_checkpoint(tmp_path / "a.safetensors", "toy", _tensors(), {})
    assert read_metadata(tmp_path / "a.safetensors", "toy")["git_revision"] == revision
    repository(tmp_path / "theirs")
    inside = tmp_path / "theirs" / "venv" / "morphoscope" / module
    inside.parent.mkdir(parents=True)
    monkeypatch.setattr(checkpoints, "__file__", str(inside))
    write_checkpoint(tmp_path / "b.safetensors", "toy", _tensors(), {})
    assert read_metadata(tmp_path / "b.safetensors", "toy")["git_revision"] == "unknown"


def test_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.safetensors: no such file"):
        read_checkpoint(tmp_path / "absent.safetensors", "generator")
    with pytest.raises(UserError, match="a folder, not a file"):
        read_metadata(tmp_path, "generator")


def _damaged(raw: bytes, cases: int) -> Iterator[bytes]:
    """Truncated, with bytes changed, and random bytes, in turn."""
    chance = random.Random(0)
    for case in range(cases):
        if case % 3 == 0:
            yield raw[: chance.randrange(len(raw))]
        elif case % 3 == 1:
            changed = bytearray(raw)
            for _ in range(chance.randint(1, 4)):
                changed[chance.randrange(len(raw))] = chance.randrange(256)
            yield bytes(changed)
        else:
            yield chance.randbytes(chance.randrange(60))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_half_a_checkpoint(tmp_path: Path, share: float) -> None:
    path = tmp_path / "model.safetensors"
    write_checkpoint(path, "generator", _tensors(), {})
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(UserError, match=r"model\.safetensors: not a safetensors checkpoint, or truncated"):
        read_checkpoint(path, "generator")


def test_a_damaged_checkpoint_reads_or_is_a_user_error(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_checkpoint(path, "generator", _tensors(), {})
    refused = 0
    for raw in _damaged(path.read_bytes(), 150):
        path.write_bytes(raw)
        try:
            read_checkpoint(path, "generator")
        except UserError:
            refused += 1
    assert refused >= 100  # every file that is truncated or random; a changed byte may be in a tensor


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_checkpoint(path, "generator", {"w": torch.ones(1)}, {})
    with full_disk(2048), pytest.raises(UserError, match=r"model\.safetensors: cannot be written"):
        write_checkpoint(path, "generator", {"w": torch.ones(10_000)}, {})
    assert read_checkpoint(path, "generator")[0]["w"].numel() == 1
    assert list(tmp_path.iterdir()) == [path]


def test_state_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    state = _state()
    write_state(path, state)
    read = read_state(path)
    assert read.keys() == state.keys()
    assert all(
        torch.equal(read[key], value) if isinstance(value, torch.Tensor) else read[key] == value
        for key, value in state.items()
    )


def test_a_full_disk_leaves_the_earlier_state(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    write_state(path, {"images": 1})
    with full_disk(2048), pytest.raises(UserError, match=r"state\.pt: cannot be written"):
        write_state(path, {"images": 2, "weight": torch.ones(10_000)})
    assert read_state(path) == {"images": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_a_damaged_state_reads_or_is_a_user_error(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    write_state(path, _state())
    refused = 0
    for raw in _damaged(path.read_bytes(), 150):
        path.write_bytes(raw)
        try:
            read_state(path)
        except UserError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused >= 100


def test_missing_state(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"state\.pt: no such file"):
        read_state(tmp_path / "state.pt")


def test_a_state_is_a_dictionary(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "state.pt")
    with pytest.raises(UserError, match=r"state\.pt: not a training state"):
        read_state(tmp_path / "state.pt")


class _Touch:
    """Unpickled the usual way, makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.marker,)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_state_executes_nothing(tmp_path: Path) -> None:
    marker, control = tmp_path / "executed", tmp_path / "control"
    function, arguments = _Touch(control).__reduce__()  # what unpickling would do
    function(*arguments)
    assert control.exists()
    plain, archive = tmp_path / "plain.pt", tmp_path / "archive.pt"
    plain.write_bytes(pickle.dumps({"images": _Touch(marker)}, protocol=2))
    torch.save({"images": _Touch(marker)}, archive)
    for path in (plain, archive):
        with pytest.raises(UserError, match=rf"{path.name}: the training state is damaged"):
            read_state(path)
    assert not marker.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_values_that_are_not_numbers_are_refused_by_name(
    tmp_path: Path, value: float, dtype: torch.dtype
) -> None:
    weights = torch.ones(3, 4, dtype=dtype)
    weights[1, 2] = value
    path = tmp_path / "diverged.safetensors"
    write_checkpoint(path, "generator", {"good": torch.ones(2), "block.conv.weight": weights}, {})
    with pytest.raises(
        UserError, match=r"diverged\.safetensors: tensor 'block\.conv\.weight' has values that are"
    ):
        read_checkpoint(path, "generator")


def test_a_type_that_no_checkpoint_has_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c", "generator", {"w": torch.ones(2, dtype=torch.complex64)}, {})
    with pytest.raises(UserError, match=r"tensor 'w' has type torch\.complex64"):
        read_checkpoint(tmp_path / "c", "generator")


def test_a_header_or_a_list_of_tensors_without_bounds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes((80 << 20).to_bytes(8, "little") + b"{" + b" " * 100)
    with pytest.raises(UserError, match="header is larger than 64 MiB"):
        read_checkpoint(path, "generator")
    monkeypatch.setattr(checkpoints, "_MAX_TENSORS", 2)
    write_checkpoint(path, "generator", {name: torch.ones(1) for name in "abc"}, {})
    with pytest.raises(UserError, match="more than 2 tensors"):
        read_checkpoint(path, "generator")
