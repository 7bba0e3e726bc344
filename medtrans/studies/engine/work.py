"""What a worker does with one piece of a study."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from filelock import FileLock
from torch import nn

from medtrans.config import NetworkSettings, SamplerSettings, StudyJob, TrainingSettings, differences, metric_choices
from medtrans.errors import StudyError
from medtrans.learning import (
    average_predictions,
    definition_for,
    fine_tune,
    fuse_heads,
    head_on_random_weights,
    largest_output,
    predict_outputs,
    train_head,
    train_network,
    train_source,
    training_accuracy,
    with_head,
)
from medtrans.learning.train import UNFINISHED, data_digest
from medtrans.learning.transfer.fine_tune import Head, Mode
from medtrans.metrics.registry import choose_metrics
from medtrans.networks import network_definition, resolve_device, size_divisor
from medtrans.selection import filter_sources
from medtrans.selection.scoring import Look, score_source
from medtrans.selection.stopwatch import Stopwatch
from medtrans.sources import Source, read_bundle
from medtrans.studies.engine.cases import held_out_cases, labelled_task, looked_at, source_task
from medtrans.studies.engine.heads import kept_head
from medtrans.studies.engine.judged import person
from medtrans.studies.engine.judgement import Judged, judged_on
from medtrans.studies.engine.pieces import FUSED, SCRATCH, UNTRAINED, Kind, Outcome, Piece
from medtrans.studies.engine.plan import candidates
from medtrans.studies.engine.predictions import Probabilities, probabilities, read_predictions, write_predictions
from medtrans.tasks import Case, Task

Rows = dict[str, list[tuple[Any, ...]]]
"""What a piece found, by table of the store."""


def run_piece(job: StudyJob, piece: Piece) -> Outcome:
    """Do one piece of a study.

    The result depends on the job, the piece, the files and the number of threads, and on nothing else: a piece may be
    done again, by any worker. Sources are read from the job's pool; a training adds one to it, and one that is there,
    trained with the same settings on the same data, is kept. Where a full fine-tuning starts from a retrained head,
    the head is left in the output folder for it; where several sources are fused, it leaves its class probabilities on
    the test cases there itself.

    Raises:
        MedtransError: there is no result, and why.
    """
    clock = Stopwatch()
    began = time.perf_counter()
    rows = _WORK[piece.kind](job, piece, clock)
    return Outcome(rows, time.perf_counter() - began, clock.seconds)


def _train(job: StudyJob, piece: Piece, clock: Stopwatch) -> Rows:
    (name,) = piece.sources
    with clock("data"):
        task = source_task(job, name)
    lock = job.pool_path / UNFINISHED / f"{name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with (
        FileLock(lock),
        clock("training"),
    ):  # a run that was killed may have left a worker of a cluster at this training
        source = train_source(
            task,
            pool=job.pool_path,
            preprocessing=job.preprocessing,
            network=job.network_of(name),
            training=job.training,
            signature=job.signature,
            sampler=_signature_sampler(job),
            name=name,
            device=job.device,
        )
    return {"sources": [(name, *training_accuracy(source))]}


def _signature_sampler(job: StudyJob) -> SamplerSettings:
    """Where a signature's pixels lie is as for the study's first sampler; how many is the signature's own setting."""
    first, default = next(iter(job.samplers.values())), SamplerSettings()
    return first.model_copy(update={"n_pixels": default.n_pixels, "repetitions": default.repetitions})


def _filter(job: StudyJob, piece: Piece, clock: Stopwatch) -> Rows:
    with clock("data"):
        target = labelled_task(job, piece.target)
        sources = _trained(job, candidates(job, piece.target))
    rows: list[tuple[Any, ...]] = []
    for name, settings in job.filters.items():
        with clock("filters"):
            reasons = {it.source: it.reason for it in filter_sources(target, sources, settings).dropped}
        names = [source.name for source in sources]
        rows += [(piece.target, name, source, int(source not in reasons), reasons.get(source, "")) for source in names]
    return {"candidates": rows}


