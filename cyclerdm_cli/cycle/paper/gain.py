"""The authors' feature gain module: residual dense blocks that find what is too much in a high-frequency band."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DenseLayer(nn.Module):
    """Append new channels to the ones that are there."""

    def __init__(self, width_in: int, growth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, growth, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C + growth, H, W)."""
        return torch.cat([x, torch.relu(self.conv(x))], 1)


class ResidualDenseBlock(nn.Module):
    """Three dense layers, fused and added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 5, padding=2)  # the checkpoints hold it, nothing uses it
        self.layers = nn.Sequential(*(DenseLayer(width * (1 + i), width) for i in range(3)))
        self.lff = nn.Conv2d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        result: Tensor = x + self.lff(self.layers(x))
        return result


class FeatureGain(nn.Module):
    """F of the feature gain module: the redundancy in one high-frequency band."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 5, padding=2)
        self.RDB_1 = nn.Sequential(ResidualDenseBlock(width), nn.ReLU())
        self.RDB_2 = nn.Sequential(ResidualDenseBlock(width), nn.ReLU())
        self.conv_block2 = nn.Sequential(nn.Conv2d(width, width, 5, padding=2), nn.ReLU())
        self.conv2 = nn.Conv2d(width, 3, 5, padding=2)

    def forward(self, band: Tensor) -> Tensor:
        """Map bands (N, 3, h, w) to the redundancy in them."""
        first = self.conv1(band)
        second = self.RDB_1(first)
        third = self.RDB_2(second)
        redundancy: Tensor = self.conv2(self.conv_block2(first + second + third))
        return redundancy
