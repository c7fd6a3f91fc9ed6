"""Real images for training, in an order that the seed and the number already shown decide alone."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from morphoscope.runtime.torch_devices import to_device

# A GPU that holds the images itself is never kept waiting for them.
_SHARE_OF_GPU_MEMORY = 0.25


class RealImages:
    """Any stretch of the endless stream of training images, so that several processes may each take theirs.

    Args:
        images: uint8 [M, R, R, 3], may be memory-mapped; a GPU with room for them gets a copy.
        labels: int64 [M], class indices below `classes`.
        classes: number of conditions.
        seed: of the order.
        sampling: "natural" shows every image once an epoch; "balanced" every condition once a round, and each
            image of a condition once in as many rounds as it has images.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        classes: int,
        seed: int,
        sampling: Literal["natural", "balanced"],
        device: torch.device,
    ) -> None:
        self.labels = np.asarray(labels)
        self.classes = classes
        self.seed = seed
        self.device = device
        self._images: np.ndarray | torch.Tensor = images
        if (
            device.type == "cuda"
            and images.nbytes < _SHARE_OF_GPU_MEMORY * torch.cuda.mem_get_info(device)[0]
        ):
            self._images = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        everything = np.arange(len(self.labels))
        if sampling == "natural":
            self._pools = [everything]
        else:
            self._pools = [everything[self.labels == k] for k in range(classes)]
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def stretch(self, start: int, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images `start` … `start + number` of the stream.

        Returns:
            float32 [number, 3, R, R] in [-1, 1], channels last in memory, and one-hot labels [number, K].
        """
        indices = np.array([self._index(position) for position in range(start, start + number)])
        if isinstance(self._images, torch.Tensor):
            images = self._images[to_device(torch.from_numpy(indices), self.device)]
        else:
            images = to_device(torch.from_numpy(self._images[indices]), self.device)
        # NHWC uint8 => NCHW float32, whose memory stays channels_last
        images = images.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1
        return images, self._one_hot(self.labels[indices])

    def random_labels(self, number: int) -> torch.Tensor:
        """One-hot labels [number, K] as often as the stream shows them, by torch's global generator."""
        pools = torch.randint(len(self._pools), [number]).tolist()
        picks = torch.rand([number]).tolist()
        indices = [
            self._pools[k][int(pick * len(self._pools[k]))] for k, pick in zip(pools, picks, strict=True)
        ]
        return self._one_hot(self.labels[indices])

    def _one_hot(self, labels: Sequence[int] | np.ndarray) -> torch.Tensor:
        hot = torch.nn.functional.one_hot(torch.as_tensor(labels), self.classes).float()
        return to_device(hot, self.device)

    def _index(self, position: int) -> int:
        """Which image stands at `position`: the pools take turns, in a new order every round."""
        turn, place = divmod(position, len(self._pools))
        pool = int(self._order(-1, turn, len(self._pools))[place])
        epoch, offset = divmod(turn, len(self._pools[pool]))
        return int(self._pools[pool][self._order(pool, epoch, len(self._pools[pool]))[offset]])

    def _order(self, of: int, epoch: int, size: int) -> np.ndarray:
        """A permutation that depends on the seed, on what is shuffled (-1: the pools) and on the epoch."""
        known = self._orders.get(of)
        if known is None or known[0] != epoch:
            known = (epoch, np.random.default_rng([self.seed, of + 1, epoch]).permutation(size))
            self._orders[of] = known
        return known[1]
