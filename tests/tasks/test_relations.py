from __future__ import annotations

import pytest

from medtrans.tasks import TaskName
from medtrans.tasks.relations import (
    RELATIONS,
    names_points,
    relatedness,
    relation,
    structure_relation,
)


def task(text: str) -> TaskName:
    return TaskName.parse(text)


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("a/T1/GM", "b/T1/GM", "same"),
        ("a/T1POST/GM", "b/T1CE/GM", "same"),  # two names of one contrast
        ("a/T1/GM", "a/T2/GM", "same structure, other modality"),
        ("a/T1/GM", "a/T1/WM", "other structure, same modality"),
        ("a/T1/GM", "a/T2/WM", "both other"),
        ("a/T1/NCR+ET", "a/T1/TC", "same"),  # the same parts
    ],
)
def test_relation_by_modality_and_structure(source, target, said):
    assert relation(task(source), task(target)) == said


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("GM", "GM", "same"),
        ("GM", "CSF", "complementary"),
        ("NCR", "ED", "complementary"),
        ("TC", "ED", "complementary"),
        ("WT", "ET", "bigger"),
        ("ET", "TC", "smaller"),
        ("TC", "ED+ET", "overlapping"),
        ("GM", "ET", "not complementary"),
        ("lesion", "ET", "not complementary"),
        ("skull", "GM", "not complementary"),
    ],
)
def test_relation_of_structures_by_their_parts(source, target, said):
    assert structure_relation(task(f"a/T1/{source}"), task(f"b/T2/{target}")) == said


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("lesion", "WM", "smaller"),
        ("WM", "lesion", "bigger"),
        ("WM+cortex", "WM", "bigger"),
        ("cortex", "WM", "complementary"),
    ],
)
def test_a_part_of_the_name_of_its_whole_is_the_rest_of_it(source, target, said):
    """White matter that is labelled with the lesions in it."""
    parts, wholes = {"WM": ["WM", "lesion"]}, {"brain": ["WM", "lesion", "cortex"]}
    nested = RELATIONS.extended(parts, wholes, {})
    assert structure_relation(task(f"a/T1/{source}"), task(f"a/T1/{target}"), nested) == said


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("GM", "CSF", "related"),
        ("ET", "lesion", "related"),
        ("GM", "WT", "unrelated"),
        ("skull", "skull", "related"),
        ("skull", "GM", "unknown"),
        ("GM+ET", "GM", "unknown"),
    ],
)
def test_related_are_structures_of_one_kind(source, target, said):
    assert relatedness(task(f"a/T1/{source}"), task(f"b/T1/{target}")) == said


def test_a_structure_of_several_kinds_is_of_no_group():
    assert [RELATIONS.groups_of(name) for name in ("ET+GM", "GM+skull")] == [frozenset(), frozenset()]
    assert RELATIONS.groups_of("NCR+lesion") == {"abnormal"}


@pytest.mark.parametrize(
    ("source", "target", "points"),
    [
        ("a/T1/hippocampus", "b/T1W/hippocampus", 2.5),
        ("a/FLAIR/hippocampus", "a/T1/hippocampus", 2.0),
        ("a/T1/amygdala", "a/T1/hippocampus", 1.5),  # both grey matter
        ("a/FLAIR/ventricles", "a/T1/CSF", 1.0),  # both fluid
        ("a/T1/ventricles", "a/T1/hippocampus", 0.5),
        ("a/T1/skull", "a/T2/hippocampus", 0.0),
    ],
)
def test_points_by_names(source, target, points):
    assert names_points(task(source), task(target)) == points


def test_users_add_to_the_table():
    ours = RELATIONS.extended(parts={"head": ["skull", "GM"]}, wholes={}, groups={"bone": ["skull", "spine"]})
    assert relatedness(task("a/T1/skull"), task("a/CT/spine"), ours) == "related"
    assert names_points(task("a/T1/skull"), task("a/CT/spine"), ours) == 1
    assert structure_relation(task("a/T1/head"), task("a/T1/GM"), ours) == "bigger"
    assert relatedness(task("a/T1/skull"), task("a/CT/spine")) == "unknown"  # the default stays what it is
