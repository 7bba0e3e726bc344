from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from medtrans.config import StudyJob
from medtrans.report.panels import MINUS, NONE, Cell, Head, Row, Table, with_best
from medtrans.report.study.figures import fusion_figure, heat_map, scatter
from medtrans.report.study.page import find, script_json, study_html, write_study_report
from medtrans.report.study.record import (
    dropped_by,
    failure_table,
    fusion_table,
    parts_table,
    people_table,
    scratch_table,
    unfinished,
)
from medtrans.report.study.tables import filter_table, summary_table, target_table
from medtrans.report.study.text import Findings, answer
from medtrans.selection.evidence import read_evidence
from medtrans.studies.engine.pieces import Piece
from medtrans.studies.engine.plan import plan
from medtrans.studies.engine.progress import states
from medtrans.studies.engine.store import Store
from medtrans.studies.findings.fusions import plan_fusions
from medtrans.studies.findings.many_to_one import many_to_one_summary, many_to_one_table
from medtrans.studies.findings.results import Results
from tests.report.ranking.test_page import Page
from tests.studies.conftest import SOURCES, TARGETS, outcome_of, tiny_settings

HOSTILE = "</script><script>alert(1)</script>&\"'<!--"
RENAMED = {"a/T1/GM": "a/T1/<!-- <script>alert(2) & %{x} GM", "b/T1/WM": "b/T1/<img src=x onerror=alert(3)>"}


def always(piece: Piece) -> bool:
    return True


def results_of(
    folder: Path,
    *,
    done: Callable[[Piece], bool] = always,
    failed: Callable[[Piece], bool] | None = None,
    **changes: Any,
) -> Results:
    """The tiny study with some settings changed, some pieces not done and some failed."""
    job = StudyJob.model_validate(tiny_settings(folder / "study") | changes)
    with Store.open(job.store_path, job) as store:
        for piece in (piece for wave in plan(job) for piece in wave):
            if failed is not None and failed(piece):
                store.record_failure(piece, "case 'p1': no foreground; choose others", 1.0)
            elif done(piece):
                store.record(piece, outcome_of(piece))
        for piece in plan_fusions(job, Results.read(job.store_path)):
            if done(piece):
                store.record(piece, outcome_of(piece))
    return Results.read(job.store_path)


def with_frame(results: Results, name: str, frame: pd.DataFrame) -> Results:
    return dataclasses.replace(results, frames={**results.frames, name: frame})


def renamed(results: Results) -> Results:
    """Names of a source, a target, the sampler and the filter that are markup."""
    texts = {**RENAMED, "boundary": HOSTILE, "default": HOSTILE}
    job = results.job.model_dump(mode="json")
    job["sources"] = [{"tasks": [RENAMED.get(name, name)], "data": job["sources"][0]["data"]} for name in SOURCES]
    job["targets"] = [{"tasks": [RENAMED.get(name, name)], "data": job["targets"][0]["data"]} for name in TARGETS]
    job["samplers"] = {HOSTILE: job["samplers"]["boundary"]}
    job["filters"] = {HOSTILE: job["filters"]["default"]}
    frames = {name: frame.replace(texts) for name, frame in results.frames.items()}
    return dataclasses.replace(results, job=StudyJob.model_validate(job), frames=frames)


def html_of(results: Results) -> str:
    return study_html(results, find(results), many_to_one_summary(many_to_one_table(results), results.people))