def _score(job: StudyJob, piece: Piece, clock: Stopwatch) -> Rows:
    with clock("data"):
        source, target = _source(job, piece.sources[0]), labelled_task(job, piece.target)
    if source.signature is not None and source.signature.is_outdated:  # training again writes that anew, and no more
        _train(job, Piece("train", piece.sources), clock)
        source = _source(job, source.name)
    metrics, device = tuple(choose_metrics(metric_choices(job.metrics))), str(resolve_device(job.device))
    rows: Rows = {"scores": [], "missing": []}
    with clock("sampling"):
        looks = [Look(looked_at(job, piece.target, sampler), metrics) for sampler in job.samplers]
    scored = score_source(source, target, looks, device, clock)
    for sampler, (values, missing) in zip(job.samplers, scored, strict=True):
        where = (piece.target, source.name, sampler)
        for metric, of_metric in values.items():
            rows["scores"] += [(*where, metric, repetition, value) for repetition, value in enumerate(of_metric)]
        rows["missing"] += [(*where, lack.metric, lack.reason) for lack in missing]
    return rows


def _transfer(job: StudyJob, piece: Piece, clock: Stopwatch) -> Rows:
    found, _ = _transferred(job, piece, clock)
    data, where = job.target_groups()[piece.target].data, _where(piece)
    return {
        "transfers": [(*where, *found.accuracy)],
        "by_person": [(*where, person(data, who), *accuracy) for who, accuracy in found.by_subject.items()],
    }


def _fuse(job: StudyJob, piece: Piece, clock: Stopwatch) -> Rows:
    task, test = _cases(job, piece, clock)
    if piece.mode == "head":
        sources = [_source(job, name) for name in piece.sources]
        with clock("training"):
            fused = fuse_heads(sources, task, training=_training(job, piece), device=job.device)
        found, _ = _evaluated(job, fused, fused.divisor, task, test, clock)
    else:
        alone = [_predictions(job, replace(piece, kind="transfer", sources=(name,)), clock) for name in piece.sources]
        with clock("evaluation"):
            found = judged_on(test, map(average_predictions, zip(*alone, strict=True)), task)
    return {"fusions": [(*_where(piece), *found.accuracy)]}


def _where(piece: Piece) -> tuple[str, str, str, int | None]:
    """What a row on a transfer or a fusion begins with."""
    return piece.target, FUSED.join(piece.sources), piece.mode, piece.seed


_WORK: dict[Kind, Callable[[StudyJob, Piece, Stopwatch], Rows]] = {
    "train": _train,
    "filter": _filter,
    "score": _score,
    "transfer": _transfer,
    "fuse": _fuse,
}


def _transferred(job: StudyJob, piece: Piece, clock: Stopwatch) -> tuple[Judged, list[Probabilities]]:
    """Accuracy on the test cases after a transfer; and, for fusions, the class probabilities there, which it writes."""
    task, test = _cases(job, piece, clock)
    network, divisor = _trained_network(job, piece, task, clock)
    keep = piece.mode == "full" and job.many_to_one is not None
    found, kept = _evaluated(job, network, divisor, task, test, clock, keep=keep)
    if keep:
        with clock("predictions"):
            write_predictions(_predictions_file(job, piece), kept)
    return found, kept


def _predictions(job: StudyJob, transfer: Piece, clock: Stopwatch) -> list[Probabilities]:
    """Class probabilities on the test cases after a full fine-tuning: as it left them, or by doing it again."""
    with clock("predictions"):
        found = read_predictions(_predictions_file(job, transfer), held_out_cases(job, transfer.target))
    return found or _transferred(job, transfer, clock)[1]


def _predictions_file(job: StudyJob, transfer: Piece) -> Path:
    return job.output / "predictions" / transfer.target / f"{transfer.sources[0]}-seed{transfer.seed}.npz"


