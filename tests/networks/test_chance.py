"""Random numbers that threads share, drawn by one at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from medtrans.networks import build_network, draws_in_training, network_definition, seeded


def test_the_seed_says_what_is_drawn_inside_and_nothing_changes_outside() -> None:
    before = torch.get_rng_state()
    draws = []
    for seed in (3, 3, 4):
        with seeded(seed):
            draws.append(torch.rand(4))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(before, torch.get_rng_state())


def test_another_thread_waits_for_its_turn() -> None:
    with seeded(3):
        expected = [torch.rand(1).item() for _ in range(2)]
    begun, entered, done = (threading.Event() for _ in range(3))

    def first() -> list[float]:
        with seeded(3):
            drawn = [torch.rand(1).item()]
            begun.set()
            entered.wait(0.2)  # in vain
            drawn.append(torch.rand(1).item())
            done.set()
        return drawn

    def second() -> float:
        begun.wait(5)
        with seeded(4):
            entered.set()
            done.wait(5)
            return torch.rand(1).item()

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.submit(first), pool.submit(second)
        assert one.result() == expected
    with seeded(4):
        assert two.result() == torch.rand(1).item()


@pytest.mark.parametrize(
    ("network", "draws"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.Dropout2d(0.1)), True),
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.Dropout(0.0)), False),
    ],
)
def test_dropout_draws_unless_it_drops_nothing(network: nn.Module, draws: bool) -> None:
    assert draws_in_training(network) is draws


@pytest.mark.parametrize("name", ["BasicUNet", "DynUNet", "SegResNet"])
def test_networks_that_say_they_draw_nothing_draw_nothing(name: str) -> None:
    definition = network_definition(name, spatial_dims=2, in_channels=1, out_channels=2, width=4)
    network = build_network(definition).train()
    before = torch.get_rng_state()
    network(torch.zeros(2, 1, 32, 32))
    assert not draws_in_training(network)
    assert torch.equal(before, torch.get_rng_state())
