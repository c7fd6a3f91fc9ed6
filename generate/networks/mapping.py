"""From latent z and label c to the intermediate latents w (StyleGAN2; spec 2)."""

from collections.abc import Collection, Sequence
from typing import TypeVar

import torch

from morphoscope.configs import arguments
from morphoscope.generate.networks.layers import FullyConnected, check_sizes, normalize_2nd_moment
from morphoscope.ops.row_products import row_products

Class = TypeVar("Class", int, str)


class MappingNetwork(torch.nn.Module):
    """z [N, z_dim] and c [N, c_dim] -> w [N, num_ws, w_dim], or [N, w_dim] when num_ws is None.

    The discriminator uses it with z_dim 0 and num_ws None: it maps the label alone and has no w_avg.

    Args:
        z_dim, c_dim, w_dim: widths of the latent, the label and the intermediate latent.
        num_ws: number of copies of w, one per layer of the synthesis.
        num_layers: fully connected layers.
        lr_multiplier: learning rate of these layers relative to the other ones.
        w_avg_beta: decay of the running mean w_avg.
        stages: one [class, end, end] per intermediate stage, as indices. The embedding of an intermediate
            class is by construction the mean of those of its two ends (spec 8); see `check_stages`.
    """

    fc0: FullyConnected
    w_avg: torch.Tensor
    label_matrix: torch.Tensor | None

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        num_ws: int | None,
        num_layers: int = 8,
        lr_multiplier: float = 0.01,
        w_avg_beta: float = 0.995,
        stages: Sequence[Sequence[int]] = (),
    ) -> None:
        super().__init__()
        assert z_dim > 0 or c_dim > 0
        check_sizes(w_dim=w_dim, num_layers=num_layers)
        arguments.real_number("lr_multiplier", lr_multiplier, 1e-12)
        arguments.real_number("w_avg_beta", w_avg_beta, 0, 1)
        for stage in arguments.listed("stages", stages, Sequence, "a list of [class, end, end]"):
            if isinstance(stage, str):
                arguments.refuse("A stage", "[class, end, end]", stage)
        check_stages(stages, range(c_dim))
        self.z_dim = z_dim
        self.c_dim = c_dim
        self.w_dim = w_dim
        self.num_ws = num_ws
        self.num_layers = num_layers
        self.w_avg_beta = w_avg_beta
        if c_dim > 0:
            self.embed = FullyConnected(c_dim, w_dim)
        features = [z_dim + (w_dim if c_dim > 0 else 0)] + [w_dim] * num_layers
        for index in range(num_layers):
            layer = FullyConnected(features[index], features[index + 1], "lrelu", lr_multiplier)
            setattr(self, f"fc{index}", layer)
        if num_ws is not None:
            self.register_buffer("w_avg", torch.zeros(w_dim))
        self.register_buffer(
            "label_matrix", _label_matrix(stages, c_dim) if stages else None, persistent=False
        )

    def forward(
        self,
        z: torch.Tensor | None,
        c: torch.Tensor | None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        label_influence: float | torch.Tensor = 1.0,
    ) -> torch.Tensor:
        """The intermediate latents of z and c.

        Args:
            z: [N, z_dim]; None where z_dim is 0.
            c: [N, c_dim], any points of the label simplex, not only one-hot vectors; None where c_dim is 0.
            truncation_psi: psi in w_avg + psi (w - w_avg); 1 leaves w unchanged.
            truncation_cutoff: number of latents to truncate, from the first; None truncates all.
            label_influence: factor of the normalised embedding of c, a number or a scalar tensor, 0 to 1; at
                0, w does not depend on c (Shahbazi et al. 2022, arXiv 2201.06578).

        Raises:
            UserError: z or c of another shape.
        """
        w = self._concatenate(z, c, label_influence)
        for index in range(self.num_layers):
            w = getattr(self, f"fc{index}")(w)
        if self.num_ws is None:
            return w
        ws = w[:, None].expand(-1, self.num_ws, -1)
        if arguments.real_number("truncation_psi", truncation_psi) == 1:
            return ws
        if truncation_cutoff is not None:
            arguments.whole_number("truncation_cutoff", truncation_cutoff, 0)
        truncated = self.w_avg.lerp(ws, truncation_psi)
        if truncation_cutoff is None:
            return truncated
        return torch.cat([truncated[:, :truncation_cutoff], ws[:, truncation_cutoff:]], dim=1)

    def follow(self, mean: torch.Tensor) -> None:
        """Update the running mean w_avg with a batch's mean w [w_dim], without gradients (training only)."""
        self.w_avg.copy_(mean.lerp(self.w_avg, self.w_avg_beta))

    def spread_stages(self, c: torch.Tensor) -> torch.Tensor:
        """c [N, c_dim] with half the share of each intermediate class moved to each of its two ends.

        Halves are exact in floating point, so an intermediate class and the even mixture of its ends become
        the same label.
        """
        return c if self.label_matrix is None else row_products(c, self.label_matrix.mT)

    def _concatenate(
        self, z: torch.Tensor | None, c: torch.Tensor | None, label_influence: float | torch.Tensor
    ) -> torch.Tensor:
        """Normalised z, then the normalised embedding of c times its influence, [N, features]."""
        if z is not None and c is not None and getattr(z, "shape", [0])[:1] != getattr(c, "shape", [0])[:1]:
            arguments.refuse("c", f"one label for each z, {arguments.described(z)}", c)
        parts = []
        if self.z_dim > 0:
            parts.append(normalize_2nd_moment(_checked("z", z, self.z_dim)))
        if self.c_dim > 0:
            embedding = normalize_2nd_moment(self.embed(self.spread_stages(_checked("c", c, self.c_dim))))
            parts.append(embedding * label_influence)
        return torch.cat(parts, dim=1)


