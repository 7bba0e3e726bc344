"""Signal equations and tissue constants, against values derived by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtrans.simulation.contrast import (
    InversionRecovery,
    SpinEcho,
    Tissue,
    inversion_recovery,
    null_inversion_time,
    spin_echo,
)
from medtrans.simulation.tissues import (
    OEDEMA_LEAKAGE,
    RELAXIVITY,
    adult_tissues,
    diluted,
    enhanced,
    infant_tissues,
    with_contrast_agent,
)

FOREVER_MS = 1e9
TISSUE = Tissue(t1_ms=1000, t2_ms=100, proton_density=0.8)
tissues = st.builds(Tissue, st.floats(200, 5000), st.floats(20, 2000), st.floats(0.1, 1.0))


def test_spin_echo_with_long_tr_and_no_te_shows_proton_density():
    assert spin_echo(TISSUE, tr_ms=FOREVER_MS, te_ms=0) == pytest.approx(0.8)


def test_spin_echo_after_ln2_times_t1_and_t2_is_a_quarter():
    # half of the magnetisation has recovered, and half of that has decayed
    signal = spin_echo(TISSUE, tr_ms=1000 * math.log(2), te_ms=100 * math.log(2))
    assert signal == pytest.approx(0.8 / 4)


def test_inversion_recovery_is_null_at_t1_ln2_for_long_tr():
    assert inversion_recovery(TISSUE, tr_ms=FOREVER_MS, te_ms=0, ti_ms=1000 * math.log(2)) == pytest.approx(
        0, abs=1e-12
    )


def test_inversion_recovery_limits():
    assert inversion_recovery(TISSUE, tr_ms=FOREVER_MS, te_ms=0, ti_ms=0) == pytest.approx(-0.8)
    assert inversion_recovery(TISSUE, tr_ms=FOREVER_MS, te_ms=0, ti_ms=FOREVER_MS) == pytest.approx(0.8)


@given(tissue=tissues, tr_ms=st.floats(500, 20000), te_ms=st.floats(0, 200))
def test_null_inversion_time_nulls_at_any_tr(tissue, tr_ms, te_ms):
    ti_ms = null_inversion_time(tissue.t1_ms, tr_ms=tr_ms)
    assert inversion_recovery(tissue, tr_ms=tr_ms, te_ms=te_ms, ti_ms=ti_ms) == pytest.approx(0, abs=1e-9)


@given(tissue=tissues, tr_ms=st.floats(1, 1e5), te_ms=st.floats(0, 500), ti_ms=st.floats(0, 5000))
def test_signals_stay_within_proton_density(tissue, tr_ms, te_ms, ti_ms):
    assert 0 <= spin_echo(tissue, tr_ms=tr_ms, te_ms=te_ms) <= tissue.proton_density
    assert (
        abs(inversion_recovery(tissue, tr_ms=tr_ms + ti_ms, te_ms=te_ms, ti_ms=ti_ms)) <= tissue.proton_density + 1e-12
    )


def test_sequences_use_the_equations():
    assert SpinEcho(600, 12).signal(TISSUE) == spin_echo(TISSUE, tr_ms=600, te_ms=12)
    assert InversionRecovery(9000, 120, 2500).signal(TISSUE) == inversion_recovery(
        TISSUE, tr_ms=9000, te_ms=120, ti_ms=2500
    )


def test_contrast_agent_adds_its_rate():
    # 1 per second, plus 5 l/mmol/s of 0.2 mmol/l: 2 per second
    assert with_contrast_agent(TISSUE, concentration_mmol_l=0.2, relaxivity=5.0).t1_ms == pytest.approx(500)


def test_enhanced_spares_what_has_no_leak():
    before = adult_tissues(3.0)
    after = enhanced(before, field_t=3.0, concentration_mmol_l=0.1)
    assert {name for name in before if before[name] != after[name]} == {"ET", "ED"}
    gain = {name: 1000 / after[name].t1_ms - 1000 / before[name].t1_ms for name in ("ET", "ED")}
    assert gain["ET"] == pytest.approx(RELAXIVITY[3.0] * 0.1)
    assert gain["ED"] == pytest.approx(OEDEMA_LEAKAGE * RELAXIVITY[3.0] * 0.1)


def test_dilution_ends_at_the_tissue_and_at_the_fluid():
    fluid = Tissue(4000, 2000, 1.0)
    for share, end in ((0.0, TISSUE), (1.0, fluid)):
        mixed = diluted(TISSUE, fluid, share)
        assert (mixed.t1_ms, mixed.t2_ms, mixed.proton_density) == pytest.approx(
            (end.t1_ms, end.t2_ms, end.proton_density)
        )
    # rates 1 and 0.25 per second average to 0.625
    assert diluted(TISSUE, fluid, 0.5).t1_ms == pytest.approx(1000 / 0.625)


def test_white_matter_t1_follows_the_published_power_law():
    # 0.00071 s (42.577e6 * 1.5)^0.382 = 0.681 s; doubling the field multiplies by 2^0.382
    assert adult_tissues(1.5)["WM"].t1_ms == pytest.approx(681, abs=1)
    assert adult_tissues(3.0)["WM"].t1_ms == pytest.approx(681 * 2**0.382, rel=2e-3)


def test_tumour_tissues_lie_within_the_measurements_they_are_fitted_to():
    tissue = adult_tissues(3.0)
    assert abs(tissue["ET"].t1_ms - 1863) < 70
    assert abs(tissue["ED"].t1_ms - 1261) < 359
    for concentration_mmol_l in (0.10, 0.16):
        after = enhanced(tissue, field_t=3.0, concentration_mmol_l=concentration_mmol_l)
        assert abs(tissue["ET"].t1_ms - after["ET"].t1_ms - 838) < 2 * 210


@pytest.mark.parametrize("field_t", [1.5, 3.0])
def test_adult_contrasts_are_in_the_order_that_radiologists_know(field_t):
    tissue = adult_tissues(field_t)
    after = enhanced(tissue, field_t=field_t, concentration_mmol_l=0.13)
    t1, t2 = SpinEcho(500, 12), SpinEcho(5000, 100)
    flair = InversionRecovery(9000, 120, null_inversion_time(tissue["CSF"].t1_ms, tr_ms=9000))
    assert t1.signal(tissue["WM"]) > t1.signal(tissue["GM"]) > t1.signal(tissue["CSF"])
    assert t2.signal(tissue["CSF"]) > t2.signal(tissue["GM"]) > t2.signal(tissue["WM"])
    assert flair.signal(tissue["ED"]) > flair.signal(tissue["GM"]) > flair.signal(tissue["CSF"])
    assert t1.signal(after["ET"]) > t1.signal(after["WM"]) > t1.signal(after["NCR"])


def test_infant_t1_is_nearly_isointense_and_the_adults_is_not():
    sequence = InversionRecovery(1900, 4.4, 1100)

    def relative_difference(tissue):
        white, grey = sequence.signal(tissue["WM"]), sequence.signal(tissue["GM"])
        return abs(white - grey) / (white + grey)

    assert relative_difference(infant_tissues(3.0)) < 0.03 < 0.1 < relative_difference(adult_tissues(3.0))
