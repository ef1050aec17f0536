"""Stand-in for torchvision, which downloads: MNIST's real digits, also as CIFAR-10."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from digits import load_digits


class _ToTensor:
    def __call__(self, image: Any) -> torch.Tensor:
        return torch.from_numpy(image).permute(2, 0, 1).float() / 255


def _compose(steps: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    (only,) = steps
    return only


class _Digits(torch.utils.data.Dataset):
    in_color = False

    def __init__(
        self, root: str, *, transform: Any, download: bool, target_transform: Any = int
    ) -> None:
        assert download
        self._images, self._labels = load_digits("train", in_color=self.in_color)
        self._transform, self._of_label = transform, target_transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(self._images[index]), self._of_label(self._labels[index])


class _InColor(_Digits):
    in_color = True


transforms = SimpleNamespace(Compose=_compose, ToTensor=_ToTensor)
datasets = SimpleNamespace(MNIST=_Digits, CIFAR10=_InColor)