@torch.no_grad()
def fold_label_influence(mapping: MappingNetwork, influence: float) -> None:
    """Change the mapping of a conditional network so that it computes by default what it did at `influence`.

    The columns of the first layer that belong to the embedding are multiplied by `influence`. So a snapshot
    from the middle of a transition is an ordinary network.
    """
    mapping.fc0.weight[:, mapping.z_dim :] *= influence


def check_stages(stages: Sequence[Sequence[Class]], classes: Collection[Class]) -> None:
    """Check stages [class, end, end].

    Raises:
        ValueError: a stage of another length, a class that is not among `classes` or is listed twice, two
            equal ends, or an end that is an intermediate stage itself.
    """
    intermediates = [stage[0] for stage in stages if stage]
    for stage in stages:
        if len(stage) != 3:
            raise ValueError(f"{list(stage)} is not a class and its two ends")
        for each in stage:
            if each not in classes:
                raise ValueError(f"{each!r} is not one of {', '.join(map(str, classes))}")
        name, *ends = stage
        if intermediates.count(name) > 1:
            raise ValueError(f"{name!r} is listed twice")
        if ends[0] == ends[1]:
            raise ValueError(f"{name!r} lies between {ends[0]!r} and itself; name two ends")
        for end in ends:
            if end in intermediates:
                raise ValueError(f"{end!r}, an end of {name!r}, is an intermediate stage itself")


def _label_matrix(stages: Sequence[Sequence[int]], c_dim: int) -> torch.Tensor:
    """[c_dim, c_dim]: the identity, except that the row of an intermediate class has a half at each end."""
    # On the CPU even if networks are built on "meta", since no file holds it.
    matrix = torch.eye(c_dim, device="cpu")
    for index, *ends in stages:
        matrix[index] = 0
        matrix[index, ends] = 0.5
    return matrix


def _checked(name: str, x: torch.Tensor | None, width: int) -> torch.Tensor:
    if not isinstance(x, torch.Tensor) or x.shape[1:] != (width,):
        arguments.refuse(name, f"a tensor [N, {width}]", x)
    return x.float()
