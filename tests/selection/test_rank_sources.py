"""The whole way, through real bundles with random weights."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from medtrans.config import FilterSettings, PreprocessingSettings, SamplerSettings
from medtrans.data.statistics import intensity_quantiles, mean_shape
from medtrans.errors import MedtransError, MedtransWarning, MetricError, SamplingError
from medtrans.features import extract_features
from medtrans.metrics import METRICS, h_score
from medtrans.networks import build_network, network_definition, size_divisor
from medtrans.sampling import sample_pixels
from medtrans.selection import rank_sources
from medtrans.selection.ranking import _grid_notes
from medtrans.sources import Pool, Signature, write_bundle
from medtrans.tasks import Case, Task, TaskName

SAMPLER = SamplerSettings(n_pixels=150, repetitions=3)


def slices(seed: int, shift: float = 0.0) -> tuple[Case, ...]:
    """Four slices of two subjects with a square that is brighter than its surroundings."""
    rng = np.random.default_rng(seed)
    cases = []
    for i in range(4):
        label = np.zeros((40, 36), dtype=np.uint8)
        label[8:24, 10:26] = 1
        image = (rng.normal(size=label.shape) + 2 * label + shift).astype(np.float32)
        cases.append(Case(f"p{i // 2}/z{i}", image[None], label, (1.0, 1.0), f"p{i // 2}", height=0.2 * (i + 1)))
    return tuple(cases)


TARGET = Task(TaskName("here", "FLAIR", "square"), slices(0), ("background", "square"))


def bundle(root, name: str, seed: int, *, in_channels=1, spatial_dims=2, signature="full", shift=0.0, spacing=None):
    task = TaskName.parse(name)
    definition = network_definition(
        "BasicUNet", spatial_dims=spatial_dims, in_channels=in_channels, out_channels=2, width=4
    )
    network = build_network(definition, seed=seed)
    cases = slices(seed + 100, shift)
    told = Signature(task, 2, shape=mean_shape(cases), intensity_quantiles=intensity_quantiles(cases))
    if signature == "full":
        sample = sample_pixels(cases, n_pixels=80, repetitions=1, rng=np.random.default_rng(seed))
        pixels = extract_features(network, cases, sample, divisor=size_divisor(definition))
        told = dataclasses.replace(told, features=pixels.features, labels=sample.label)
    write_bundle(
        root / name,
        network=network,
        definition=definition,
        task=task,
        class_names=("background", "square"),
        preprocessing=PreprocessingSettings(spacing_mm=spacing),
        signature=None if signature is None else told,
        training_record={},
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two sources with a signature, one without, one that reads two channels, one of far intensities."""
    root = tmp_path_factory.mktemp("pool")
    bundle(root, "there/FLAIR/square", 1)
    bundle(root, "there/T1/square", 2, spacing=2.0)
    bundle(root, "there/FLAIR/bare", 3, signature=None)
    bundle(root, "there/T1+T2/square", 4, in_channels=2, signature=None)
    bundle(root, "there/CT/square", 5, shift=40.0)
    return root


@pytest.fixture(scope="module")
def pool(root):
    return Pool(root)


@pytest.fixture(scope="module")
def ranking(pool):
    filters = FilterSettings(modality=True, roi=True, max_modality_distance=1, min_shape_similarity=0.2, min_pool=1)
    return rank_sources(
        TARGET, pool, metrics=("h_score", "otce_sim"), sampler=SAMPLER, filters=filters, exclude=["nobody"], seed=7,
        device="cpu",
    )  # fmt: skip


def test_sources_that_can_be_ranked_are(ranking):
    assert sorted(ranking.order("h_score")) == ["there/FLAIR/bare", "there/FLAIR/square", "there/T1/square"]
    assert sorted(ranking.order("otce_sim")) == ["there/FLAIR/square", "there/T1/square"]
    assert ranking.n_pixels == 150
    assert {len(score.values) for score in ranking.scores} == {3}
    assert len(set(ranking.scores[0].values)) == 3


