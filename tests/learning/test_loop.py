"""Gradient descent: the same in every run, whether it is disturbed or not."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medtrans.config import TrainingSettings
from medtrans.errors import TrainingError
from medtrans.learning.checkpoint import Checkpoint
from medtrans.learning.evaluate import dice_score
from medtrans.learning.loop import Descent, descend, segmentation_loss
from medtrans.networks import build_network, network_definition, seeded
from medtrans.schedule import warmed_cosine
from medtrans.tasks import IGNORE_LABEL, Case, Task, TaskName

CPU = torch.device("cpu")
SETTINGS = TrainingSettings(steps=6, steps_per_epoch=2, batch_size=2)


def bright_disc(i: int) -> Case:
    """An image in which the structure is brighter than the rest."""
    rng = np.random.default_rng(i)
    x, y = np.mgrid[:32, :32]
    label = ((x - rng.integers(10, 22)) ** 2 + (y - rng.integers(10, 22)) ** 2 < 40).astype(np.uint8)
    image = (label + 0.1 * rng.standard_normal((32, 32))).astype(np.float32)
    return Case(f"p/{i}", image[None], label, (1.0, 1.0), subject="p", height=0.5)


TASK = Task(TaskName("toy", "T1", "disc"), tuple(bright_disc(i) for i in range(5)), ("background", "disc"))


class WithDropout(nn.Module):
    """A network that draws random numbers in its forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Dropout(0.5), nn.Conv2d(4, 2, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def new_network(kind: str = "BasicUNet") -> nn.Module:
    if kind == "WithDropout":
        with torch.random.fork_rng():
            torch.default_generator.manual_seed(0)
            return WithDropout()
    return build_network(network_definition(kind, spatial_dims=2, in_channels=1, out_channels=2, width=4))


def train(network: nn.Module, settings: TrainingSettings = SETTINGS, **more: object) -> Descent:
    return descend(network, TASK, settings, divisor=16, device=CPU, text="disc", **more)  # type: ignore[arg-type]


def checkpoint_in(folder: Path, settings: TrainingSettings = SETTINGS) -> Checkpoint:
    return Checkpoint(folder / "checkpoint.pt", {"training": settings.model_dump(mode="json")})


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_it_learns() -> None:
    network = new_network()
    settings = SETTINGS.model_copy(update={"steps": 60, "learning_rate": 1e-2, "batch_size": 4})
    train(network, settings)
    assert dice_score(network, [bright_disc(i) for i in range(10, 14)], 2, divisor=16) > 0.9


@pytest.mark.parametrize("kind", ["BasicUNet", "WithDropout"])
def test_the_same_seed_gives_the_same_weights_bit_for_bit(kind: str) -> None:
    networks = [new_network(kind) for _ in range(3)]
    first, second, _ = (
        train(n, SETTINGS.model_copy(update={"seed": s})) for n, s in zip(networks, (3, 3, 4), strict=True)
    )
    assert same_weights(networks[0], networks[1])
    assert first.final_loss == second.final_loss
    assert not same_weights(networks[0], networks[2])


@pytest.mark.parametrize("kind", ["BasicUNet", "WithDropout"])
@pytest.mark.parametrize("stop_after", [1, 2, 3, 5])
def test_a_stopped_and_resumed_training_equals_an_undisturbed_one(tmp_path: Path, kind: str, stop_after: int) -> None:
    undisturbed, stopped, resumed = (new_network(kind) for _ in range(3))
    expected = train(undisturbed)

    def stop(done: int, total: int, text: str) -> None:
        if done == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stopped, checkpoint=checkpoint_in(tmp_path), progress=stop)
    steps: list[int] = []
    result = train(resumed, checkpoint=checkpoint_in(tmp_path), progress=lambda done, total, text: steps.append(done))
    # from the last epoch whose checkpoint was written: the stop comes before that of its own epoch
    assert steps[0] == (stop_after - 1) // SETTINGS.steps_per_epoch * SETTINGS.steps_per_epoch + 1
    assert same_weights(resumed, undisturbed)
    assert (result.steps, result.final_loss) == (expected.steps, expected.final_loss)
    assert result.threads == expected.threads * (1 + (stop_after > SETTINGS.steps_per_epoch))  # runs after a checkpoint


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    network, again = new_network(), new_network()
    first = train(network, checkpoint=checkpoint_in(tmp_path))
    second = train(again, checkpoint=checkpoint_in(tmp_path), progress=lambda *_: pytest.fail("a step was taken"))
    assert same_weights(network, again)
    assert first == second


def test_the_callers_random_state_is_untouched() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    train(new_network("WithDropout"))
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


def test_progress_is_told_after_every_step() -> None:
    told: list[tuple[int, int, str]] = []
    train(new_network(), progress=lambda done, total, text: told.append((done, total, text)))
    assert told == [(i, 6, "disc") for i in range(1, 7)]


def test_a_network_without_dropout_waits_for_no_other_thread() -> None:
    alone, beside = new_network(), new_network()
    train(alone)
    with ThreadPoolExecutor(1) as pool, seeded(0):  # another thread draws
        pool.submit(train, beside).result(timeout=60)
    assert same_weights(alone, beside)