def words_of(text: str) -> str:
    """What the page says, without its scripts and styles."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    return " ".join(Page(bare).words.split())


def figures_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, flags=re.DOTALL)
    assert found is not None
    figures: dict[str, Any] = json.loads(found.group(1))
    return figures


def cells(table: Table, *first: str) -> list[Cell]:
    """The cells after those that name the row."""
    rows = [row for row in table.rows if tuple(cell.text for cell in row.cells[: len(first)]) == first]
    assert len(rows) == 1
    return list(rows[0].cells[len(first) :])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return results_of(tmp_path_factory.mktemp("complete"))


@pytest.fixture(scope="module")
def findings(results: Results) -> Findings:
    return find(results)


@pytest.fixture(scope="module")
def text(results: Results) -> str:
    return html_of(results)


def test_page_evidence_and_tables_are_written_and_nothing_else(results, tmp_path):
    paths = write_study_report(results, tmp_path / "report")
    assert [path.name for path in paths[:2]] == ["report.html", "evidence.json"]
    assert {path.name for path in paths} == {path.name for path in (tmp_path / "report").iterdir()}
    assert {"agreement.csv", "summary.csv", "ceilings.csv", "repeatability.csv", "many_to_one.csv"} <= {
        path.name for path in paths
    }
    assert {"transfers.csv", "scores.csv", "candidates.csv", "pieces.csv"} <= {path.name for path in paths}
    assert read_evidence(paths[1]).findings
    assert (pd.read_csv(paths[0].with_name("agreement.csv"))["spearman"].max()) == pytest.approx(1)


def test_nothing_is_loaded_from_a_network(text):
    assert Page(text).links == []
    assert "default-src 'none'" in text
    scripts = re.findall(r"<script.*?</script>", text, flags=re.DOTALL)
    plotly = max(scripts, key=len)
    assert text.count(plotly) == 1
    assert not re.search(r"https?://|@import|url\(", text.replace(plotly, ""))


def test_the_answer_tells_what_ranks_best_and_what_it_gains(results, findings, text):
    """h_score ranks as the truth does. Its first pick gains 0.1 s over the mean of s: 0.1, 0.15 and 0.15."""
    told = answer(results, findings, "head")
    assert "h_score (no filter) ranks best: mean Spearman correlation 1.00 over 3 targets" in told
    assert "100% of the ceiling 1.00" in told
    assert "These means have no intervals, so what is chance cannot be said: who was scanned is not recorded." in told
    assert "It is the best of 4 ways, chosen on these same targets, so a little flattered. Its first pick" in told
    assert "gives 0.133 more Dice than a random pick; the best source would give 0.133 more" in told
    assert "on 3 of 3 targets the best source stands out" in told
    assert "Its first pick gives 0.000 more Dice than that of static order; whether" in told
    words = words_of(text)
    assert "h_score ranks the sources best in both modes" in words
    assert "With all layers fine-tuned, h_score" in words
    assert "not complete" not in words


def on_people(results: Results, *people: str) -> Results:
    """The targets are judged on these people, one each."""
    frame = pd.DataFrame({"target": results.targets, "person": people})
    return with_frame(results, "people", frame)


@pytest.mark.parametrize(
    ("people", "said"),
    [
        (("anna", "anna", "anna"), "all is judged on one person"),
        (("anna", "berta", "berta"), "only 2 groups of targets share no people, and it takes 4"),
        (None, "who was scanned is not recorded"),
    ],
)
def test_the_page_says_why_there_are_no_intervals(results, people, said):
    known = on_people(results, *people) if people else results
    words = words_of(html_of(known))
    assert words.count(f"These means have no intervals, so what is chance cannot be said: {said}.") == 2  # modes
    note = summary_table(known, find(known), "head").note
    assert "No intervals" in note
    assert f": {said}." in note
    assert note in words
    assert words.count(f"No intervals: {said}.") >= 2  # below the tables of several sources
    assert "…" not in words


def test_with_four_people_the_page_has_intervals(tmp_path, monkeypatch):
    """h_score gains 0.1 over the mean on b/T1/GM, where one source is the target's own, and 0.15 on the others."""
    monkeypatch.setattr("tests.studies.conftest.TARGETS", (*TARGETS, "b/T3/WM"))
    data = {"format": "folder", "root": "nowhere"}
    results = results_of(tmp_path, targets=[{"tasks": [*TARGETS, "b/T3/WM"], "data": data}])
    findings = find(on_people(results, "anna", "berta", "clara", "dora"))
    told = answer(results, findings, "head")
    low, high = stats.t.interval(0.95, 3, 0.1375, stats.sem([0.1, 0.15, 0.15, 0.15]))
    assert "mean Spearman correlation 1.00 [1.00…1.00] over 4 targets, 100% of the ceiling 1.00" in told
    assert f"gives 0.138 [{low:.3f}…{high:.3f}] more Dice" in told
    assert "more Dice than that of static order, which may be chance." in told
    assert "no interval" not in told
    # without a score for one of its three candidates, otce_sim cannot be judged on b/T1/GM
    note = summary_table(results, findings, "head").note
    assert note.endswith(
        "No intervals for otce_sim (boundary, none), otce_sim (boundary, default): only 3 groups of "
        "targets share no people, and it takes 4."
    )


