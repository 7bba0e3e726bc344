from __future__ import annotations

from collections import Counter
from itertools import chain, groupby
from typing import Any

import pytest
from pydantic import ValidationError

from medtrans.config import StudyJob
from medtrans.errors import ConfigError
from medtrans.studies.engine.pieces import Piece
from medtrans.studies.engine.plan import candidates, plan
from medtrans.studies.findings.fusions import plan_fusions
from medtrans.studies.findings.results import Results
from tests.studies.conftest import SOURCES, TARGETS, JobMaker

DATA = {"format": "folder", "root": "nowhere"}


def test_the_waves_of_the_tiny_study(tiny_job: StudyJob) -> None:
    trainings, rest = plan(tiny_job)
    assert trainings == [Piece("train", (source,)) for source in SOURCES]
    # One target bears a source's name: 3 + 4 + 4 = 11 pairs, each in 2 modes with 2 seeds; scratch 3 targets x 2 seeds.
    assert Counter(piece.kind for piece in rest) == {"filter": 3, "score": 11, "transfer": 11 * 2 * 2 + 3 * 2}
    assert Counter(piece.mode for piece in rest if piece.kind == "transfer") == {"head": 22, "full": 22, "scratch": 6}
    keys = [piece.key for piece in chain(trainings, rest)]
    assert len(set(keys)) == len(keys)


def test_the_pieces_of_one_target_come_together_and_in_order(make_job: JobMaker) -> None:
    _, rest = plan(make_job(transfer={"full": None}))
    assert [target for target, _ in groupby(rest, key=lambda piece: piece.target)] == list(TARGETS)
    target = TARGETS[0]
    others = SOURCES[:3]  # the fourth is the target's own
    assert [piece for piece in rest if piece.target == target] == [
        Piece("filter", target=target),
        *[Piece("score", (source,), target) for source in others],
        *[Piece("transfer", (source,), target, "head", seed) for source in others for seed in (0, 1)],
        *[Piece("transfer", (), target, "scratch", seed) for seed in (0, 1)],
    ]


def test_the_own_task_is_a_candidate_only_if_asked_for(make_job: JobMaker) -> None:
    assert candidates(make_job(), "b/T1/GM") == list(SOURCES[:3])
    assert candidates(make_job(), "b/T1/WM") == list(SOURCES)
    assert candidates(make_job(same_task=True), "b/T1/GM") == list(SOURCES)
    _, rest = plan(make_job(same_task=True))
    assert Counter(piece.kind for piece in rest)["score"] == 12


def test_each_architecture_of_a_task_is_a_source(make_job: JobMaker) -> None:
    networks = [{"name": "BasicUNet", "width": 8}, {"name": "DynUNet"}]
    job = make_job(
        sources=[
            {"tasks": ["b/T1/{GM,WM}"], "data": DATA, "networks": networks},
            {"tasks": ["b/T1/WM"], "data": DATA},  # by the study's own network
        ],
        network={"name": "SegResNet"},
    )
    names = [f"b/T1/{structure}@{network}" for structure in ("GM", "WM") for network in ("BasicUNet", "DynUNet")]
    assert list(job.source_groups()) == [*names, "b/T1/WM"]
    widths = [(job.network_of(name).name, job.network_of(name).width) for name in job.source_groups()]
    assert widths == [("BasicUNet", 8), ("DynUNet", 16), ("BasicUNet", 8), ("DynUNet", 16), ("SegResNet", 16)]
    assert candidates(job, "b/T1/WM") == names[:2]  # whatever the architecture, the own task is none
    assert plan(job)[0] == [Piece("train", (name,)) for name in job.source_groups()]


@pytest.mark.parametrize("networks", [[], [{"name": "FCN"}], [{"nme": "DynUNet"}]])
def test_networks_that_are_none(make_job: JobMaker, networks: list[Any]) -> None:
    with pytest.raises(ValidationError):
        make_job(sources=[{"tasks": ["a/T1/GM"], "data": DATA, "networks": networks}])


@pytest.mark.parametrize(
    ("format", "chosen", "measure"),
    [
        ("folder", None, "dice"),
        ("camvid", None, "miou"),
        ("cityscapes", "dice", "dice"),
        ("open-ms", "pixel_accuracy", "pixel_accuracy"),
    ],
)
def test_the_measure_is_that_of_the_field_unless_chosen(
    make_job: JobMaker, format: str, chosen: Any, measure: str
) -> None:
    (group,) = make_job().targets
    group = group.model_copy(update={"data": group.data.model_copy(update={"format": format})})
    assert make_job(measure=chosen).model_copy(update={"targets": (group,)}).accuracy_measure == measure


def test_what_is_left_out_has_no_pieces(make_job: JobMaker) -> None:
    _, rest = plan(make_job(transfer={"head": None, "head_first": False, "scratch": None}, filters={}))
    assert {(piece.kind, piece.mode) for piece in rest} == {("score", ""), ("transfer", "full")}


