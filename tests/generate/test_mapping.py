"""The mapping network beyond the parity vectors: how much the label counts."""

import pytest
import torch

from morphoscope.generate.mapping import MappingNetwork, fold_label_influence


@pytest.fixture
def mapping() -> MappingNetwork:
    torch.manual_seed(0)
    return MappingNetwork(z_dim=6, c_dim=3, w_dim=8, num_ws=2, num_layers=3)


Z = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
C = torch.eye(3)[[0, 1, 2, 0, 1]]


def test_label_counts_in_full_by_default(mapping):
    assert torch.equal(mapping(Z, C), mapping(Z, C, label_influence=1.0))


def test_without_influence_the_label_does_not_matter(mapping):
    assert not torch.allclose(mapping(Z, C), mapping(Z, C.flip(1)))
    assert torch.equal(mapping(Z, C, label_influence=0.0), mapping(Z, C.flip(1), label_influence=0.0))


def test_influence_scales_the_embedding_that_the_first_layer_sees(mapping):
    seen = []
    mapping.fc0.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    mapping(Z, C)
    mapping(Z, C, label_influence=0.25)
    assert torch.equal(seen[1][:, :6], seen[0][:, :6])
    assert torch.equal(seen[1][:, 6:], 0.25 * seen[0][:, 6:])


@pytest.mark.parametrize("influence", [0.0, 0.3, 1.0])
def test_folded_influence_computes_the_same(mapping, influence):
    before = mapping(Z, C, truncation_psi=0.7, label_influence=influence)
    fold_label_influence(mapping, influence)
    torch.testing.assert_close(mapping(Z, C, truncation_psi=0.7), before)