def test_the_summary_has_the_ceiling_among_the_metrics_and_marks_the_best(results, findings):
    table = summary_table(results, findings, "head")
    assert cells(table, "ceiling", "", "")[0].text == "1.00"
    spearman, _, ahead, kendall, *_, gain, pick_ahead = cells(table, "h_score", "boundary", "none")
    assert (spearman.text, spearman.mark, kendall.text, gain.text) == ("1.00", "best", "1.00", "+0.133")
    # names ties b/T1/GM's two of its own modality ..., so the static order is the best baseline, and it is as right
    assert (ahead.text, pick_ahead.text) == ("+0.00", "+0.000")
    assert [row.mark for row in table.rows if row.cells[0].text in ("names", "static order", "chance")] == [
        "baseline"
    ] * 3
    assert all(cell.mark == "" for cell in cells(table, "ceiling", "", ""))
    order = [row.cells[3].value for row in table.rows]
    assert order == sorted(order, reverse=True)


def test_every_target_has_the_agreement_of_its_seeds_and_of_metrics(results, findings):
    """otce_sim ranks b/T1/WM as s0, s1, s3, and s2 last without a score; truly s3, s2, s1, s0: d = 3, 1, 2, 2."""
    table = target_table(results, findings, "head", "boundary", "none")
    n, seeds, noise, h_score, otce_sim, regret, regret_otce, told = cells(table, "b/T1/WM")
    assert (n.text, seeds.text, noise.text) == ("4", "1.00", "0.000")
    assert (h_score.text, h_score.mark) == ("1.00", "best")
    assert otce_sim.value == pytest.approx(1 - 6 * (9 + 1 + 4 + 4) / (4 * 15))
    assert (regret.text, regret_otce.text) == ("0.000", "0.300")
    assert told.text == "the best source is clear"


def test_where_all_differences_are_noise_the_words_say_so(results):
    """One seed ranks the sources in one order, the other in nearly the reverse."""
    transfers = results.frames["transfers"].copy()
    place = transfers["source"].map({source: s for s, source in enumerate(SOURCES)}).fillna(0)
    transfers["dice"] = np.where(transfers["seed"] == 0, 0.5 + 0.1 * place, 0.8 - 0.09 * place)
    findings = find(with_frame(results, "transfers", transfers))
    told = cells(target_table(results, findings, "head", "boundary", "none"), "b/T2/WM")[-1]
    assert told.text == "differences smaller than the noise"
    assert "all differences are smaller than the noise" in answer(results, findings, "head")


def test_the_effect_of_a_filter_is_told_by_target(results, findings):
    """The filter drops s0. otce_sim then ranks s1, s3, and s0 and s2 tied: off by 2, 1, 0.5 and 1.5 places."""
    table = filter_table(results, findings, "head", "boundary", "default", "footrule")
    dropped, best, h_score, otce_sim = cells(table, "b/T1/WM")
    assert (dropped.text, best.text) == ("1 of 4", "kept")
    assert (h_score.text, h_score.mark) == ("0 → 0", "faint")
    assert (otce_sim.text, otce_sim.small, otce_sim.mark) == ("8 → 5", f"{MINUS}3", "better")
    assert dropped_by(results, "default") == [(target, [("a/T1/GM", "T1 is not like it.")]) for target in TARGETS]


def test_a_filter_that_drops_the_best_source_is_told(results):
    candidates = results.frames["candidates"].assign(kept=lambda frame: frame["source"] != "b/T1/GM")
    changed = with_frame(results, "candidates", candidates)
    best = cells(filter_table(changed, find(changed), "head", "boundary", "default", "footrule"), "b/T1/WM")[1]
    assert (best.text, best.small) == ("dropped", "b/T1/GM")