@pytest.mark.parametrize(
    ("domain", "n_pairs"),
    [("b", 10_000), ("a", 9_900)],  # other tasks; the same tasks, each without its own source
)
def test_a_hundred_sources_on_a_hundred_targets(make_job: JobMaker, domain: str, n_pairs: int) -> None:
    digits = "{0,1,2,3,4,5,6,7,8,9}"
    tasks = f"M{digits}/S{digits}"
    job = make_job(
        sources=[{"tasks": [f"a/{tasks}"], "data": DATA}], targets=[{"tasks": [f"{domain}/{tasks}"], "data": DATA}]
    )
    trainings, rest = plan(job)
    assert len(trainings) == 100
    assert len(rest) == 100 + n_pairs + n_pairs * 2 * 2 + 100 * 2  # filter, score, head and full, scratch


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filters": {"none": {}}}, "filters: the name 'none' stands for no filter, which is always compared"),
        ({"metrics": ["hscore"]}, "metrics: unknown metric 'hscore'; did you mean 'h_score'?"),
        ({"metrics": ["h_score", "leep", "h_score"]}, "metrics: h_score is there twice"),
        ({"seeds": [3, 3]}, "seeds: 3 is there twice"),
        ({"metrics": ["leep", "otce_sim"]}, "many_to_one.metrics: 'h_score' is not among the metrics"),
        ({"transfer": {"head": None, "full": None}}, "transfer: head and full are both null"),
        ({"transfer": {"head": None}}, "transfer.head_first retrains the head as head says, which is null"),
        ({"sources": [{"tasks": ["a/T1/GM", "a/T1/GM"], "data": DATA}]}, "sources: 'a/T1/GM' is there twice"),
        ({"targets": [{"tasks": ["a/T1/GM", "a/T1/{GM,WM}"], "data": DATA}]}, "targets: 'a/T1/GM' is there twice"),
        (
            {"sources": [{"tasks": ["a/T1/GM"], "data": DATA, "networks": [{"width": 8}, {"width": 4}]}]},
            "sources: 'a/T1/GM@BasicUNet' is there twice; name each once",
        ),
        (
            {"sources": [{"tasks": ["a/T1/GM"], "data": DATA, "networks": [{}]}] * 2},
            "sources: 'a/T1/GM@BasicUNet' is there twice",
        ),
        (
            {"sources": [{"tasks": ["a/T1/GM@BasicUNet"], "data": DATA}]},
            "task 'a/T1/GM@BasicUNet': '@' stands between a task and the architecture of a source; rename it",
        ),
        ({"targets": [{"tasks": ["a@b/T1/GM"], "data": DATA}]}, "task 'a@b/T1/GM': '@' stands between a task"),
        (
            {"sources": [{"tasks": ["b/T1/GM"], "data": DATA, "networks": [{}, {"name": "DynUNet"}]}]},
            "targets: 'b/T1/GM' has no source but its own",
        ),
        ({"sources": [{"tasks": ["a/T1/GM + WM"], "data": DATA}]}, "sources: 'a/T1/GM + WM': ' + ' stands between"),
        ({"sources": [{"tasks": ["b/T1/GM"], "data": DATA}]}, "targets: 'b/T1/GM' has no source but its own"),
        (
            {"targets": [{"tasks": ["b/T1/GM#2"], "data": DATA}]},
            "task 'b/T1/GM#2': '#' stands between a task and the num",
        ),
        (
            {"relations": {"groups": {"matter": ["GM", "WN"]}}},
            "relations: no source or target is of structure 'WN'; did you mean 'WM'?",
        ),
        (
            {"transfer": {"head": None, "head_first": False, "untrained": True}},
            "transfer.untrained trains a head as head says, which is null; leave it out",
        ),
    ],
)
def test_a_study_that_cannot_be(make_job: JobMaker, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(make_job(**changes))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_no_fusions_without_many_to_one(make_job: JobMaker, filled_store: Any) -> None:
    assert plan_fusions(make_job(many_to_one=None), Results.read(filled_store)) == []


def test_of_encoder_weights_the_name_counts_and_not_the_folder(make_job: JobMaker) -> None:
    def identity(path: str | None) -> dict:
        sources = [{"tasks": ["a/T1/GM"], "data": DATA, "networks": [{"name": "SegNet", "encoder_weights": path}]}]
        network = {"name": "FCN8s", "encoder_weights": path}
        return make_job(sources=sources, network=network).identity()

    assert identity("here/vgg16.pth") == identity("there/vgg16.pth")
    assert identity("here/vgg16.pth") != identity("here/vgg16_bn.pth")
    assert identity("here/vgg16.pth") != identity(None)


def test_metrics_with_options_are_told_apart(make_job: JobMaker) -> None:
    sharp = {"name": "otce_sim", "epsilon": 0.05}
    job = make_job(metrics=["h_score", sharp, "otce_sim"], many_to_one={"metrics": ["otce_sim(epsilon=0.05)"]})
    plan(job)
    assert job.metric_labels == ("h_score", "otce_sim(epsilon=0.05)", "otce_sim")
    assert job.identity()["metrics"] == ["h_score", sharp, "otce_sim"]
    for metrics, message in (
        ([sharp, sharp], "metrics: otce_sim(epsilon=0.05) is there twice"),
        ([{"name": "otce_sim", "epsilom": 0.05}], "metrics: metric 'otce_sim' has no option 'epsilom'; did you mean"),
    ):
        with pytest.raises(ConfigError) as caught:
            plan(make_job(metrics=metrics, many_to_one=None))
        assert str(caught.value).startswith(message)