def test_what_cannot_be_had_has_a_reason(ranking):
    reasons = {(lack.source, lack.metric): lack.reason for lack in ranking.missing}
    assert set(reasons) == {
        ("there/FLAIR/bare", "otce_sim"),
        ("there/T1+T2/square", "h_score"),
        ("there/T1+T2/square", "otce_sim"),
        ("there/T1+T2/square", "expected Dice"),
    }
    assert "signature" in reasons["there/FLAIR/bare", "otce_sim"]
    assert reasons["there/T1+T2/square", "h_score"] == "the source reads 2 channels, the target has 1"


def test_the_far_source_was_dropped_with_a_reason(ranking):
    (dropped,) = ranking.dropped
    assert dropped.source == "there/CT/square"
    assert "CT is not FLAIR" in dropped.reason


def test_notes_tell_what_a_reader_should_know(ranking):
    text = "\n".join(ranking.notes)
    assert "Trained on pixels of 2 x 2 mm, while the target's are 1 x 1 mm: there/T1/square." in text
    assert "Excluded, but not in the pool: nobody." in text
    assert "Not filtered" in text


def test_values_are_the_metric_of_the_network_at_the_sampled_pixels(ranking, pool):
    sample = sample_pixels(TARGET.cases, n_pixels=150, repetitions=3, rng=np.random.default_rng(7))
    source = pool["there/T1/square"]
    divisor = size_divisor(source.network_definition)
    pixels = extract_features(source.load_network(), TARGET.cases, sample, divisor=divisor)
    expected = tuple(h_score(pixels.features[chosen], sample.label[chosen]) for chosen in sample.repetitions)
    (score,) = [score for score in ranking.by("h_score") if score.source == source.name]
    assert score.values == expected


def test_the_same_seed_gives_the_same_ranking_bit_for_bit(ranking, pool):
    filters = FilterSettings(modality=True, roi=True, max_modality_distance=1, min_shape_similarity=0.2, min_pool=1)
    metrics = ("h_score", "otce_sim")
    arguments = {"metrics": metrics, "sampler": SAMPLER, "filters": filters, "exclude": ["nobody"], "device": "cpu"}
    again = rank_sources(TARGET, pool, seed=7, **arguments)
    assert again == ranking
    assert rank_sources(TARGET, pool, seed=8, **arguments).scores != ranking.scores


def test_provenance_holds_seed_settings_versions_and_seconds(ranking):
    provenance = ranking.provenance
    assert provenance.seed == 7
    assert provenance.settings["sampler"]["n_pixels"] == 150
    assert set(provenance.versions) == {"medtrans", "torch", "monai", "numpy"}
    along = {"head_dice", "zero_shot_dice"}  # for the expected accuracy
    assert set(provenance.seconds) == {"filters", "sampling", "features", "h_score", "otce_sim"} | along


def test_the_picture_shows_the_slice_with_most_pixels_anterior_up(ranking):
    picture = ranking.picture
    case = next(case for case in TARGET.cases if case.id == picture.case)
    np.testing.assert_array_equal(picture.image, case.image[0].T[::-1])
    sample = sample_pixels(TARGET.cases, n_pixels=150, repetitions=3, rng=np.random.default_rng(7))
    first = sample.repetitions[0]
    counts = np.bincount(sample.case_index[first], minlength=4)
    assert TARGET.cases[counts.argmax()] is case
    labels = sample.label[first][sample.case_index[first] == counts.argmax()]
    np.testing.assert_array_equal(picture.label[tuple(picture.position.T)], labels)


def test_progress_names_each_source(pool):
    calls = []
    rank_sources(
        TARGET, pool, metrics=["h_score"], sampler=SAMPLER, filters=None, progress=lambda *call: calls.append(call)
    )
    assert [call[2] for call in calls[:-1]] == [source.name for source in pool]
    assert calls[-1][:2] == (5, 5)


