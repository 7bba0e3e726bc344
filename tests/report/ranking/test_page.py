from __future__ import annotations

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib import image

from medtrans.report import ranking_html
from medtrans.report.ranking.figures import CLASS_COLOURS, sampled_counts, score_plot, slice_pictures
from medtrans.selection.results import scores_of_metric
from medtrans.tasks import IGNORE_LABEL


class Page(HTMLParser):
    """Tags, attributes and visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "action", "xlink:href")]

    def handle_data(self, data):
        self.words += data


def test_nothing_is_loaded_from_a_network(ranking):
    text = ranking_html(ranking)
    assert all(link.startswith("data:image/png;base64,") for link in Page(text).links)
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|@import|url\(", text)


def test_names_and_reasons_from_elsewhere_are_escaped(ranking):
    text = ranking_html(ranking)
    page = Page(text)
    assert page.tags.count("script") == 1  # the page's own
    assert "<script>alert" not in text
    assert "<script>alert(1)</script>[bold]&\"'" in page.words
    assert "It is <b>not</b> a scan." in page.words
    assert "Mind the <gap>." in page.words


def test_the_page_tells_everything(ranking):
    words = " ".join(Page(ranking_html(ranking)).words.split())
    assert "Transfer from good" in words
    assert "good ranks first for here/FLAIR/lesion by h_score and wins 100% of 2 samples of pixels" in words
    assert "mine puts bad first" in words
    assert "No study at hand says how much a choice by h_score matters." in words
    assert "0.8500 ± 0.0707" in words
    assert "1,234" in words
    assert "no signature" in words
    assert "medtrans 0.1.0" in words
    assert "between-class scatter" in words  # what the metric is
    assert "lesion 1 pixels" in words


def test_a_tie_for_the_first_place_names_all(ranking):
    scores = scores_of_metric("h_score", {"a": [1, 1], "b": [1, 1], "c": [0, 0]})
    words = " ".join(Page(ranking_html(dataclasses.replace(ranking, scores=scores, missing=()))).words.split())
    assert "Transfer from one of a, b" in words
    assert "a and b share the first place" in words
    assert "1=" in words


def test_a_page_without_picture_filters_notes_or_a_runner_up_is_complete(ranking):
    scores = scores_of_metric("h_score", {"only": [0.0]})
    bare = dataclasses.replace(ranking, scores=scores, dropped=(), missing=(), notes=(), picture=None)
    page = Page(ranking_html(bare))
    assert "img" not in page.tags
    assert "no other source has a score" in page.words
    assert "Dropped by" not in page.words


def test_plot_positions_are_linear_in_the_scores(ranking):
    plot = score_plot(ranking, "h_score")
    assert [row.score.source for row in plot.rows] == ranking.order("h_score")
    ticks = {float(text): position for position, text in plot.ticks}
    low, high = min(ticks), max(ticks)
    for row in plot.rows:
        for value, position in zip(row.score.values, row.dots, strict=True):
            assert position == pytest.approx(100 * (value - low) / (high - low), abs=0.01)
        assert 0 <= row.low <= row.mean <= row.high <= 100


def test_a_plot_of_equal_scores_has_an_axis(ranking):
    scores = scores_of_metric("h_score", {"a": [0.5, 0.5], "b": [0.5, 0.5]})
    plot = score_plot(dataclasses.replace(ranking, scores=scores), "h_score")
    assert all(0 <= row.mean <= 100 for row in plot.rows)


def pixels(png: str) -> np.ndarray:
    return image.imread(io.BytesIO(base64.b64decode(png)))[..., :3]


def test_the_classes_of_street_scenes_have_colours_of_their_own():
    assert len(set(CLASS_COLOURS)) == len(CLASS_COLOURS) >= 19


def test_sampled_pixels_are_drawn_where_they_are_in_their_class_colour(ranking):
    pictures = slice_pictures(ranking.picture)
    drawn = pixels(pictures.sampled)
    assert drawn.shape[:2] == (6, 8)
    for row, column, label in ((2, 3, 1), (0, 0, 0), (5, 7, 0)):
        wanted = [int(CLASS_COLOURS[label][i : i + 2], 16) / 255 for i in (1, 3, 5)]
        np.testing.assert_allclose(drawn[row, column], wanted, atol=1 / 255)
    assert np.ptp(drawn[1, 1]) == 0  # all others stay grey
    assert pictures.aspect == pytest.approx(6 * 2 / 8)


def test_labels_are_tinted_and_background_is_not(ranking):
    drawn = pixels(slice_pictures(ranking.picture).labelled)
    assert np.ptp(drawn[2, 3]) > 0.1
    assert np.ptp(drawn[0, 0]) == 0
    ranking.picture.label[0, 0] = IGNORE_LABEL
    drawn = pixels(slice_pictures(dataclasses.replace(ranking.picture, has_background=False)).labelled)
    assert np.ptp(drawn[0, 1]) > 0.1  # class 0 is one like others
    assert np.ptp(drawn[0, 0]) == 0


def test_legend_counts_sampled_pixels_by_class(ranking):
    assert sampled_counts(ranking.picture, ("background", "lesion")) == [
        (CLASS_COLOURS[0], "background", 2),
        (CLASS_COLOURS[1], "lesion", 1),
    ]


def test_an_image_of_one_value_can_be_drawn(ranking):
    flat = dataclasses.replace(ranking.picture, image=np.full((6, 8), 3, dtype=np.float32))
    assert pixels(slice_pictures(flat).sampled).shape == (6, 8, 3)
