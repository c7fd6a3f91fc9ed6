"""Checkpoints of the ecosystem become our networks with the same numbers, or are refused with the reason."""

import os
import pickle
import random
from contextlib import suppress

import numpy as np
import pytest
import torch
from hostile.limits import at_most

from morphoscope.configs import UserError
from morphoscope.generate import Discriminator, Generator
from morphoscope.generate.formats.stylegan2_networks import translate_discriminator, translate_generator
from morphoscope.generate.formats.stylegan2_pickle import read_networks


@pytest.fixture(autouse=True)
def inference():
    """Networks that train add the terms of products in another order."""
    with torch.no_grad():
        yield


@pytest.fixture
def written(tmp_path):
    """Writes bytes to a file and returns its path."""

    def write(data):
        path = tmp_path / "model.pkl"
        path.write_bytes(data)
        return path

    return write


def images(G, label):
    z = torch.from_numpy(np.random.RandomState(0).randn(2, G.z_dim)).float()
    with torch.no_grad():
        return G(z, label, noise_mode="const")


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("version", [1, 5, 6])
def test_the_networks_compute_what_the_stored_ones_did(
    written, stored, networks, keywords, protocol, version
):
    path = written(stored(networks, keywords, protocol=protocol, version=version))
    read = read_networks(path)
    assert list(read) == ["G_ema", "G", "D"]
    label = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
    G = translate_generator(path, "G_ema", read["G_ema"])
    assert torch.equal(images(G.network, label), images(networks["G_ema"].eval(), label))
    assert torch.equal(G.network.mapping.w_avg, networks["G_ema"].mapping.w_avg)
    D = translate_discriminator(path, "D", read["D"])
    photographs = torch.rand(4, 3, 16, 16)
    labels = torch.eye(2).repeat(2, 1)
    assert torch.equal(D.network(photographs, labels), networks["D"](photographs, labels))
    assert G.ignored == G.converted == D.ignored == D.converted == []