def test_excluded_sources_do_not_take_part(pool):
    names = [source.name for source in pool]
    ranking = rank_sources(TARGET, pool, metrics=["h_score"], sampler=SAMPLER, filters=None, exclude=names[1:])
    assert ranking.sources == (names[0],)
    with pytest.raises(MedtransError, match="every source is excluded"):
        rank_sources(TARGET, pool, exclude=names)


def test_a_source_that_a_filter_drops_is_never_loaded(tmp_path):
    bundle(tmp_path, "there/FLAIR/square", 1)
    bundle(tmp_path, "there/CT/square", 5, shift=40.0)
    (tmp_path / "there/CT/square/models/model.pt").write_bytes(b"not weights")
    ranking = rank_sources(
        TARGET,
        Pool(tmp_path),
        sampler=SAMPLER,
        filters=FilterSettings(modality=True, roi=True, max_modality_distance=1, min_pool=1),
    )
    assert [dropped.source for dropped in ranking.dropped] == ["there/CT/square"]
    assert ranking.missing == ()


def test_broken_weights_are_missing_and_a_broken_bundle_is_a_note_while_the_rest_is_ranked(tmp_path):
    bundle(tmp_path, "there/FLAIR/square", 1)
    bundle(tmp_path, "there/FLAIR/weights", 1)
    bundle(tmp_path, "there/FLAIR/text", 1)
    (tmp_path / "there/FLAIR/weights/models/model.pt").write_bytes(b"not weights")
    (tmp_path / "there/FLAIR/text/configs/metadata.json").write_text("{")
    with pytest.warns(MedtransWarning):
        pool = Pool(tmp_path)
    with pytest.warns(MedtransWarning, match="'there/FLAIR/weights' is left out"):
        ranking = rank_sources(TARGET, pool, metrics=["h_score"], sampler=SAMPLER, filters=None)
    assert ranking.order() == ["there/FLAIR/square"]
    assert [(lack.source, lack.metric) for lack in ranking.missing] == [
        ("there/FLAIR/weights", "h_score"),
        ("there/FLAIR/weights", "expected Dice"),
    ]
    assert "model.pt" in ranking.missing[0].reason
    assert any("there/FLAIR/text" in note for note in ranking.notes)


def test_fewer_pixels_than_asked_for_means_no_spread_and_a_note(pool):
    ranking = rank_sources(
        TARGET, pool, metrics=["h_score"], filters=None, sampler=SamplerSettings(n_pixels=10**6, repetitions=3)
    )
    assert {score.spread for score in ranking.scores} == {0}
    assert any("spread is 0" in note for note in ranking.notes)


def test_a_negative_seed_is_refused(pool):
    with pytest.raises(SamplingError, match="seed is -1"):
        rank_sources(TARGET, pool, sampler=SAMPLER, seed=-1)


def test_equal_sources_share_the_first_place(tmp_path):
    for name in ("a/FLAIR/x", "b/FLAIR/x"):
        bundle(tmp_path, name, 1)
    ranking = rank_sources(TARGET, Pool(tmp_path), metrics=["h_score"], sampler=SAMPLER, filters=None)
    assert [(score.place, score.first_share) for score in ranking.scores] == [("1=", 0.5), ("1=", 0.5)]


def test_one_class_only_is_an_error_that_says_so(pool):
    flat = [dataclasses.replace(case, label=np.zeros_like(case.label)) for case in TARGET.cases]
    target = Task(TARGET.name, tuple(flat), TARGET.class_names)
    with pytest.raises(MedtransError, match="all of one class"):
        rank_sources(
            target, pool, metrics="h_score", sampler=SamplerSettings(kind="uniform", n_pixels=50), filters=None
        )
    with pytest.raises(SamplingError):
        rank_sources(target, pool, sampler=SAMPLER, filters=None)


