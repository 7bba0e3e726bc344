"""Where cells of a feature map lie: values at single pixels are those of the enlarged map."""

from __future__ import annotations

import pytest
import torch

from medtrans.networks import Grid
from medtrans.networks.grid import cropped

MAPS = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))


def test_cells_of_poolings_lie_in_the_middle_of_their_pixels() -> None:
    row = torch.tensor([[[[0.0, 8.0]]]])  # at pixels 1.5 and 5.5
    assert Grid((1, 4)).enlarge(row).flatten().tolist() == [0, 0, 1, 3, 5, 7, 8, 8]


def test_cells_of_strided_convolutions_lie_on_pixels() -> None:
    row = torch.tensor([[[[0.0, 8.0]]]])  # at pixels 0 and 4
    assert Grid((1, 4), corners=True).enlarge(row).flatten().tolist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("grid", [Grid((1, 1)), Grid((8, 8)), Grid((8, 8), corners=True), Grid((2.5, 3.0))])
def test_values_at_pixels_are_those_of_the_enlarged_map(grid: Grid) -> None:
    whole = grid.enlarge(MAPS)
    assert whole.shape[2:] == grid.covered((4, 5))
    places = torch.ones(2, *whole.shape[2:]).nonzero()
    image, row, column = places.T
    found = grid.at(MAPS, image, (row, column))
    torch.testing.assert_close(found, whole[image, :, row, column])


def test_volumes_too() -> None:
    maps = torch.randn(1, 2, 2, 3, 2)
    grid = Grid((4, 2, 3))
    place = torch.tensor([3]), torch.tensor([4]), torch.tensor([2])
    found = grid.at(maps, torch.tensor([0]), place)
    torch.testing.assert_close(found, grid.enlarge(maps)[:, :, 3, 4, 2])


def test_cropping_keeps_the_first_pixels() -> None:
    assert torch.equal(cropped(MAPS, (2, 4)), MAPS[:, :, :2, :4])
