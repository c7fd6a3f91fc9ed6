"""Ends as people write them."""

import dataclasses

import pytest

from morphoscope.configs import UserError
from morphoscope.generate import GeneratorModel
from morphoscope.generate.latents import write_photograph
from morphoscope.generate.latents.parsing import parse_end, parse_ends, parse_layers


@pytest.mark.parametrize(
    ("text", "seed", "label"),
    [
        ("early", 9, {"early": 1.0}),
        ("early:3", 3, {"early": 1.0}),
        ("60% early + 40% late", 9, {"early": 0.6, "late": 0.4}),
        ("60 % early + 40 % late:5", 5, {"early": 0.6, "late": 0.4}),
        ("12.5% early + 87.5% late", 9, {"early": 0.125, "late": 0.875}),
    ],
)
def test_conditions_mixtures_and_seeds(model, text, seed, label):
    end = parse_end(text, model, 9).end
    assert (end.source, end.label, end.moves) == (seed, label, ())


def test_directions(model):
    end = parse_end("early:3@2=1.5@1/0-3=-2@early>late=0.5", model, 9).end
    assert end.source == 3
    assert [(move.name, move.strength) for move in end.moves] == [
        ("2", 1.5),
        ("1/0-3", -2.0),
        ("early>late", 0.5),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("psoriasis", "psoriasis"),
        ("early:x", "early:x"),
        ("early:4294967296", "4294967295"),
        ("60% early + 30% late", "sum 1"),
        ("early@0=1", "numbered from 1"),
        ("early@99=1", "1 to 8"),
        ("early@1/0-9=1", "0-5"),
        ("early@early>psoriasis=1", "two conditions"),
        ("early@2", "early@2"),
        ("absent.safetensors", "absent.safetensors"),
    ],
)
def test_what_is_no_end(model, text, message):
    with pytest.raises(UserError, match=message):
        parse_end(text, model, 0)


@pytest.mark.parametrize("name", ["a:1", "b@2=1", "50% c + 50% d", "e.safetensors"])
def test_names_of_conditions_come_first(model, name):
    metadata = model.metadata.model_copy(update={"conditions": [name, "middle", "late"]})
    strange = GeneratorModel(model.G, model.class_means, metadata, model.digest)
    end = parse_end(name, strange, 7).end
    assert (end.source, end.label, end.moves) == (7, {name: 1.0}, ())
    assert parse_end(f"{name}:3", strange, 7).end.source == 3


def test_a_photograph_stays_the_same_under_another_condition(model, photograph, tmp_path):
    path = tmp_path / "face.safetensors"
    write_photograph(path, photograph)
    own, other = (one.end for one in parse_ends([str(path), "late"], model, 0))
    assert own.label == {"early": 1.0} and other.label == {"late": 1.0}
    assert own.same_source(other)
    seeded = parse_ends([str(path), "late:0"], model, 0)[1]
    assert seeded.end.source == 0
    again = [one.end for one in parse_ends([f"{path}:middle", str(path)], model, 0)]
    assert again[0].same_source(again[1]) and again[0].label == {"middle": 1.0}


def test_two_photographs_leave_other_ends_to_the_seed(model, photograph, tmp_path):
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    write_photograph(paths[0], photograph)
    write_photograph(paths[1], dataclasses.replace(photograph, digest="cd34"))
    ends = [one.end for one in parse_ends([*map(str, paths), "late"], model, 5)]
    assert ends[2].source == 5 and not ends[0].same_source(ends[1])


def test_layers():
    assert parse_layers("0-3") == range(4) and parse_layers("2") == range(2, 3)
    with pytest.raises(UserError, match="0-3"):
        parse_layers("few")
