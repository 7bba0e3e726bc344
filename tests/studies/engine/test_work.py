"""Every kind of piece on tiny scans, against the same work done by hand."""

from __future__ import annotations

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medtrans.config import StudyJob, TrainingSettings
from medtrans.errors import DataError, StudyError, TrainingError
from medtrans.learning import (
    Accuracy,
    definition_for,
    fine_tune,
    fuse_heads,
    head_on_random_weights,
    segmentation_accuracy,
    train_network,
    training_accuracy,
)
from medtrans.networks import build_network
from medtrans.selection import filter_sources, rank_sources
from medtrans.sources import Pool
from medtrans.studies.engine.cases import held_out_cases, labelled_task
from medtrans.studies.engine.pieces import UNTRAINED, Piece
from medtrans.studies.engine.plan import plan
from medtrans.studies.engine.work import run_piece
from tests.data.tiny_scans import tiny_head, tiny_label, write_nifti

SOURCES = ("fets/T1/ED", "fets/T1CE/ET", "fets/T1/ET")
TARGET = "fets/T1/ET"
OTHER, ONE = SOURCES[:2]
HEAD = Piece("transfer", (ONE,), TARGET, "head", 1)
FULL = Piece("transfer", (ONE,), TARGET, "full", 1)
SCRATCH = Piece("transfer", (), TARGET, "scratch", 1)
FUSED_HEADS = Piece("fuse", (OTHER, ONE), TARGET, "head", 1)
FUSED_PREDICTIONS = Piece("fuse", (OTHER, ONE), TARGET, "full", 1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans of two subjects, and a pool of sources trained on the first of them."""
    root = tmp_path_factory.mktemp("study")
    for number, subject in enumerate(("s1", "s2")):
        write_scans(root / "scans" / subject, number)
    for name in SOURCES:
        run_piece(a_job(root), Piece("train", (name,)))
    return root


def write_scans(folder: Path, number: int) -> None:
    """A tiny head of three structures, each brighter than the rest of the brain in every modality."""
    label = tiny_label(1, 2, 4)
    write_nifti(folder / f"{folder.name}_seg.nii.gz", label)
    for k, modality in enumerate(("flair", "t1", "t1ce", "t2")):
        brighter = np.array([0, 200, 300 + 50 * k, 0, 500], np.float32)[label]
        write_nifti(folder / f"{folder.name}_{modality}.nii.gz", tiny_head(10 * number + k) + brighter)


def a_job(root: Path, output: str = "output", **changes) -> StudyJob:
    files = {"format": "fets", "root": str(root / "scans")}
    steps = {"steps": 10, "batch_size": 2, "learning_rate": 0.03}
    settings = {
        "output": str(root / output),
        "pool": str(root / "pool"),
        "sources": [{"tasks": SOURCES, "data": files | {"cases": ["s1"]}}],
        "targets": [{"tasks": [TARGET], "data": files | {"cases": ["s2"], "slices": 2}}],
        "network": {"width": 4},
        "training": steps | {"steps": 25},
        "signature": {"n_pixels": 50},
        "metrics": ["h_score", "leep", "otce_sim"],
        "samplers": {
            "near": {"n_pixels": 60, "repetitions": 2, "band_mm": 3.0},
            "anywhere": {"n_pixels": 40, "repetitions": 3, "kind": "uniform"},
        },
        "filters": {"strict": {"roi": True, "min_shape_similarity": 1.0, "min_pool": 1}},
        "transfer": {"head": steps | {"learning_rate": 0.1, "augment": False}, "full": steps, "scratch": steps},
        "seeds": [0, 1],
        "seed": 3,
        "device": "cpu",
        "many_to_one": {"largest": 2},
    }
    return StudyJob.model_validate(settings | changes)


def rows(job: StudyJob, piece: Piece) -> dict:
    return dict(run_piece(job, piece).rows)


def accuracy(job: StudyJob, piece: Piece) -> Accuracy:
    ((*_, dice, miou, pixel_accuracy),) = rows(job, piece)["transfers" if piece.kind == "transfer" else "fusions"]
    return Accuracy(dice, miou, pixel_accuracy)


def judged(job: StudyJob, network: nn.Module, divisor: int = 16) -> Accuracy:
    return segmentation_accuracy(network, held_out_cases(job, TARGET), 2, has_background=True, divisor=divisor)


def test_a_training_adds_a_source_that_is_kept_the_next_time(root: Path) -> None:
    job, piece = a_job(root), Piece("train", (ONE,))
    files = {path: path.stat().st_mtime_ns for path in (root / "pool").rglob("*")}
    source = Pool(root / "pool")[ONE]
    assert rows(job, piece) == {"sources": [(ONE, *training_accuracy(source))]}
    assert files == {path: path.stat().st_mtime_ns for path in (root / "pool").rglob("*")}
    assert source.signature.features.shape[0] == 50
    assert source.metadata["medtrans"]["training"]["settings"]["sampler"]["band_mm"] == 3.0  # of the first sampler


def test_filters_tell_of_every_candidate(root: Path) -> None:
    job = a_job(root)
    pool = [source for source in Pool(root / "pool") if source.name != TARGET]
    dropped = filter_sources(labelled_task(job, TARGET), pool, job.filters["strict"]).dropped
    (reason,) = dropped  # of two sources one must stay
    assert sorted(rows(job, Piece("filter", target=TARGET))["candidates"]) == sorted(
        (TARGET, "strict", name, int(name != reason.source), reason.reason if name == reason.source else "")
        for name in (ONE, OTHER)
    )


def test_filters_leave_out_what_could_not_be_trained(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "pool" / ONE, tmp_path / "pool" / ONE)
    found = rows(a_job(root, pool=str(tmp_path / "pool")), Piece("filter", target=TARGET))["candidates"]
    assert [row[2] for row in found] == [ONE]


def test_an_outdated_signature_is_written_anew_before_a_source_is_scored(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "pool", tmp_path / "pool")
    file = tmp_path / "pool" / ONE / "signature" / "signature.json"
    file.write_text(file.read_text().replace('"format": 2', '"format": 1'))
    piece = Piece("score", (ONE,), TARGET)
    found = rows(a_job(root, pool=str(tmp_path / "pool")), piece)
    assert found == rows(a_job(root), piece)
    assert '"format": 2' in file.read_text()


def test_a_metric_with_options_is_kept_under_its_label(root: Path) -> None:
    sharp = {"name": "otce_sim", "epsilon": 0.01}
    found = rows(a_job(root, metrics=["otce_sim", sharp]), Piece("score", (ONE,), TARGET))["scores"]
    values = {label: [row[5] for row in found if row[3] == label] for label in ("otce_sim", "otce_sim(epsilon=0.01)")}
    assert [len(of_label) for of_label in values.values()] == [2 + 3, 2 + 3]
    assert values["otce_sim"] != values["otce_sim(epsilon=0.01)"]


def test_scores_are_those_of_a_ranking(root: Path) -> None:
    job = a_job(root)
    found = {name: rows(job, Piece("score", (name,), TARGET)) for name in (ONE, OTHER)}
    for sampler, settings in job.samplers.items():
        ranking = rank_sources(
            labelled_task(job, TARGET), Pool(root / "pool"), metrics=job.metrics, sampler=settings, filters=None,
            exclude=[TARGET], seed=3, device="cpu",
        )  # fmt: skip
        for score in ranking.scores:
            stored = [
                row[5]
                for row in found[score.source]["scores"]
                if row[:4] == (TARGET, score.source, sampler, score.metric)
            ]
            assert stored == list(score.values)
    assert all(len(by_table["scores"]) == 3 * (2 + 3) and not by_table["missing"] for by_table in found.values())


def test_a_score_that_cannot_be_had_is_a_row_with_the_reason(root: Path, tmp_path: Path) -> None:
    job = a_job(root, pool=str(tmp_path), signature={"content": "reduced"})
    run_piece(job, Piece("train", (ONE,)))
    found = rows(job, Piece("score", (ONE,), TARGET))
    assert {row[3] for row in found["scores"]} == {"h_score", "leep"}
    reason = "the source's signature does not hold source_features and source_labels"
    assert found["missing"] == [(TARGET, ONE, name, "otce_sim", reason) for name in ("near", "anywhere")]


def transferred(job: StudyJob, piece: Piece, *, head_first: bool) -> nn.Module:
    """The source ONE after a transfer with the piece's seed."""
    settings = {mode: getattr(job.transfer, mode).model_copy(update={"seed": piece.seed}) for mode in ("head", "full")}
    return fine_tune(
        Pool(job.pool_path)[ONE],
        labelled_task(job, TARGET),
        training=settings[piece.mode],
        mode=piece.mode,  # type: ignore[arg-type]
        head_first=settings["head"] if head_first else None,
        device="cpu",
    )


@pytest.mark.parametrize(("piece", "head_first"), [(HEAD, False), (HEAD, True), (FULL, False), (FULL, True)])
def test_a_transfer_is_a_fine_tuning_judged_on_the_test_cases(root: Path, piece: Piece, head_first: bool) -> None:
    job = a_job(root)
    job = a_job(root, transfer=job.transfer.model_dump() | {"head_first": head_first})
    expected = judged(job, transferred(job, piece, head_first=head_first and piece is FULL))
    found = rows(job, piece)
    assert found["transfers"] == [(TARGET, ONE, piece.mode, 1, *expected)]
    ((*where, who, dice, miou, pixel_accuracy),) = found["by_person"]  # one subject is judged on: alone it is all
    assert (where, who.rpartition(":")[2]) == ([TARGET, ONE, piece.mode, 1], held_out_cases(job, TARGET)[0].subject)
    assert Accuracy(dice, miou, pixel_accuracy) == expected


def test_from_scratch_no_source_takes_part(root: Path) -> None:
    job = a_job(root, pool=str(root / "no pool"))
    task, training = labelled_task(job, TARGET), job.transfer.scratch.model_copy(update={"seed": 1})
    network, descent = train_network(task, definition_for(task, job.network), training, device="cpu")
    expected = judged(job, network)
    assert descent.steps == 10
    assert rows(job, SCRATCH)["transfers"] == [(TARGET, "", "scratch", 1, *expected)]


def test_fused_heads_are_judged_on_the_test_cases(root: Path) -> None:
    job = a_job(root)
    sources = [Pool(root / "pool")[name] for name in (OTHER, ONE)]
    training = job.transfer.head.model_copy(update={"seed": 1})
    fused = fuse_heads(sources, labelled_task(job, TARGET), training=training, device="cpu")
    expected = judged(job, fused, fused.divisor)
    assert rows(job, FUSED_HEADS) == {"fusions": [(TARGET, f"{OTHER} + {ONE}", "head", 1, *expected)]}


def test_a_source_fused_with_itself_predicts_as_it_does_alone(root: Path) -> None:
    job = a_job(root)
    twice = Piece("fuse", (ONE, ONE), TARGET, "full", 1)
    assert accuracy(job, twice) == accuracy(job, FULL)


def test_fusions_make_again_what_transfers_left_or_did_not(root: Path) -> None:
    job = a_job(root, output="fresh")
    folder = root / "fresh/predictions"
    without = accuracy(job, FUSED_PREDICTIONS)
    file = folder / TARGET / f"{ONE}-seed1.npz"
    made = file.read_bytes()
    assert len(list(folder.rglob("*.npz"))) == len(list(folder.rglob("*.*"))) == 2
    accuracy(job, FULL)
    assert file.read_bytes() == made
    file.write_bytes(made[: len(made) // 2])
    assert accuracy(job, FUSED_PREDICTIONS) == without
    assert file.read_bytes() == made
    with np.load(file) as arrays:
        assert len(arrays) == len(held_out_cases(job, TARGET))
        np.testing.assert_allclose(arrays["arr_0"].astype(float).sum(axis=0), 1, atol=2e-3)


def test_predictions_are_kept_for_fusions_only(root: Path) -> None:
    accuracy(a_job(root, output="alone", many_to_one=None), FULL)
    accuracy(a_job(root, output="alone"), HEAD)
    assert not (root / "alone/predictions").exists()


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modes of the fine-tunings that were done, `full` with what it started from, in order."""
    done: list[str] = []

    def counted(source, task, *, training, mode="full", head_first=None, **options):
        if isinstance(head_first, TrainingSettings):
            done.append("head")
        done.append(mode)
        return fine_tune(source, task, training=training, mode=mode, head_first=head_first, **options)

    monkeypatch.setattr("medtrans.studies.engine.work.fine_tune", counted)
    monkeypatch.setattr("medtrans.learning.transfer.fine_tune.fine_tune", counted)
    return done


@pytest.mark.parametrize("order", [(HEAD, FULL), (FULL, HEAD)])
def test_a_head_is_trained_once_and_handed_on_bit_for_bit(root, tmp_path, trainings, order):
    job = a_job(root, output=str(tmp_path))
    expected = {
        piece: (TARGET, ONE, piece.mode, 1, *judged(job, transferred(job, piece, head_first=piece is FULL)))
        for piece in order
    }
    assert {piece: rows(job, piece)["transfers"][0] for piece in order} == expected
    assert trainings.count("head") == 1
    (file,) = (tmp_path / "heads").rglob("*.npz")
    assert file == tmp_path / "heads" / TARGET / f"{ONE}-seed1.npz"


def test_without_both_modes_no_head_is_kept(root, tmp_path, trainings):
    settings = a_job(root).transfer.model_dump()
    accuracy(a_job(root, output=str(tmp_path), transfer=settings | {"head_first": False}), HEAD)
    accuracy(a_job(root, output=str(tmp_path), transfer=settings | {"head_first": False}), FULL)
    accuracy(a_job(root, output=str(tmp_path), transfer=settings | {"full": None}), HEAD)
    assert trainings == ["head", "full", "head"]
    assert not (tmp_path / "heads").exists()


@pytest.mark.parametrize("harm", ["truncated", "a bit", "other settings", "foreign", "killed before"])
def test_a_head_that_is_not_the_one_is_made_again(root, tmp_path, trainings, harm):
    job = a_job(root, output=str(tmp_path))
    expected = accuracy(job, FULL)
    (file,) = (tmp_path / "heads").rglob("*.npz")
    made = file.read_bytes()
    if harm == "truncated":
        file.write_bytes(made[: len(made) // 2])
    elif harm == "a bit":
        place = made.index(b"weight.npy") + 40
        file.write_bytes(made[:place] + bytes([made[place] ^ 1]) + made[place + 1 :])
    elif harm == "other settings":
        other = job.transfer.model_copy(update={"head": job.transfer.head.model_copy(update={"steps": 3})})
        accuracy(job.model_copy(update={"transfer": other}), HEAD)
        assert file.read_bytes() != made
    elif harm == "foreign":
        np.savez(file, weight=np.zeros((2, 4, 1, 1), np.float32), bias=np.zeros(2, np.float32))
    else:
        file.unlink()
        file.with_name(f".0123abcd.{file.name}").write_bytes(made[:100])
    trainings.clear()
    assert accuracy(job, FULL) == expected
    assert trainings == ["head", "full"]
    assert file.read_bytes() == made


def test_a_head_is_tied_to_the_source_and_to_the_labelled_cases(root, tmp_path, trainings):
    shutil.copytree(root / "pool", tmp_path / "pool")
    job = a_job(root, output=str(tmp_path / "out"), pool=str(tmp_path / "pool"))
    accuracy(job, HEAD)
    file = tmp_path / "pool" / ONE / "models/model.pt"
    weights = torch.load(file)
    torch.save({name: value * 1.01 for name, value in weights.items()}, file)
    accuracy(job, FULL)
    assert trainings == ["head", "head", "full"]
    files = {"format": "fets", "root": str(root / "scans"), "cases": ["s2"], "slices": 1}
    accuracy(
        job.model_copy(update={"targets": a_job(root, targets=[{"tasks": [TARGET], "data": files}]).targets}), FULL
    )
    assert trainings[3:] == ["head", "full"]


def test_pieces_that_need_the_same_head_at_the_same_time_train_it_once(root, tmp_path, trainings):
    job = a_job(root, output=str(tmp_path))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda piece: accuracy(job, piece), [FULL, HEAD] * 2))
    assert trainings.count("head") == 1
    assert found[:2] == found[2:]


def test_threads_and_random_state_change_no_bit(root: Path) -> None:
    job = a_job(root, output="threads")
    pieces = [HEAD, SCRATCH, FUSED_HEADS, Piece("score", (ONE,), TARGET)] * 2
    expected = [rows(job, piece) for piece in pieces]
    state = torch.get_rng_state()
    try:
        torch.manual_seed(99)
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda piece: rows(job, piece), pieces)) == expected
    finally:
        torch.set_rng_state(state)


def test_pieces_travel_and_say_how_long_they_took(root: Path) -> None:
    travelled = pickle.loads(pickle.dumps(partial(run_piece, a_job(root), FULL)))  # noqa: S301
    outcome = pickle.loads(pickle.dumps(travelled()))  # noqa: S301
    assert set(outcome.parts) == {"data", "training", "evaluation", "predictions"}
    assert 0 < sum(outcome.parts.values()) <= outcome.seconds
    score = run_piece(a_job(root), Piece("score", (ONE,), TARGET))
    assert set(score.parts) == {"data", "sampling", "features", "h_score", "leep", "otce_sim"}


def test_what_cannot_be_done_is_one_clear_line(root: Path) -> None:
    without = a_job(root, transfer={"head": None, "head_first": False})
    with pytest.raises(StudyError, match=r"head, seed 1: this study leaves the mode out; set transfer.head in a new"):
        run_piece(without, HEAD)
    files = {"format": "fets", "root": str(root / "scans"), "cases": ["s2"], "slices": 4}
    everything = a_job(root, targets=[{"tasks": [TARGET], "data": files}])
    with pytest.raises(DataError, match=f"target '{TARGET}': none of its test cases shows the structure; choose other"):
        run_piece(everything, FULL)
    (root / "a file").write_text("")
    with pytest.raises(StudyError, match=r"cannot be written .* choose another output"):
        run_piece(a_job(root, output="a file"), FULL)
    with pytest.raises(TrainingError, match="holds a source from other settings or data"):
        run_piece(a_job(root, network={"width": 2}), Piece("train", (ONE,)))


def test_a_pool_with_sources_of_other_settings_is_refused(root):
    other = a_job(root, training={"steps": 26, "batch_size": 2, "learning_rate": 0.03})
    with pytest.raises(StudyError, match=r"training.steps: 25, now 26"):
        run_piece(other, HEAD)


def test_a_pool_with_sources_of_another_network_is_refused(root):
    with pytest.raises(StudyError, match=r"other settings \(network\.features: \[4, 4, 8, 16, 32, 4\], now \[2, 2, "):
        run_piece(a_job(root, network={"width": 2}), HEAD)


def test_several_architectures_for_one_task_lie_side_by_side_in_the_pool(root: Path, tmp_path: Path) -> None:
    job = a_job(
        root,
        pool=str(tmp_path / "pool"),
        sources=[
            {
                "tasks": [ONE],
                "data": {"format": "fets", "root": str(root / "scans"), "cases": ["s1"]},
                "networks": [{"name": "BasicUNet", "width": 4}, {"name": "SegResNet", "width": 8}],
            }
        ],
        training={"steps": 2, "batch_size": 2},
    )
    first, second = names = [f"{ONE}@BasicUNet", f"{ONE}@SegResNet"]
    for name in names:
        ((source, *_),) = rows(job, Piece("train", (name,)))["sources"]
        assert source == name
    pool = Pool(tmp_path / "pool")
    assert [source.name for source in pool] == names
    assert {str(source.task) for source in pool} == {ONE}
    assert pool[second].network_definition["_target_"].endswith("SegResNet")
    assert {row[2] for row in rows(job, Piece("filter", target=TARGET))["candidates"]} == set(names)
    assert {row[1] for row in rows(job, Piece("score", (second,), TARGET))["scores"]} == {second}
    for mode in ("head", "full"):
        fused = Piece("fuse", (first, second), TARGET, mode, 0)
        assert rows(job, fused)["fusions"][0][1] == f"{first} + {second}"
    shutil.copytree(pool[first].path, tmp_path / "swapped" / second)
    with pytest.raises(StudyError, match=r"network\._target_: .*BasicUNet, now .*SegResNet"):
        run_piece(job.model_copy(update={"pool": tmp_path / "swapped"}), Piece("score", (second,), TARGET))


def test_a_head_on_random_weights_is_trained_alone(root: Path) -> None:
    """All but the last layer are the random weights of the seed."""
    job = a_job(root)
    job = a_job(root, transfer=job.transfer.model_dump() | {"untrained": True})
    piece = Piece("transfer", (), TARGET, UNTRAINED, 1)
    assert piece in plan(job)[1]
    task, training = labelled_task(job, TARGET), job.transfer.head.model_copy(update={"seed": 1})
    definition = definition_for(task, job.network)
    network = head_on_random_weights(task, definition, training, device="cpu")
    assert rows(job, piece)["transfers"] == [(TARGET, "", "untrained", 1, *judged(job, network))]
    before, after = build_network(definition, seed=1).state_dict(), network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"final_conv.weight", "final_conv.bias"}