def _trained_network(job: StudyJob, piece: Piece, task: Task, clock: Stopwatch) -> tuple[nn.Module, int]:
    """The network of a transfer, and the divisor of the sizes that it takes."""
    training = _training(job, piece)
    if piece.mode == SCRATCH:
        definition = definition_for(task, job.network)
        with clock("training"):
            network, _ = train_network(
                task, definition, training, encoder_weights=job.network.encoder_weights, device=job.device
            )
            return network, size_divisor(definition)
    if piece.mode == UNTRAINED:
        definition = definition_for(task, job.network)
        with clock("training"):
            return head_on_random_weights(task, definition, training, device=job.device), size_divisor(definition)
    source = _source(job, piece.sources[0])
    with clock("training"):
        if not (job.transfer.head_first and job.transfer.full):
            network = fine_tune(source, task, training=training, mode=cast(Mode, piece.mode), device=job.device)
        elif piece.mode == "head":
            head = _retrained_head(job, piece, source, task)
            network = with_head(source, task, head, seed=training.seed, device=job.device)
        else:
            head = _retrained_head(job, replace(piece, mode="head"), source, task)
            network = fine_tune(source, task, training=training, head_first=head, device=job.device)
    return network, size_divisor(source.network_definition)


def _retrained_head(job: StudyJob, transfer: Piece, source: Source, task: Task) -> Head:
    """The head that a transfer in mode ``head`` retrains, for it and for the one in mode ``full`` that starts from it.

    Whichever comes first trains it.
    """
    training = _training(job, transfer)
    depends_on = {
        "source": [source.weights_digest(), source.network_definition, source.activation],
        "task": [data_digest(task.cases), task.class_names],
        "training": training.model_dump(mode="json"),
    }
    file = job.output / "heads" / transfer.target / f"{source.name}-seed{transfer.seed}.npz"
    return kept_head(file, depends_on, lambda: train_head(source, task, training=training, device=job.device))


def _evaluated(
    job: StudyJob,
    network: nn.Module,
    divisor: int,
    task: Task,
    test: Sequence[Case],
    clock: Stopwatch,
    *,
    keep: bool = False,
) -> tuple[Judged, list[Probabilities]]:
    """Accuracy on the test cases; with ``keep`` also the class probabilities of each."""
    labels, kept = [], []
    with clock("evaluation"):
        for outputs in predict_outputs(network, test, divisor=divisor, device=resolve_device(job.device)):
            labels.append(largest_output(outputs))
            if keep:
                kept.append(probabilities(outputs))
        return judged_on(test, labels, task), kept


def _cases(job: StudyJob, piece: Piece, clock: Stopwatch) -> tuple[Task, tuple[Case, ...]]:
    with clock("data"):
        return labelled_task(job, piece.target), held_out_cases(job, piece.target)


def _training(job: StudyJob, piece: Piece) -> TrainingSettings:
    """The settings of the piece's mode, with its seed."""
    settings: TrainingSettings | None = getattr(job.transfer, "head" if piece.mode == UNTRAINED else piece.mode)
    if settings is None:
        raise StudyError(f"{piece.key}: this study leaves the mode out; set transfer.{piece.mode} in a new study")
    return settings.model_copy(update={"seed": piece.seed})


def _source(job: StudyJob, name: str) -> Source:
    """A source of the pool; StudyError where it is not the one that this study trained."""
    source = read_bundle(job.pool_path / name, name)
    theirs = source.metadata.get("medtrans", {}).get("training", {}).get("settings", {})
    ours = {key: getattr(job, key).model_dump(mode="json") for key in ("preprocessing", "training")}
    ours["network"] = _definition(source, job.network_of(name))
    if changes := differences({key: theirs.get(key) for key in ours}, ours):
        raise StudyError(
            f"{job.pool_path / name}: holds a source from other settings ({changes}); "
            "restore the study's pool, or choose another output for a new study"
        )
    return source


def _definition(source: Source, network: NetworkSettings) -> dict[str, Any]:
    """The architecture that the settings describe, for the source's images and classes."""
    return network_definition(
        network.name,
        spatial_dims=source.spatial_dims,
        in_channels=source.in_channels,
        out_channels=source.out_channels,
        width=network.width,
    )


def _trained(job: StudyJob, names: Iterable[str]) -> list[Source]:
    """Those of the sources that are in the pool; the others could not be trained."""
    return [_source(job, name) for name in names if (job.pool_path / name).exists()]