def test_if_no_source_fits_the_error_gives_the_first_reason(pool):
    two = [dataclasses.replace(case, image=np.repeat(case.image, 3, axis=0)) for case in TARGET.cases]
    target = Task(TARGET.name, tuple(two), TARGET.class_names)
    with pytest.raises(MedtransError, match=r"no source can be ranked.*the target has 3"):
        rank_sources(target, pool, sampler=SAMPLER, filters=None)


def test_an_unknown_metric_is_refused_before_any_work(pool):
    with pytest.raises(MetricError, match=r"h_scor.*did you mean 'h_score'"):
        rank_sources(TARGET, pool, metrics=["h_scor"])
    with pytest.raises(MetricError, match="no metric"):
        rank_sources(TARGET, pool, metrics=[])


def test_volumes_are_ranked_in_windows(tmp_path):
    rng = np.random.default_rng(0)
    label = np.zeros((24, 20, 18), dtype=np.uint8)
    label[6:16, 6:14, 5:12] = 1
    image = (rng.normal(size=label.shape) + label).astype(np.float32)
    target = Task(TARGET.name, (Case("p", image[None], label, (1.0, 1.0, 2.0)),), TARGET.class_names)
    bundle(tmp_path, "there/FLAIR/solid", 1, spatial_dims=3, signature=None)
    ranking = rank_sources(target, Pool(tmp_path), metrics=["h_score"], sampler=SAMPLER)
    assert ranking.order() == ["there/FLAIR/solid"]
    assert ranking.picture.image.shape == (20, 24)
    assert ranking.picture.label[tuple(ranking.picture.position.T)].size == len(ranking.picture.position)


def test_photographs_are_compared_by_their_size() -> None:
    case = Case("a", np.ones((3, 60, 80), np.float32), np.zeros((60, 80), np.uint8), (1.0, 1.0), kind="photograph")
    target = Task(TaskName("camvid", "RGB", "11-classes"), (case,), ("sky", "building"))
    sizes = {"same": (60, 80), "larger": (120, 160), "as-it-was": None}
    sources = [SimpleNamespace(name=it, preprocessing={"size": size}, spatial_dims=2) for it, size in sizes.items()]
    assert _grid_notes(target, sources) == [
        "Trained on images of 120 x 160 pixels, while the target's are 60 x 80 pixels: larger."
    ]


def test_a_signature_of_an_older_version_is_noted_and_ranked_by_what_it_still_allows(tmp_path) -> None:
    bundle(tmp_path, "there/FLAIR/square", 1)
    bundle(tmp_path, "there/T1/square", 2)
    file = tmp_path / "there/T1/square/signature/signature.json"
    file.write_text(file.read_text().replace('"format": 2', '"format": 1'))
    found = rank_sources(TARGET, Pool(tmp_path), metrics=("h_score", "otce_sim"), sampler=SAMPLER, device="cpu")
    assert sorted(found.order("h_score")) == ["there/FLAIR/square", "there/T1/square"]
    assert found.order("otce_sim") == ["there/FLAIR/square"]
    (missing,) = found.missing
    assert (missing.source, missing.metric) == ("there/T1/square", "otce_sim")
    assert "older version" in missing.reason
    (note,) = [note for note in found.notes if "older version" in note]
    assert "there/T1/square" in note
    assert "there/FLAIR/square" not in note


# What users hand over


def test_a_metric_with_options_is_told_apart_from_itself(pool) -> None:
    sharp = ("otce_sim", {"epsilon": 0.02})
    found = rank_sources(TARGET, pool, metrics=[sharp, "otce_sim"], sampler=SAMPLER, filters=None, device="cpu")
    assert found.metrics == ("otce_sim(epsilon=0.02)", "otce_sim")
    assert found.by("otce_sim(epsilon=0.02)")[0].mean != found.by("otce_sim")[0].mean
    assert found.provenance.settings["metrics"] == [{"name": "otce_sim", "epsilon": 0.02}, "otce_sim"]
    assert "otce_sim(epsilon=0.02)" in str(found)
    assert {lack.metric for lack in found.missing} == {"otce_sim(epsilon=0.02)", "otce_sim", "expected Dice"}