def test_fusions_tell_what_further_sources_add(results):
    """Each further one adds 0.01 to the best of them, which the choice by truth has from the first."""
    summary = many_to_one_summary(many_to_one_table(results), results.people)
    table = fusion_table(results, summary, "head")
    rows = [row.cells for row in table.rows if row.cells[0].text == "truth"]
    assert [row[4].text for row in rows] == [NONE, "+0.010", "+0.020"]
    assert [row[5].text for row in rows] == [NONE, "+0.010", "+0.010"]
    lines = {trace.name: trace for trace in fusion_figure(results, summary, "head").data}
    assert set(lines) == {"chosen by h_score", "chosen by truth", "chosen by random"}
    assert list(lines["chosen by truth"].x) == [1, 2, 3]
    assert np.diff(lines["chosen by truth"].y) == pytest.approx([0.01, 0.01], abs=1e-4)


def test_transfer_is_held_against_training_from_scratch(results):
    """On b/T1/WM Dice is 0.51 + 0.1 s, and 0.4 from scratch, both 0.01 more as mean over seeds."""
    scratch, mean, best, above, *_ = cells(scratch_table(results), "b/T1/WM")
    assert [cell.text for cell in (scratch, mean, best, above)] == ["0.410", "0.670", "0.820", "4 of 4"]
    assert best.small == "b/T1/GM"


def test_the_heat_map_shows_every_transfer_in_the_order_of_the_clusters(results):
    figure = heat_map(results, "head", "accuracy")
    cells = figure.data[0]
    sources, targets = figure.layout.yaxis.ticktext, figure.layout.xaxis.ticktext
    assert set(sources) == set(SOURCES)
    assert set(targets) == set(TARGETS)
    truth = results.truth("head")
    for i, source in enumerate(sources):
        for j, target in enumerate(targets):
            wanted = truth.loc[target, source]
            assert cells.z[i][j] == (None if np.isnan(wanted) else pytest.approx(wanted, abs=1e-4))
    i, j = sources.index("b/T1/GM"), targets.index("b/T1/WM")
    assert cells.text[i][j] == "<b>.82</b>"  # the best of its target
    assert "Dice 0.820 (seeds: 0.810, 0.830)<br>place 1 of 4" in cells.hovertext[i][j]
    assert cells.text[i][targets.index("b/T1/GM")] == ""
    assert sources in (SOURCES, SOURCES[::-1])  # Dice grows with s, so neighbours are alike
    assert len(figure.data) == 1 + len(SOURCES) - 1  # the cells, and a branch for each join


def test_the_heat_map_can_show_differences_to_the_mean_of_the_target(results):
    figure = heat_map(results, "head", "difference")
    column = figure.layout.xaxis.ticktext.index("b/T1/WM")
    shown = dict(zip(figure.layout.yaxis.ticktext, (row[column] for row in figure.data[0].z), strict=True))
    assert [shown[source] for source in SOURCES] == pytest.approx([-0.15, -0.05, 0.05, 0.15])
    assert figure.data[0].zmax == -figure.data[0].zmin


def test_the_scatter_has_a_point_for_each_score_and_the_correlation(results, findings):
    figure = scatter(results, findings, "head", "otce_sim", "boundary")
    trace = next(trace for trace in figure.data if trace.name == "b/T1/WM")
    assert dict(zip(trace.text, trace.x, strict=True)) == {"a/T1/GM": 0, "a/T1/WM": -1, "b/T1/GM": -3}
    assert trace.y == pytest.approx((0.52, 0.62, 0.82))
    assert trace.meta == f"b/T1/WM: Spearman correlation {MINUS}0.80 over 4 sources; 1 source without a score not shown"
    assert figure.layout.meta.startswith("Spearman correlation within a target: mean")


