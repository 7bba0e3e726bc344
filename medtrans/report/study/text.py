"""What a study found, in plain words."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from medtrans.report.panels import interval, number, percent
from medtrans.studies.engine.pieces import NO_FILTER
from medtrans.studies.findings.baselines import BASELINES
from medtrans.studies.findings.ceiling import FAILED, FEWEST, NOISE
from medtrans.studies.findings.people import ENDS, NO_REPLICATES, People, Replicates
from medtrans.studies.findings.results import Results

MODE_NAMES = {"head": "head retrained", "full": "all layers fine-tuned"}
_WITH = {"head": "with the head retrained", "full": "with all layers fine-tuned"}
_WAY = ["sampler", "metric", "filter"]  # of ranking sources
_NAMED_RIVALS = 3


@dataclass(frozen=True)
class Findings:
    """The tables of `medtrans.studies.findings` that a page tells of."""

    agreements: pd.DataFrame
    summaries: pd.DataFrame
    repeatabilities: pd.DataFrame
    ceilings: pd.DataFrame
    without: Replicates = NO_REPLICATES  # the agreements without each person, where targets share people

    def best(self, mode: str) -> pd.Series | None:
        """The row of `summaries` with the highest mean Spearman correlation, of those judged on the most targets.

        Baselines that need no label and no run are none of them.
        """
        rows = self.summaries[(self.summaries["mode"] == mode) & self.summaries["spearman"].notna()]
        rows = rows[~rows["metric"].isin(BASELINES)]
        rows = rows[rows["n_targets"] == rows["n_targets"].max()]
        return None if rows.empty else rows.iloc[int(rows["spearman"].to_numpy(float).argmax())]

    def ceiling(self, mode: str) -> pd.Series:
        """The row of `ceilings`."""
        return self.ceilings[self.ceilings["mode"] == mode].iloc[0]


def headline(findings: Findings, modes: Sequence[str]) -> str:
    """Which metric ranks best, in one line."""
    firsts = {mode: str(best["metric"]) for mode in modes if (best := findings.best(mode)) is not None}
    if not firsts:
        return "No ranking can be judged yet"
    if len(set(firsts.values())) == 1:
        return f"{next(iter(firsts.values()))} ranks the sources best{' in both modes' if len(firsts) > 1 else ''}"
    return "; ".join(f"{metric} ranks the sources best {_WITH[mode]}" for mode, metric in firsts.items())


def answer(results: Results, findings: Findings, mode: str) -> str:
    """Which metric ranks best, how close to the ceiling, what its first pick gains, and what is noise."""
    best = findings.best(mode)
    if best is None:
        notes = "; ".join(sorted(set(findings.agreements["note"]) - {""}))
        return f"{_capital(_WITH[mode])}, no ranking can be judged: {notes or 'nothing to compare'}."
    sentences = [
        f"{_capital(_WITH[mode])}, {way(results, best)} ranks best: {_spearman(best)}{_of_ceiling(best, findings)}.",
        _no_interval(best),
        _useful(best),
        _better_pick(best, results.measure_name),
        _rivals(results, findings, best),
        _gain(best, findings.ceiling(mode), results.measure_name),
        _noise(findings.repeatabilities[findings.repeatabilities["mode"] == mode], results.measure_name),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def way(results: Results, row: pd.Series) -> str:
    """A metric, with its sampler and filter where the study compares several."""
    about = [f"sampler {row['sampler']}"] if len(results.samplers) > 1 else []
    if len(results.filters) > 1:
        about.append("no filter" if row["filter"] == NO_FILTER else f"filter {row['filter']}")
    return f"{row['metric']} ({', '.join(about)})" if about else str(row["metric"])


def count(number_of: int, what: str) -> str:
    """A number with its noun.

    >>> count(1, "target"), count(2, "target")
    ('1 target', '2 targets')
    """
    return f"{number_of:,} {what}{'' if number_of == 1 else 's'}"


def _spearman(best: pd.Series) -> str:
    ends = interval(best["spearman_low"], best["spearman_high"])
    mean = f"mean Spearman correlation {number(best['spearman'])}"
    return f"{mean}{f' [{ends}]' if ends else ''} over {count(best['n_targets'], 'target')}"


def _of_ceiling(best: pd.Series, findings: Findings) -> str:
    ceiling = findings.ceiling(best["mode"])["ceiling"]
    if np.isnan(ceiling):
        return "; how much is possible cannot be known from one seed"
    if np.isnan(best["share_of_ceiling"]):
        return "; the order of the sources differs from seed to seed, so there is no ceiling to reach"
    if best["share_of_ceiling"] > 1:
        return (
            f", above the ceiling {number(ceiling)}, the truth's agreement with itself, which has noise on both sides"
        )
    return f", {percent(best['share_of_ceiling'])} of the ceiling {number(ceiling)}, the truth's agreement with itself"


def _no_interval(best: pd.Series) -> str:
    why = best["no_interval"]
    return f"These means have no intervals, so what is chance cannot be said: {why}." if why else ""


def _useful(best: pd.Series) -> str:
    """Whether it beats what needs no label and no run."""
    ahead, low, high = (best[f"ahead{end}"] for end in ENDS)
    if np.isnan(ahead):
        return ""
    rival = f"the best baseline that needs no label and no run, {best['baseline']}"
    ends = interval(low, high)
    size = f"{number(abs(ahead))} {'above' if ahead >= 0 else 'below'}{f' [{ends}]' if ends else ''}"
    if np.isnan(low):
        return f"It is {size} {rival}; whether that is more than chance cannot be said."
    if low > 0:
        return f"It is useful: {size} {rival}."
    return f"It is not shown to be useful: {size} {rival}."


def _better_pick(best: pd.Series, measure: str) -> str:
    """Whether the first pick gives more than a cheap one."""
    ahead, low, high = (best[f"pick_ahead{end}"] for end in ENDS)
    if np.isnan(ahead):
        return ""
    ends = interval(low, high, 3) if ahead >= 0 else interval(-high, -low, 3)
    size = f"{number(abs(ahead), 3)}{f' [{ends}]' if ends else ''} {'more' if ahead >= 0 else 'less'} {measure}"
    doubt = ", which may be chance" if low <= 0 <= high else ""
    if np.isnan(low):
        doubt = "; whether that is more than chance cannot be said"
    return f"Its first pick gives {size} than that of {best['pick_baseline']}{doubt}."


def _rivals(results: Results, findings: Findings, best: pd.Series) -> str:
    """Which other ways are not clearly worse: the interval of the mean difference over targets holds 0."""
    ahead = _behind(findings.agreements, best)
    if ahead.empty or len(ahead) < FEWEST:
        return ""
    chosen = f"It is the best of {len(ahead.columns) + 1} ways, chosen on these same targets, so a little flattered"
    if best["no_interval"]:
        return f"{chosen}."
    without = findings.without.map(lambda agreements: _behind(agreements, best))
    lows = {column: _low(column, ahead, results.people, without) for column in ahead.columns}
    rivals = [way(results, pd.Series(dict(zip(_WAY, column, strict=True)))) for column in lows if not lows[column] > 0]
    if not rivals:
        return f"{chosen}; each of the others is worse by more than chance."
    more = len(rivals) - _NAMED_RIVALS
    names = [*rivals[:_NAMED_RIVALS], *([f"{more} more"] if more > 0 else [])]
    return f"{chosen}; not clearly worse: {', '.join(names)}."


def _behind(agreements: pd.DataFrame, best: pd.Series) -> pd.DataFrame:
    """By target and way, baselines left out: how far its Spearman correlation is below that of the best way."""
    rows = agreements[(agreements["mode"] == best["mode"]) & ~agreements["metric"].isin(BASELINES)]
    table = rows.pivot_table(index="target", columns=_WAY, values="spearman", sort=False)
    behind: pd.DataFrame = table.rsub(table[tuple(best[_WAY])], axis=0).drop(columns=[tuple(best[_WAY])])
    return behind


def _low(column: Hashable, ahead: pd.DataFrame, people: People, without: Replicates) -> float:
    def named(table: pd.DataFrame) -> pd.DataFrame:
        return table[column].rename("ahead").reset_index()

    return people.interval(named(ahead), ["ahead"], replicates=without.map(named)).low


def _gain(best: pd.Series, ceiling: pd.Series, measure: str) -> str:
    gain, low, high = (best[f"gain_first{end}"] for end in ("", "_low", "_high"))
    size = number(abs(gain), 3)
    ends = interval(low, high, 3) if gain >= 0 else interval(-high, -low, 3)
    told = f"Its first pick gives {size}{f' [{ends}]' if ends else ''} {'more' if gain >= 0 else 'less'} {measure}"
    call = "; that is too close to call" if low <= 0 <= high else ""
    most = number(ceiling["gain_of_best"], 3)
    return f"{told} than a random pick{call}; the best source would give {most} more than a random pick."


def _noise(ceilings: pd.DataFrame, measure: str) -> str:
    known = ceilings.dropna(subset=["standard_error"])
    if known.empty:
        return "Which differences are noise cannot be said from one seed."
    clear = int((known["n_like_best"] == 0).sum())
    unclear = int((known["n_like_best"] == known["n_sources"] - 1).sum())
    size = number(NOISE * known["standard_error"].median(), 3)
    told = f"Differences between two sources below {size} {measure} (median over targets) are noise: on {clear} of "
    told += f"{count(len(known), 'target')} the best source stands out from all others"
    told += f", on {unclear} all differences are smaller than the noise." if unclear else "."
    failed = int((known["best"] < FAILED).sum())
    return f"{told} To {count(failed, 'target')} nothing transfers: no source reaches {FAILED:g}." if failed else told


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