def test_the_meaning_of_simple_things_is_taken(pool, root) -> None:
    as_said = {"n_pixels": 150, "repetitions": 3}
    plain = rank_sources(TARGET, pool, metrics=["h_score"], sampler=SAMPLER, exclude=["there/CT/square"], device="cpu")
    found = rank_sources(
        TARGET, str(root), metrics="h_score", sampler=as_said, filters={}, exclude=pool["there/CT/square"].task,
        device="cpu",
    )  # fmt: skip
    assert found == plain
    assert rank_sources(TARGET, root, metrics=METRICS["h_score"], sampler=SAMPLER, exclude="there/CT/square") == plain
    assert pool[TaskName("there", "T1", "square")] is pool["there/T1/square"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "here/FLAIR/square"}, "target: 'here/FLAIR/square' is only a name; load its cases: load_task("),
        ({"target": TARGET.cases}, "target: is a tuple; give a Task"),
        ({"pool": "nowhere/pool"}, "pool 'nowhere/pool': no such folder"),
        ({"pool": ["there/T1/square"]}, "pool: 'there/T1/square' is only a name; give the Pool"),
        ({"pool": 3}, "pool: is a int; give a Pool"),
        ({"metrics": "h_scor"}, "unknown metric 'h_scor'; did you mean 'h_score'?"),
        ({"metrics": [3]}, "metrics: 3 is no metric"),
        ({"metrics": ("otce_sim", {"epsilom": 1})}, "metric 'otce_sim' has no option 'epsilom'; did you mean 'eps"),
        ({"metrics": [("h_score", {"k": 1})]}, "metric 'h_score' has no option 'k'; it has none"),
        ({"metrics": [("otce_sim", {"epsilon": [1]})]}, "metric 'otce_sim': option 'epsilon' is [1]; give a number"),
        ({"metrics": []}, "no metric to rank by"),
        ({"metrics": None}, "metrics: None is no metric"),
        ({"metrics": {"otce_sim": {"epsilon": 0.05}}}, "metrics: {'otce_sim': {'epsilon': 0.05}} is no metric"),
        ({"metrics": ("otce_sim", {"epsilon": True})}, "metric 'otce_sim': option 'epsilon' is True; give a number"),
        ({"metrics": ("otce_sim", {"epsilon": "5e-2"})}, "metric 'otce_sim': option 'epsilon' is '5e-2'; give a num"),
        ({"metrics": ("otce_sim", {"epsilon": -1})}, "epsilon is -1, but must be positive"),
        ({"metrics": ("otce_sim", {"cost_scale": "maxx"})}, "unknown cost_scale 'maxx'"),
        ({"metrics": ("jc_otce", {"gamma": 2})}, "gamma is 2, but it is a weight"),
        ({"metrics": ["h_score", dataclasses.replace(METRICS["leep"], name="h_score")]}, "metrics: two different ones"),
        ({"pool": [1, 2]}, "pool: holds a int"),
        ({"exclude": 5}, "exclude: is a int"),
        ({"seed": "a"}, "seed is a; give a whole number"),
        ({"sampler": {"n_pixel": 3}}, "sampler: unknown key 'n_pixel'; did you mean 'n_pixels'?"),
        ({"sampler": {"n_pixels": 0}}, "sampler: key 'n_pixels': input should be greater than or equal to 1"),
        ({"sampler": "boundary"}, "sampler: is a str; give SamplerSettings, or a dictionary"),
        ({"filters": {"roi": 3}}, "filters: key 'roi'"),
    ],
)
def test_anything_else_is_one_line(pool, changes, message) -> None:
    arguments = {"target": TARGET, "pool": pool, "sampler": SAMPLER, "device": "cpu", **changes}
    with pytest.raises(MedtransError) as caught:
        rank_sources(**arguments)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