def test_every_switch_has_a_variant_for_each_combination(text):
    figures = figures_of(text)
    assert set(figures["heat"]) == {"0-0", "0-1", "1-0", "1-1"}  # modes x views
    assert set(figures["scatter"]) == {"0-0-0", "0-1-0", "1-0-0", "1-1-0"}  # modes x metrics x samplers
    assert set(figures["fusions"]) == {"0", "1"}
    variants = re.findall(r'data-variant="([\d-]+)"( hidden)?', text)
    assert {key for key, hidden in variants if not hidden} == {"0", "0-0-0", "0-0-0-0"}


def test_names_from_elsewhere_are_escaped(results):
    hostile = renamed(results)
    text = html_of(hostile)
    tags = Page(text).tags
    assert tags.count("script") == 4  # sorting, plotly, the figures, the switches
    assert "img" not in tags
    assert "alert(2)" in words_of(text)
    assert HOSTILE in words_of(text)
    figures = figures_of(text)
    assert "b/T1/&lt;img src=x onerror=alert(3)&gt;" in figures["heat"]["0-0"]["layout"]["xaxis"]["ticktext"]


@pytest.mark.parametrize(("measure", "name"), [("miou", "mIoU"), ("pixel_accuracy", "pixel accuracy")])
def test_the_page_speaks_of_the_study_s_measure_alone(results, measure, name):
    """By mIoU, here 1 - Dice, the first pick of h_score is the worst source; by pixel accuracy all tie."""
    changed = dataclasses.replace(results, job=results.job.model_copy(update={"measure": measure}))
    text = html_of(changed)
    plotly = max(re.findall(r"<script.*?</script>", text, flags=re.DOTALL), key=len)
    rest = text.replace(plotly, "").split("<details><summary>Settings")[0]
    assert "Dice" not in rest
    figures = figures_of(text)
    assert f"<br>{name} " in json.dumps(figures["heat"]["0-0"])
    for figure, axis in (("scatter", f"{name} after transfer"), ("fusions", f"{name}, mean over the targets")):
        variants = figures[figure]
        assert next(iter(variants.values()))["layout"]["yaxis"]["title"]["text"] == axis
    words = words_of(text)
    assert f"The {name} on the target" in words
    if measure == "miou":
        assert "Its first pick gives 0.133 less mIoU than a random pick" in words
    else:
        assert "the truth of all candidates ties" in words


def test_json_in_a_script_element_cannot_end_it():
    assert "<" not in script_json({"a": HOSTILE})
    assert json.loads(script_json({"a": HOSTILE})) == {"a": HOSTILE}


def test_one_seed_and_one_mode_leave_the_ceiling_unknown(tmp_path):
    results = results_of(tmp_path, seeds=[0], transfer={"full": None, "scratch": None}, many_to_one=None, filters={})
    words = words_of(html_of(results))
    assert "how much is possible cannot be known from one seed" in words
    assert "The ceiling cannot be known" in words
    assert "ceiling unknown" in words
    assert "one seed: how noisy the truth is cannot be said" in words
    assert "fine-tuned" not in words
    assert "What did the filters drop" not in words
    assert "from scratch?" not in words
    assert "third source" not in words


def test_a_study_that_has_just_begun_says_what_is_missing(tmp_path):
    results = results_of(tmp_path, done=lambda piece: piece.kind == "train")
    paths = write_study_report(results, tmp_path / "report")
    text = paths[0].read_text(encoding="utf-8")
    words = words_of(text)
    n_pieces = 4 + 3 + 11 + 11 * 2 * 2 + 3 * 2  # trainings, filters, scores, transfers, scratch
    assert f"of {n_pieces} pieces {n_pieces - 4} are still to be done" in words
    assert "No ranking can be judged yet" in words
    assert len(text) < 100_000  # no figure, so no plotly


def test_an_unfinished_study_is_judged_on_the_targets_that_are_there(tmp_path):
    results = results_of(tmp_path, done=lambda piece: piece.target in ("", "b/T1/WM"))
    findings = find(results)
    assert "mean Spearman correlation 1.00 over 1 target" in answer(results, findings, "head")
    note = "Left out: 2 targets (fewer than 3 candidates have a truth)."
    assert note in summary_table(results, findings, "head").note
    *_, told = cells(target_table(results, findings, "head", "boundary", "none"), "b/T2/WM")
    assert told.text == "0 sources have a truth: too few to compare"


