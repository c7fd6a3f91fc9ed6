"""Names of devices."""

import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.runtime.torch_devices import resolve_device


def test_the_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("usable", [False, True])
def test_auto_prefers_a_gpu(monkeypatch: pytest.MonkeyPatch, usable: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    assert resolve_device() == resolve_device("auto") == torch.device("cuda" if usable else "cpu")


@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "cuda:-1", "CPU "])
def test_unknown_names(name: str) -> None:
    with pytest.raises(UserError, match=f"^--device {name}: unknown device; use auto, cpu, cuda"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["meta", "mps"])
def test_devices_that_are_not_supported(name: str) -> None:
    with pytest.raises(UserError, match=f"^--device {name}: only cpu and cuda"):
        resolve_device(name)


@pytest.mark.parametrize(("count", "name"), [(0, "cuda"), (0, "cuda:0"), (1, "cuda:1"), (2, "cuda:7")])
def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch, count: int, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(UserError, match=f"^--device {name}: torch sees {count} CUDA devices"):
        resolve_device(name)


def test_a_gpu_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
