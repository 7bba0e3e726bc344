"""Signal equations: from what a tissue is, and how it is scanned, to how bright it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tissue:
    """What MRI sees of a tissue: relaxation times in milliseconds, and its water relative to that of CSF (0 to 1)."""

    t1_ms: float
    t2_ms: float
    proton_density: float


def spin_echo(tissue: Tissue, *, tr_ms: float, te_ms: float) -> float:
    """Signal of a spin echo.

    S = PD (1 - exp(-TR / T1)) exp(-TE / T2), for TE much shorter than TR.

    Between 0 and PD; a long TR takes the T1 contrast away, a short TE the T2 contrast.
    Source: Bernstein, King, Zhou, Handbook of MRI Pulse Sequences, 2004, chapter 14.3.
    """
    recovery = 1 - np.exp(-tr_ms / tissue.t1_ms)
    return float(tissue.proton_density * recovery * np.exp(-te_ms / tissue.t2_ms))


def inversion_recovery(tissue: Tissue, *, tr_ms: float, te_ms: float, ti_ms: float) -> float:
    """Signal of a spin echo after an inversion, with its sign.

    S = PD (1 - 2 exp(-TI / T1) + exp(-TR / T1)) exp(-TE / T2).

    Between -PD and PD. It is zero at TI = T1 ln(2 / (1 + exp(-TR / T1))), which tends to T1 ln 2 for long TR: FLAIR
    chooses TI so for cerebrospinal fluid. The sign is kept because tissues that share a voxel cancel before the
    magnitude is taken.
    Source: Bernstein, King, Zhou, Handbook of MRI Pulse Sequences, 2004, chapter 14.2.
    """
    recovery = 1 - 2 * np.exp(-ti_ms / tissue.t1_ms) + np.exp(-tr_ms / tissue.t1_ms)
    return float(tissue.proton_density * recovery * np.exp(-te_ms / tissue.t2_ms))


def null_inversion_time(t1_ms: float, *, tr_ms: float) -> float:
    """Inversion time in milliseconds at which a tissue of this T1 gives no signal: T1 ln(2 / (1 + exp(-TR / T1)))."""
    return float(t1_ms * np.log(2 / (1 + np.exp(-tr_ms / t1_ms))))


@dataclass(frozen=True)
class SpinEcho:
    """A spin-echo protocol; times in milliseconds."""

    tr_ms: float
    te_ms: float

    def signal(self, tissue: Tissue) -> float:
        """See `spin_echo`."""
        return spin_echo(tissue, tr_ms=self.tr_ms, te_ms=self.te_ms)


@dataclass(frozen=True)
class InversionRecovery:
    """An inversion-recovery protocol; times in milliseconds."""

    tr_ms: float
    te_ms: float
    ti_ms: float

    def signal(self, tissue: Tissue) -> float:
        """See `inversion_recovery`."""
        return inversion_recovery(tissue, tr_ms=self.tr_ms, te_ms=self.te_ms, ti_ms=self.ti_ms)


Sequence = SpinEcho | InversionRecovery