def test_failures_are_listed_with_their_errors_and_what_they_block(tmp_path):
    bad = "a/T1/WM"
    results = results_of(
        tmp_path,
        failed=lambda piece: piece.kind == "train" and piece.sources == (bad,),
        done=lambda piece: bad not in piece.sources,
    )
    state = states(results)
    assert (state["failed"], state["blocked"], state["left"]) == (1, 3 + 3 * 2 * 2, 0)  # scores, transfers
    assert "1 failed, 15 wait for a source that could not be trained" in unfinished(state)
    error, attempts = cells(failure_table(results), f"train {bad}")
    assert (error.text, attempts.text) == ("case 'p1': no foreground; choose others", "1")


def test_a_metric_that_cannot_be_judged_on_a_target_is_named(results):
    scores = results.frames["scores"].copy()
    scores.loc[(scores["metric"] == "h_score") & (scores["target"] == "b/T1/WM"), "value"] = 1.0
    findings = find(with_frame(results, "scores", scores))
    note = summary_table(results, findings, "head").note
    assert "Left out for h_score (boundary, none): 1 target (all scores tie)." in note
    h_score, *_, told = cells(target_table(results, findings, "head", "boundary", "none"), "b/T1/WM")[3:]
    assert h_score.text == NONE
    assert told.small.endswith("h_score: all scores tie")


def test_scores_that_cannot_be_had_are_told_once_per_reason(text):
    assert "otce_sim the signature holds no features a/T2/GM 3" in words_of(text)


def test_versions_durations_and_settings_are_told(results, text):
    words = words_of(text)
    assert f"torch {results.versions['torch']}" in words
    assert "otce_sim" in words.split("Settings")[-1]
    shares = {row.cells[0].text: row.cells[2].text for row in parts_table(results).rows}
    assert shares == {"training": "75.0%", "data": "25.0%"}  # of every piece


def test_tables_are_sorted_by_numbers_and_can_be_by_a_keyboard(text):
    assert re.search(r'<th scope="col" class="number start" aria-sort="descending"><button type="button"', text)
    assert 'data-value="1"><b class="best">1.00</b>' in text


def test_the_best_two_values_are_marked_and_ties_alike():
    rows = [Row([Cell("", value)]) for value in (0.3, 0.1 + 0.2, 0.1, 0.2, None)]
    assert [row.cells[0].mark for row in with_best(rows, 0)] == ["best", "best", "", "second", ""]
    assert [row.cells[0].mark for row in with_best(rows, 0, higher=False)] == ["", "", "best", "second", ""]
    assert with_best(rows[:2], 0) == rows[:2]  # nothing to choose from


def test_groups_span_their_columns():
    heads = [Head("a"), Head("b", group="x"), Head("c", group="x"), Head("d", group="y")]
    table = Table(heads, [])
    assert table.groups == [("", 1), ("x", 2), ("y", 1)]
    assert [table.starts(i) for i in range(4)] == [False, True, False, True]
    assert Table(heads[:1], []).groups == []


def test_a_piece_that_took_no_time_has_no_share(results):
    pieces = results.frames["pieces"].assign(parts="{}")
    assert not parts_table(with_frame(results, "pieces", pieces)).rows


def test_the_page_lists_who_is_labelled_and_who_is_judged_on(results):
    judged = pd.DataFrame({"target": TARGETS, "person": [f"folder:/data/a:{name}" for name in ("p2", "p2", "p3")]})
    labelled = pd.DataFrame({"target": TARGETS, "person": ["folder:/data/a:p1"] * 3})
    told = with_frame(with_frame(results, "people", judged), "labelled", labelled)
    rows = [[cell.text for cell in row.cells] for row in people_table(told).rows]
    assert rows == [[", ".join(TARGETS[:2]), "a/p1", "a/p2"], [TARGETS[2], "a/p1", "a/p3"]]
    assert "Whose images?" in html_of(told)
    assert "Whose images?" not in html_of(results)