@pytest.mark.parametrize("architecture", ["orig", "skip", "resnet"])
@pytest.mark.parametrize("c_dim", [0, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_architectures_are_read(written, stored, architecture, c_dim, channels):
    shape = {"c_dim": c_dim, "img_resolution": 16, "img_channels": channels}
    narrow = {"channel_base": 64, "channel_max": 4, "architecture": architecture}
    mapping = {"num_layers": 2, "embed_features": None, "lr_multiplier": 0.01}
    keywords = {
        "G_ema": {"z_dim": 4, "w_dim": 4, **shape, "mapping_kwargs": mapping, "synthesis_kwargs": narrow},
        "D": {**shape, **narrow, "cmap_dim": None, "mapping_kwargs": {}, "epilogue_kwargs": {}},
    }
    networks = {"G_ema": Generator(**_ours(keywords["G_ema"])), "D": Discriminator(**keywords["D"])}
    path = written(stored(networks, keywords))
    read = read_networks(path)
    translated = translate_generator(path, "G_ema", read["G_ema"]).network
    label = torch.eye(c_dim)[:1].expand(2, -1) if c_dim else None
    assert torch.equal(images(translated, label), images(networks["G_ema"].eval(), label))
    translate_discriminator(path, "D", read["D"])


def _ours(keywords):
    mapping = {name: value for name, value in keywords["mapping_kwargs"].items() if name != "embed_features"}
    return {**keywords, "mapping_kwargs": mapping}


def test_half_precision_and_frozen_layers_are_converted_and_said(written, stored, networks, keywords):
    G = Generator(**_plain(keywords["G_ema"]))
    G.load_state_dict(networks["G_ema"].state_dict())
    layer = G.synthesis.b16.conv1
    layer.weight = torch.nn.Parameter(layer.weight.detach().half())
    frozen = layer.bias.detach().clone()
    del layer.bias
    layer.register_buffer("bias", frozen)
    path = written(stored({"G_ema": G}, keywords))
    translated = translate_generator(path, "G_ema", read_networks(path)["G_ema"])
    assert translated.converted == ["synthesis.b16.conv1.weight"]
    assert torch.equal(translated.network.synthesis.b16.conv1.weight, layer.weight.float())
    assert torch.equal(translated.network.synthesis.b16.conv1.bias, frozen)


def _plain(keywords):
    synthesis = dict(keywords["synthesis_kwargs"])
    for name in ("fp16_channels_last", "resample_filter"):
        synthesis.pop(name, None)
    return {**keywords, "synthesis_kwargs": synthesis}


def test_attributes_that_no_network_needs_do_not_matter(written, stored, networks, keywords):
    extra = {
        "notes": ["trained on a Tuesday", {"kimg": np.float64(25.5), "seen": {1, 2}}],
        "history": np.arange(12).reshape(3, 4),
        "precision": torch.float16,
        "shape": torch.Size([1, 2]),
        "home": torch.device("cpu"),
    }
    path = written(stored(networks, keywords, extra=extra))
    G = translate_generator(path, "G_ema", read_networks(path)["G_ema"]).network
    label = torch.eye(2)
    assert torch.equal(images(G, label), images(networks["G_ema"].eval(), label))


@pytest.mark.parametrize(
    ("group", "setting", "message"),
    [
        ("synthesis_kwargs", {"activation": "relu"}, "synthesis_kwargs.activation is 'relu'"),
        ("synthesis_kwargs", {"resample_filter": [1, 2, 1]}, r"resample_filter is \[1, 2, 1\]"),
        ("synthesis_kwargs", {"use_noise": False}, "use_noise is False"),
        ("synthesis_kwargs", {"magnitude_ema_beta": 0.5}, "magnitude_ema_beta: Extra inputs"),
        ("mapping_kwargs", {"layer_features": 64}, "layer_features is 64"),
        ("mapping_kwargs", {"num_layers": 10**9}, "num_layers"),
        (None, {"img_resolution": 2**20}, "img_resolution"),
        (None, {"img_resolution": 48}, "power of two"),
        (None, {"z_dim": "many"}, "z_dim"),
        (None, {"w_dim": 9}, r"has shape \[8\]|has shape \[8, 8\]|has shape"),
        (None, {"c_dim": 3}, "has shape"),
        (None, {"synthesis_kwargs": 3}, "synthesis_kwargs of G_ema is not a dictionary"),
    ],
)
def test_settings_that_ours_lack_are_refused_by_name(
    written, stored, networks, keywords, group, setting, message
):
    changed = dict(keywords["G_ema"])
    if group is None:
        changed |= setting
    else:
        changed[group] = {**changed[group], **setting}
    path = written(stored({"G_ema": networks["G_ema"]}, {"G_ema": changed}))
    with pytest.raises(UserError, match=message):
        translate_generator(path, "G_ema", read_networks(path)["G_ema"])


def test_a_network_of_another_kind_is_refused(written, stored, networks, keywords):
    path = written(stored({"G_ema": networks["D"]}, {"G_ema": keywords["D"]}))
    with pytest.raises(UserError, match="G_ema is a Discriminator; only networks of StyleGAN2-ADA"):
        translate_generator(path, "G_ema", read_networks(path)["G_ema"])


def test_weights_that_are_not_numbers_are_refused(written, stored, networks, keywords):
    G = Generator(**_plain(keywords["G_ema"]))
    torch.nn.init.constant_(G.mapping.fc1.bias, float("nan"))
    path = written(stored({"G_ema": G}, keywords))
    with pytest.raises(UserError, match=r"mapping\.fc1\.bias has values that are not numbers"):
        translate_generator(path, "G_ema", read_networks(path)["G_ema"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "not a checkpoint of StyleGAN2-ADA"),
        ({}, "without any of G_ema, G, D"),
        ({"G_ema": 3}, "without any of"),
    ],
)
def test_another_pickle_is_refused(written, value, message):
    with pytest.raises(UserError, match=message):
        read_networks(written(pickle.dumps(value)))


def test_a_missing_or_empty_file_is_refused(tmp_path, written):
    with pytest.raises(UserError, match="no such file"):
        read_networks(tmp_path / "missing.pkl")
    with pytest.raises(UserError, match="damaged"):
        read_networks(written(b""))


class Calls:
    def __init__(self, function, *arguments):
        self.called = (function, arguments)

    def __reduce__(self):
        return self.called


@pytest.mark.parametrize("place", ["outside", "extra"])
def test_a_checkpoint_that_calls_something_is_refused_by_its_name(
    tmp_path, monkeypatch, written, stored, networks, keywords, place
):
    path = written(stored(networks, keywords, **{place: {"hidden": Calls(os.system, "touch executed")}}))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"posix\.system.* Nothing of the file was executed"):
        read_networks(path)
    assert list(tmp_path.iterdir()) == [path]


def test_modules_that_contain_each_other_are_refused(written, stored, keywords):
    deep = torch.nn.Module()
    for _ in range(60):
        parent = torch.nn.Module()
        parent._modules |= {"left": deep, "right": deep}
        deep = parent
    path = written(stored({"G_ema": deep}, {"G_ema": keywords["G_ema"]}))
    with at_most(20), pytest.raises(UserError, match="contain each other without end"):
        read_networks(path)


def test_a_checkpoint_cut_short_anywhere_is_refused(written, checkpoint):
    for length in range(0, len(checkpoint), 1000):
        with pytest.raises(UserError):
            read_networks(written(checkpoint[:length]))


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_random_mutations_are_read_or_refused_within_bounded_time(written, stored, keywords, count):
    small = {**keywords["G_ema"], "img_resolution": 8, "synthesis_kwargs": {"channel_max": 2}}
    data = stored({"G_ema": Generator(**small)}, {"G_ema": small})
    chance = random.Random(count)
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path = written(damaged)
        with at_most(60), suppress(UserError):
            translate_generator(path, "G_ema", read_networks(path)["G_ema"])
