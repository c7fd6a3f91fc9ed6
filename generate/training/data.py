"""Real images for training, in an order that depends only on the seed and the number of images shown."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from morphoscope.generate.rendering import to_float
from morphoscope.runtime.torch_devices import to_device

# A GPU that holds the images itself never waits for them.
_FRACTION_OF_GPU_MEMORY = 0.25


class RealImages:
    """An endless stream of training images; several processes may each take their own stretches of it.

    Args:
        images: uint8 [M, R, R, C], may be memory-mapped; a GPU with enough memory gets a copy.
        labels: int64 [M], class indices below `classes`.
        classes: number of conditions.
        seed: of the order.
        sampling: "natural" shows every image once per epoch. "balanced" shows every condition once per round,
            and each image of a condition with n images once in n rounds. "grouped" does so with `group`
            images of the condition at once, and orders a stretch so that `MinibatchStd` compares these.
        group: of `MinibatchStd`. Stretches of "grouped" sampling begin and end at its multiples.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        classes: int,
        seed: int,
        sampling: Literal["natural", "balanced", "grouped"],
        group: int,
        device: torch.device,
    ) -> None:
        self.labels = np.asarray(labels)
        self.classes = classes
        self.seed = seed
        self.device = device
        self._images: np.ndarray | torch.Tensor = images
        if (
            device.type == "cuda"
            and images.nbytes < _FRACTION_OF_GPU_MEMORY * torch.cuda.mem_get_info(device)[0]
        ):
            self._images = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        everything = np.arange(len(self.labels))
        if sampling == "natural":
            self._pools = [everything]
        else:
            self._pools = [everything[self.labels == k] for k in range(classes)]
        self._at_once = group if sampling == "grouped" else 1
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def stretch(self, start: int, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images `start` to `start + number` (exclusive) of the stream.

        Returns:
            float32 [number, C, R, R] in [-1, 1], channels last in memory, and one-hot labels [number, K].
        """
        indices = np.array([self._index(position) for position in range(start, start + number)])
        # Sample i belongs to group i mod (number / group size) of `MinibatchStd`.
        indices = indices.reshape(-1, self._at_once).T.ravel()
        if isinstance(self._images, torch.Tensor):
            images = self._images[to_device(torch.from_numpy(indices), self.device)]
        else:
            images = to_device(torch.from_numpy(self._images[indices]), self.device)
        return to_float(images), self._one_hot(self.labels[indices])

    def random_labels(self, number: int) -> torch.Tensor:
        """Random one-hot labels [number, K], as frequent as in the stream, from torch's global generator.

        With "grouped" sampling, those of a group of `MinibatchStd` are the same, as in a stretch.
        """
        groups = -(-number // self._at_once)
        pools = torch.randint(len(self._pools), [groups]).repeat(self._at_once)[:number].tolist()
        picks = torch.rand([number]).tolist()
        indices = [
            self._pools[k][int(pick * len(self._pools[k]))] for k, pick in zip(pools, picks, strict=True)
        ]
        return self._one_hot(self.labels[indices])

    def _one_hot(self, labels: Sequence[int] | np.ndarray) -> torch.Tensor:
        hot = torch.nn.functional.one_hot(torch.as_tensor(labels), self.classes).float()
        return to_device(hot, self.device)

    def _index(self, position: int) -> int:
        """Index of the image at `position`: the pools take turns, in a new order every round."""
        group, member = divmod(position, self._at_once)
        turn, place = divmod(group, len(self._pools))
        pool = int(self._order(-1, turn, len(self._pools))[place])
        epoch, offset = divmod(turn * self._at_once + member, len(self._pools[pool]))
        return int(self._pools[pool][self._order(pool, epoch, len(self._pools[pool]))[offset]])

    def _order(self, pool: int, epoch: int, size: int) -> np.ndarray:
        """A permutation [size] for a pool (-1: for the pools themselves) that depends on seed and epoch."""
        known = self._orders.get(pool)
        if known is None or known[0] != epoch:
            known = (epoch, np.random.default_rng([self.seed, pool + 1, epoch]).permutation(size))
            self._orders[pool] = known
        return known[1]
