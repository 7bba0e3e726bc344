"""Heads, tumours and images: fractions, nesting, noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medtrans.errors import DataError
from medtrans.simulation import SITES, get_site
from medtrans.simulation.acquisition import acquire, bias_field, blurred, mixed_signal, rician
from medtrans.simulation.anatomy import (
    DISPLACEMENT_MM,
    Grid,
    load_template,
    smooth_field,
    template_coordinates,
    tissue_fractions,
)
from medtrans.simulation.contrast import InversionRecovery, SpinEcho, Tissue
from medtrans.simulation.sites import Site, institution_site
from medtrans.simulation.subjects import glioma_head, infant_head, iseg_images
from medtrans.simulation.tumour import Tumour, nested_parts, with_tumour

FETS = Grid.covering((240, 240, 155), 4.0, (-1, -1, 1))
ISEG = Grid.covering((144, 192, 256), 4.0, (-1, 1, 1))
CUBE = ndimage.generate_binary_structure(3, 3)


@pytest.fixture(scope="module")
def patient():
    return glioma_head(FETS, np.random.default_rng(5))


@pytest.fixture(scope="module")
def infant():
    return infant_head(ISEG, np.random.default_rng(5))


def test_grid_is_centred_and_follows_its_directions():
    x, y, z = Grid((3, 4, 5), 2.0, (-1, 1, 1)).axes_mm()
    assert x.tolist() == [2, 0, -2]
    assert y.tolist() == [-3, -1, 1, 3]
    assert z.tolist() == [-4, -2, 0, 2, 4]


@pytest.mark.parametrize("spacing_mm", [0.0, -1.0, 25.0, float("nan")])
def test_grid_refuses_useless_spacing(spacing_mm):
    with pytest.raises(DataError, match="simulate with a spacing between"):
        Grid.covering((240, 240, 155), spacing_mm, (1, 1, 1))


def test_template_parts_fill_the_brain_exactly():
    template = load_template()
    np.testing.assert_allclose(template.csf + template.gm + template.wm, template.brain, atol=1e-6)


def test_smooth_field_is_bounded_and_the_same_at_every_spacing():
    coarse, fine = Grid((9, 9, 9), 8.0), Grid((17, 17, 17), 4.0)
    field = smooth_field(coarse, 30.0, np.random.default_rng(1))
    assert 0.05 < np.abs(field).max() <= 1
    # both grids are centred, so every second fine voxel is a coarse one
    np.testing.assert_allclose(smooth_field(fine, 30.0, np.random.default_rng(1))[::2, ::2, ::2], field, atol=1e-5)


def test_smooth_field_of_equal_coefficients_is_constant():
    class Ones:
        def uniform(self, low, high, shape):
            return np.ones(shape)

    # cubic B-splines sum to one everywhere
    np.testing.assert_allclose(smooth_field(FETS, 24.0, Ones()), 1, atol=1e-5)


def test_deformation_does_not_fold():
    assert sum(displacement / distance for distance, displacement in DISPLACEMENT_MM.items()) < 1 / 2.48
    for seed in range(3):
        coordinates = template_coordinates(FETS, "adult", np.random.default_rng(seed))
        gradient = np.stack([np.stack(np.gradient(axis, FETS.spacing_mm), -1) for axis in coordinates], -2)
        # both axes that FETS runs backwards cancel in the determinant
        assert np.linalg.det(gradient.astype(np.float64)).min() > 0


@pytest.mark.parametrize("profile", ["adult", "infant"])
def test_fractions_sum_to_one_in_the_brain_and_to_zero_outside(profile):
    rng = np.random.default_rng(2)
    coordinates = template_coordinates(ISEG, profile, rng)
    fractions, brain = tissue_fractions(ISEG, coordinates, profile, rng)
    total = sum(fractions.values())
    np.testing.assert_allclose(total[brain], 1, atol=1e-5)
    assert not total[~brain].any()
    assert min(fraction.min() for fraction in fractions.values()) >= 0


def test_infant_labels_and_volumes_are_plausible(infant):
    assert set(np.unique(infant.label)) == {0, 10, 150, 250}
    assert ((infant.label == 0) == ~infant.brain).all()
    volume_ml = infant.brain.sum() * 4.0**3 / 1000
    assert 600 < volume_ml < 1000  # about 0.75 l at six months
    csf, gm, wm = (np.mean(infant.label[infant.brain] == value) for value in (10, 150, 250))
    assert 0.05 < csf < 0.25
    assert 0.4 < gm < 0.7
    assert 0.2 < wm < 0.45


def test_one_seed_is_one_head_at_any_spacing(infant):
    fine = infant_head(Grid.covering((144, 192, 256), 2.0, (-1, 1, 1)), np.random.default_rng(5))
    blocks = fine.brain.reshape(36, 2, 48, 2, 64, 2).mean(axis=(1, 3, 5)) > 0.5
    overlap = (blocks & infant.brain).sum() / (blocks | infant.brain).sum()
    other = infant_head(ISEG, np.random.default_rng(6)).brain
    assert overlap > 0.95 > (blocks & other).sum() / (blocks | other).sum()


def test_infants_are_nearly_isointense_in_t1(infant):
    image = iseg_images(infant, get_site("3T-infant"), np.random.default_rng(0))["T1"]
    csf, gm, wm = (image[infant.label == value].mean() for value in (10, 150, 250))
    assert csf < 0.7 * gm
    assert 1.02 * gm < wm < 1.2 * gm


def test_adult_size_and_tumour_labels(patient):
    assert set(np.unique(patient.label)) == {0, 1, 2, 4}
    assert not patient.label[~patient.brain].any()
    assert 1.1 < patient.brain.sum() * 4.0**3 / 1e6 < 1.8  # litres
    total = sum(patient.fractions.values())
    np.testing.assert_allclose(total[patient.brain], 1, atol=1e-5)
    assert not total[~patient.brain].any()


@pytest.mark.parametrize("seed", range(6))
def test_necrosis_is_enclosed_by_enhancing_tumour_and_that_by_oedema(seed):
    label = glioma_head(FETS, np.random.default_rng(seed)).label
    necrosis, core = label == 1, np.isin(label, (1, 4))
    assert necrosis.any()
    assert core[ndimage.binary_dilation(necrosis, CUBE)].all()
    assert label[ndimage.binary_dilation(core, CUBE)].all()


def test_tumours_differ_in_place_and_size():
    heads = [glioma_head(FETS, np.random.default_rng(seed)) for seed in range(4)]
    centres = np.array([ndimage.center_of_mass(head.label > 0) for head in heads])
    assert np.ptp(centres, axis=0).max() > 5
    assert len({int((head.label > 0).sum()) for head in heads}) == 4


def test_parts_of_a_round_tumour_have_the_volumes_of_spheres():
    axis = np.arange(-32, 33, dtype=np.float32)
    distance_mm = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis**2)
    nothing, everything = np.zeros_like(distance_mm), np.ones(distance_mm.shape, dtype=bool)
    tumour = Tumour((0, 0, 0), necrosis_mm=8, core_mm=14, oedema_mm=12, rim_mm=4)
    for wm, whole_mm in ((nothing, 14 + 4), (nothing + 1, 14 + 12)):
        fractions = nested_parts(distance_mm, wm, everything, tumour, 1.0).fractions()
        volume = {name: fraction.sum() / (4 / 3 * np.pi) for name, fraction in fractions.items()}
        assert volume["NCR"] == pytest.approx(8**3, rel=0.02)
        assert volume["ET"] == pytest.approx(14**3 - 8**3, rel=0.02)
        assert volume["ED"] == pytest.approx(whole_mm**3 - 14**3, rel=0.02)


def test_healthy_tissue_makes_room_for_a_tumour():
    distance_mm = np.linspace(0, 40, 50, dtype=np.float32).reshape(50, 1, 1) * np.ones((1, 5, 5), dtype=np.float32)
    brain = np.ones(distance_mm.shape, dtype=bool)
    half = np.full(distance_mm.shape, 0.5, dtype=np.float32)
    parts = nested_parts(distance_mm, half, brain, Tumour((0, 0, 0), 5, 12, 10, 2), 1.0)
    fractions = with_tumour({"GM": half, "WM": half}, parts)
    np.testing.assert_allclose(sum(fractions.values()), 1, atol=1e-6)
    assert fractions["GM"][0].max() == 0  # the centre is all tumour
    assert fractions["GM"][-1].min() == 0.5  # far away nothing has changed


def test_partial_volume_mixes_signed_signals():
    tissues = {"a": Tissue(1000, 100, 1.0), "b": Tissue(1e-3, 100, 1.0)}
    # right after inversion a gives -1; b has recovered at once and gives +1: half of each cancels
    sequence = InversionRecovery(tr_ms=1e9, te_ms=0, ti_ms=0.1)
    half = np.full((2, 2, 2), 0.5, dtype=np.float32)
    np.testing.assert_allclose(mixed_signal({"a": half, "b": half}, tissues, sequence), 0, atol=1e-3)


def test_rician_noise_has_the_moments_of_theory():
    rng = np.random.default_rng(0)
    background = rician(np.zeros((50, 50, 50), dtype=np.float32), 2.0, rng)
    assert background.min() >= 0
    assert background.mean() == pytest.approx(2 * np.sqrt(np.pi / 2), rel=0.01)
    assert (background**2).mean() == pytest.approx(2 * 2.0**2, rel=0.02)
    signal = rician(np.full((50, 50, 50), 100.0, dtype=np.float32), 2.0, rng)
    assert signal.std() == pytest.approx(2.0, rel=0.02)


def test_no_noise_gives_the_magnitude():
    signal = np.array([[[-3.0, 0.0, 2.0]]], dtype=np.float32)
    assert rician(signal, 0.0, np.random.default_rng(0)).tolist() == [[[3.0, 0.0, 2.0]]]


def test_blur_keeps_a_constant_brain_constant_up_to_its_edge():
    brain = np.zeros((9, 9, 9), dtype=bool)
    brain[2:7, 2:7, 2:7] = True
    signal = np.where(brain, np.float32(5), np.float32(0))
    out = blurred(signal, brain, Grid((9, 9, 9), 1.0), (1.0, 1.0, 4.0))
    np.testing.assert_allclose(out[brain], 5, rtol=1e-5)


def test_blur_acts_only_where_the_site_is_coarser_than_the_grid():
    brain = np.ones((9, 9, 9), dtype=bool)
    point = np.zeros((9, 9, 9), dtype=np.float32)
    point[4, 4, 4] = 1
    out = blurred(point, brain, Grid((9, 9, 9), 2.0), (1.0, 2.0, 5.0))
    assert (out[4, 4] > 1e-4).sum() > 1
    assert np.count_nonzero(out[:, :, 4].round(6)) == 1


def test_bias_field_is_bounded_by_its_strength():
    field = bias_field(FETS, 0.3, np.random.default_rng(0))
    assert np.exp(-0.3) <= field.min() < field.max() <= np.exp(0.3)


def test_acquired_background_is_exactly_zero_and_the_brain_never_is():
    brain = np.zeros((8, 8, 8), dtype=bool)
    brain[2:6, 2:6, 2:6] = True
    site = Site("noisy", 3.0, t1=SpinEcho(500, 10), t2=SpinEcho(4000, 90), flair=SpinEcho(4000, 90), noise=2.0)
    image = acquire(
        {"WM": brain.astype(np.float32)},
        brain,
        {"WM": Tissue(900, 70, 0.8)},
        site.t1,
        site=site,
        grid=Grid((8, 8, 8), 1.0),
        rng=np.random.default_rng(0),
    )
    assert image.dtype == np.int16
    assert ((image == 0) == ~brain).all()


def test_sites_are_found_by_name_and_checked():
    assert get_site("3T-infant") is SITES["3T-infant"]
    with pytest.raises(DataError, match="did you mean '3T-infant'"):
        get_site("3T-infants")
    echo = SpinEcho(500, 10)
    with pytest.raises(DataError, match=r"7.0 T; use 1.5 or 3.0 T"):
        Site("research", 7.0, echo, echo, echo)
    with pytest.raises(DataError, match="0 or more"):
        Site("odd", 3.0, echo, echo, echo, noise=-0.1)
    assert len({institution_site(number) for number in range(1, 24)}) == 4