def test_threads_with_dropout_do_not_disturb_each_other() -> None:
    alone, *together = (new_network("WithDropout") for _ in range(4))
    train(alone)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(train, together))
    assert all(same_weights(alone, network) for network in together)


def test_frozen_parameters_stay() -> None:
    network = new_network("WithDropout")
    network.layers[0].requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    train(network)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"layers.2.weight", "layers.2.bias"}


def test_divergence_is_an_error_that_leaves_no_checkpoint(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(TrainingError, match=r"disc: the loss is not finite at step \d; lower training.learning_rate"):
        train(new_network(), settings, checkpoint=checkpoint_in(tmp_path, settings))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_says_what_to_delete(tmp_path: Path) -> None:
    checkpoint = checkpoint_in(tmp_path)
    train(new_network(), checkpoint=checkpoint)
    whole = checkpoint.path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"nonsense"):
        checkpoint.path.write_bytes(damaged)
        with pytest.raises(TrainingError, match=r"checkpoint\.pt: the checkpoint is damaged .* delete it") as caught:
            train(new_network(), checkpoint=checkpoint)
        assert "\n" not in str(caught.value)


def test_a_checkpoint_of_other_settings_is_refused_and_says_which(tmp_path: Path) -> None:
    train(new_network(), checkpoint=checkpoint_in(tmp_path))
    longer = SETTINGS.model_copy(update={"steps": 8})
    with pytest.raises(TrainingError, match=r"other settings \(training\.steps: 6, now 8\); delete it"):
        train(new_network(), longer, checkpoint=checkpoint_in(tmp_path, longer))


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = checkpoint_in(tmp_path)
    checkpoint.write({"step": 1})

    def killed(path: Path, content: bytes) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write({"step": 2})
    assert checkpoint.read(CPU) == {"step": 1}


def test_a_full_disk_is_an_error_that_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TrainingError, match=r"cannot be written \(No space left on device\)"):
        checkpoint_in(tmp_path).write({"step": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_a_training_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="checkpoint cannot be written"):
        checkpoint_in(tmp_path / "file").write({"step": 1})


def test_the_loss_by_hand() -> None:
    # two pixels at probability 1/2 for class 1, one labelled so; a third pixel is ignored
    outputs = torch.zeros(1, 2, 3)
    outputs[0, 1, 2] = 50
    labels = torch.tensor([[0, 1, IGNORE_LABEL]])
    dice = 1 - 2 * 0.5 / (0.5 + 0.5 + 1)
    assert segmentation_loss(outputs, labels, has_background=True).item() == pytest.approx(dice + math.log(2), abs=1e-4)


def test_the_loss_without_a_background_by_hand() -> None:
    # two pixels of class 0, at probability 1/2 for each of the classes 0 and 1; a third pixel is ignored
    outputs = torch.zeros(1, 3, 3)
    outputs[0, 2] = -50
    labels = torch.tensor([[0, 0, IGNORE_LABEL]])
    dice = 1 - 2 * 1 / (1 + 2)  # of class 0; no pixel has class 1 or 2
    expected = dice + math.log(2)
    assert segmentation_loss(outputs, labels, has_background=False).item() == pytest.approx(expected, abs=1e-4)


def test_classes_that_the_batch_does_not_have_leave_the_others_gradient_alone() -> None:
    labels = torch.tensor([[0, 1, 1, 0]])
    few = torch.zeros(1, 2, 4, requires_grad=True)
    many = torch.cat([few, torch.full((1, 17, 4), -50.0)], dim=1)
    losses = [segmentation_loss(outputs, labels, has_background=False) for outputs in (few, many)]
    assert losses[1].item() == pytest.approx(losses[0].item(), abs=1e-5)
    gradients = [torch.autograd.grad(loss, few, retain_graph=True)[0] for loss in losses]
    torch.testing.assert_close(*gradients)


def test_an_element_without_the_structure_does_not_dominate_the_loss() -> None:
    outputs = torch.zeros(2, 2, 100)
    outputs[:, 1] = -20
    labels = torch.zeros(2, 100, dtype=torch.long)
    outputs[0, 1, :50], labels[0, :50] = 20, 1  # right everywhere; nothing to find in the second element
    assert segmentation_loss(outputs, labels, has_background=True).item() == pytest.approx(0, abs=1e-5)
    outputs[1, 1, 0] = 20  # one false pixel: Dice over both elements is 100 / 101
    loss = segmentation_loss(outputs, labels, has_background=True).item()
    dice_part = loss - 20 / 200  # cross-entropy 20 in one of 200 pixels
    assert dice_part == pytest.approx(1 - 100 / 101, abs=1e-5)


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [warmed_cosine(step, 100, 2.0) for step in range(100)]
    assert rates[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert rates[5] == 2.0
    assert rates[5 + 95 // 2] == pytest.approx(1.0, abs=0.02)  # half way down the cosine
    assert all(a >= b for a, b in pairwise(rates[5:]))
    assert 0 < rates[-1] < 0.01
    assert warmed_cosine(0, 1, 3e-3) == 3e-3
