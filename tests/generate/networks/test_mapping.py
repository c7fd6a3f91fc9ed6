"""The mapping network beyond the parity vectors: influence of the label, and intermediate stages."""

import pytest
import torch

from morphoscope.generate import Discriminator, Generator
from morphoscope.generate.networks.mapping import MappingNetwork, fold_label_influence


@pytest.fixture
def mapping() -> MappingNetwork:
    torch.manual_seed(0)
    return MappingNetwork(z_dim=6, c_dim=3, w_dim=8, num_ws=2, num_layers=3)


EARLY, MIDDLE, LATE = torch.eye(3)[:, None].expand(-1, 5, -1)
STAGES = [[1, 0, 2]]  # class 1 lies between 0 and 2
Z = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
C = torch.eye(3)[[0, 1, 2, 0, 1]]


def test_label_has_full_influence_by_default(mapping):
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


def test_intermediate_class_is_the_even_mixture_of_its_ends_exactly():
    torch.manual_seed(0)
    mapping = MappingNetwork(z_dim=6, c_dim=3, w_dim=8, num_ws=2, stages=STAGES)
    mixture = 0.5 * EARLY + 0.5 * LATE
    assert torch.equal(mapping(Z, MIDDLE), mapping(Z, mixture))
    embedded = [mapping.embed(mapping.spread_stages(c)) for c in (EARLY, MIDDLE, LATE)]
    torch.testing.assert_close(embedded[1], (embedded[0] + embedded[2]) / 2)


def test_discriminator_takes_the_same_stages():
    torch.manual_seed(0)
    D = Discriminator(3, 8, 3, channel_base=64, channel_max=8, mapping_kwargs={"stages": STAGES})
    images = torch.randn(4, 3, 8, 8)
    early, middle, late = EARLY[:4], MIDDLE[:4], LATE[:4]
    assert torch.equal(D(images, middle), D(images, 0.5 * early + 0.5 * late))
    assert not torch.allclose(D(images, middle), D(images, early))


def test_stages_change_neither_other_classes_nor_names_of_weights():
    torch.manual_seed(0)
    plain = MappingNetwork(z_dim=6, c_dim=3, w_dim=8, num_ws=2)
    staged = MappingNetwork(z_dim=6, c_dim=3, w_dim=8, num_ws=2, stages=STAGES)
    staged.load_state_dict(plain.state_dict(), strict=True)
    for c in (EARLY, LATE, 0.3 * EARLY + 0.7 * LATE):
        assert torch.equal(staged(Z, c), plain(Z, c))
    assert not torch.allclose(staged(Z, MIDDLE), plain(Z, MIDDLE))
    assert plain.label_matrix is None


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        ([[1, 0, 3]], "3 is not one of 0, 1, 2"),
        ([[-1, 0, 2]], "-1 is not one of"),
        ([[1, 0]], "not a class and its two ends"),
        ([[1, 0, 0]], "between 0 and itself"),
        ([[1, 0, 1]], "is an intermediate stage itself"),
        ([[1, 0, 2], [2, 0, 1]], "is an intermediate stage itself"),
        ([[1, 0, 2], [1, 2, 0]], "listed twice"),
    ],
)
def test_inconsistent_stages_are_refused(stages, reason):
    with pytest.raises(ValueError, match=reason):
        Generator(8, 3, 8, 8, 3, mapping_kwargs={"stages": stages})
