"""A source in the pool: complete, repeatable, and never trained twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medtrans.config import (
    NetworkSettings,
    PreprocessingSettings,
    SamplerSettings,
    SignatureSettings,
    TrainingSettings,
)
from medtrans.errors import TrainingError
from medtrans.learning import segmentation_accuracy, train_source, training_accuracy
from medtrans.learning.train import make_signature
from medtrans.progress import Progress
from medtrans.sources import Pool, Source
from medtrans.tasks import Case, Task, TaskName

TRAINING = TrainingSettings(steps=6, steps_per_epoch=2, batch_size=2)


def a_task(n_cases: int = 4, structure: str = "disc") -> Task:
    """Discs, brighter than the body around them."""
    x, y = np.mgrid[:32, :32]
    body = (x - 16) ** 2 + (y - 16) ** 2 < 200
    cases = []
    for i in range(n_cases):
        rng = np.random.default_rng(i)
        label = ((x - rng.integers(10, 22)) ** 2 + (y - rng.integers(10, 22)) ** 2 < 30).astype(np.uint8)
        image = body * (2 * label + 0.1 * rng.standard_normal((32, 32)) - 0.5)
        height = (i + 1) / (n_cases + 1)
        cases.append(Case(f"p/{i}", image[None].astype(np.float32), label, (2.0, 2.0), subject="p", height=height))
    return Task(TaskName("toy", "T1", structure), tuple(cases), ("background", structure))


def train(
    pool: Path,
    task: Task | None = None,
    training: TrainingSettings = TRAINING,
    content: str = "full",
    progress: Progress | None = None,
    name: str | None = None,
) -> Source:
    return train_source(
        task or a_task(),
        pool=pool,
        preprocessing=PreprocessingSettings(),
        network=NetworkSettings(width=4),
        training=training,
        signature=SignatureSettings.model_validate({"content": content, "n_pixels": 50}),
        sampler=SamplerSettings(),
        name=name,
        device="cpu",
        progress=progress,
    )


def weights(source: Source) -> list[torch.Tensor]:
    return list(source.load_network().state_dict().values())


def same_weights(one: Source, other: Source) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def no_step(done: int, total: int, text: str) -> None:
    pytest.fail(f"step {done} of {total} was taken")


def test_a_trained_source_is_in_the_pool_with_its_signature_and_record(tmp_path: Path) -> None:
    task = a_task()
    trained = train(tmp_path, task)
    (source,) = Pool(tmp_path)
    assert source.name == trained.name == "toy/T1/disc"
    assert source.class_names == ("background", "disc")
    assert source.signature is not None
    assert source.signature.features is not None
    assert source.signature.labels is not None
    assert source.signature.features.shape == (50, 4)
    assert set(source.signature.labels.tolist()) == {0, 1}
    assert source.signature.n_subjects == 1
    record = source.metadata["medtrans"]["training"]
    assert record["steps"] == 6
    assert record["settings"]["training"] == TRAINING.model_dump(mode="json")
    assert record["torch"] == torch.__version__
    assert record["threads"] == [torch.get_num_threads()]
    found = segmentation_accuracy(source.load_network(), task.cases, 2, has_background=True, divisor=16)
    assert record["training_accuracy"] == found._asdict()
    assert training_accuracy(source) == found
    assert not (tmp_path / ".partial").exists()


def test_a_signature_of_an_older_version_is_written_anew_and_the_weights_stay(tmp_path: Path) -> None:
    before = train(tmp_path)
    file = tmp_path / "toy/T1/disc/signature/signature.json"
    file.write_text(file.read_text().replace('"format": 2', '"format": 1'))
    (older,) = Pool(tmp_path)
    assert older.signature is not None
    assert older.signature.is_outdated
    again = train(tmp_path, progress=no_step)
    (source,) = Pool(tmp_path)
    for found in (again.signature, source.signature):
        assert found is not None
        assert not found.is_outdated
        np.testing.assert_array_equal(found.features, before.signature.features)
    assert same_weights(before, source)


def test_a_record_without_accuracies_has_nan(tmp_path: Path) -> None:
    source = train(tmp_path)
    record = source.metadata["medtrans"]["training"]
    del record["training_accuracy"]
    assert np.isnan(training_accuracy(source)).all()


def test_a_source_can_have_another_name_than_its_task(tmp_path: Path) -> None:
    trained = train(tmp_path, name="toy/T1/disc@BasicUNet")
    (source,) = Pool(tmp_path)
    assert source.name == trained.name == "toy/T1/disc@BasicUNet"
    assert str(source.task) == "toy/T1/disc"
    assert train(tmp_path, name="toy/T1/disc@BasicUNet", progress=no_step).name == trained.name
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


@pytest.mark.parametrize("content", ["none", "reduced"])
def test_a_signature_can_be_reduced_or_left_out(tmp_path: Path, content: str) -> None:
    signature = train(tmp_path, content=content).signature
    if content == "none":
        assert signature is None
    else:
        assert signature is not None
        assert signature.features is None
        assert signature.shape is not None
        assert signature.intensity_quantiles is not None


def test_a_task_without_a_background_has_no_mean_shape() -> None:
    task = a_task()
    everything = replace(task, class_names=("sky", "disc"))
    reduced, rng = SignatureSettings(content="reduced"), np.random.default_rng(0)
    for given, has_shape in ((task, True), (everything, False)):
        told = make_signature(torch.nn.Identity(), given, reduced, SamplerSettings(), divisor=1, rng=rng)
        assert told is not None
        assert (told.shape is not None) == has_shape
        assert told.intensity_quantiles is not None


def test_the_same_seed_gives_the_same_source_in_another_pool(tmp_path: Path) -> None:
    one, other, third = (
        train(tmp_path / str(i), training=TRAINING.model_copy(update={"seed": seed}))
        for i, seed in enumerate((5, 5, 6))
    )
    assert same_weights(one, other)
    assert one.signature is not None
    assert other.signature is not None
    np.testing.assert_array_equal(one.signature.features, other.signature.features)
    assert not same_weights(one, third)


def test_a_finished_source_is_returned_as_it_is(tmp_path: Path) -> None:
    first = train(tmp_path)
    assert same_weights(first, train(tmp_path, progress=no_step))


def test_a_finished_source_of_other_settings_or_data_is_not_overwritten(tmp_path: Path) -> None:
    train(tmp_path)
    longer = TRAINING.model_copy(update={"steps": 7})
    with pytest.raises(TrainingError, match=r"other settings or data \(training\.steps: 6, now 7\); delete it"):
        train(tmp_path, training=longer)
    with pytest.raises(TrainingError, match=r"other settings or data \(data: "):
        train(tmp_path, a_task(n_cases=3))


def test_a_stopped_training_goes_on_and_leaves_no_trace(tmp_path: Path) -> None:
    def stop(done: int, total: int, text: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", progress=stop)
    assert [p.name for p in (tmp_path / "stopped").iterdir()] == [".partial"]
    told: list[int] = []
    resumed = train(tmp_path / "stopped", progress=lambda done, total, text: told.append(done))
    assert told == [5, 6]
    assert same_weights(resumed, train(tmp_path / "undisturbed"))
    assert [p.name for p in (tmp_path / "stopped").iterdir()] == ["toy"]


def test_a_checkpoint_that_outlived_its_training_is_removed(tmp_path: Path) -> None:
    train(tmp_path)
    left = tmp_path / ".partial/toy/T1/disc/checkpoint.pt"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of a training killed between its bundle's last file and its end")
    train(tmp_path, progress=no_step)
    assert not (tmp_path / ".partial").exists()


def test_a_task_without_the_structure_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    task = a_task()
    empty = replace(task, cases=tuple(replace(case, label=np.zeros_like(case.label)) for case in task.cases))
    with pytest.raises(TrainingError, match="none of the 4 cases shows the structure"):
        train(tmp_path, empty)
    assert list(tmp_path.iterdir()) == []


def test_one_case_without_the_structure_is_fine(tmp_path: Path) -> None:
    task = a_task()
    first, *rest = task.cases
    mixed = replace(task, cases=(replace(first, label=np.zeros_like(first.label)), *rest))
    assert train(tmp_path, mixed).out_channels == 2


def test_a_killed_process_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    """A real SIGKILL, in the middle of an epoch after the first checkpoint."""
    program = (
        f"import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_train\n"
        "from pathlib import Path\n"
        "def slow(done, total, text):\n"
        "    print(done, flush=True)\n"
        "    time.sleep(60 if done == 3 else 0)\n"
        f"test_train.train(Path({str(tmp_path / 'killed')!r}), progress=slow)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        while process.stdout.readline().strip() not in ("3", ""):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    told: list[int] = []
    resumed = train(tmp_path / "killed", progress=lambda done, total, text: told.append(done))
    assert told == [3, 4, 5, 6]
    assert same_weights(resumed, train(tmp_path / "undisturbed"))
