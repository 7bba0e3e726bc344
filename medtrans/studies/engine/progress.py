"""How far a study is: pieces by what they do, what is at work, how long the rest takes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb

from medtrans.config import StudyJob
from medtrans.studies.engine.pieces import Piece, transfer_modes
from medtrans.studies.engine.plan import candidates, plan
from medtrans.studies.engine.store import Store
from medtrans.studies.findings.fusions import plan_fusions
from medtrans.studies.findings.results import Results


@dataclass(frozen=True)
class GroupProgress:
    """Pieces of one kind and mode.

    Attributes:
        group: such as ``score`` or ``transfer head``.
        total: how many there are; the most there can be where ``at_most`` says so.
        done: finished.
        failed: tried in vain.
        blocked: not tried, because a source they need could not be trained.
    """

    group: str
    total: int
    done: int
    failed: int
    blocked: int
    at_most: bool = False

    @property
    def left(self) -> int:
        """Pieces still to be done, those at work among them."""
        return self.total - self.done - self.failed - self.blocked


@dataclass(frozen=True)
class StudyProgress:
    """A study at one moment.

    Attributes:
        groups: in the order in which they begin.
        running: worker, key of its piece and seconds since it began.
        failures: error by key.
        seconds_left: None until a piece is finished.
        at_least: whether pieces are left of which none is finished yet, so that ``seconds_left`` counts them as 0 s.
    """

    groups: tuple[GroupProgress, ...]
    running: Sequence[tuple[int, str, float]]
    failures: Mapping[str, str]
    seconds_left: float | None
    at_least: bool

    @property
    def total(self) -> int:
        """All pieces."""
        return sum(group.total for group in self.groups)

    @property
    def left(self) -> int:
        """Pieces still to be done."""
        return sum(group.left for group in self.groups)


class Tally:
    """Counts the pieces of a study as they are finished; how many fusions there are turns out late."""

    def __init__(self, job: StudyJob, pieces: Iterable[Piece]) -> None:
        self._total = Counter(map(_group, pieces))
        self._at_most = most_fusions(job)
        self._done: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._blocked: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._failures: dict[str, str] = {}

    def know_fusions(self, pieces: Iterable[Piece]) -> None:
        """Replace the most fusions that there can be by those that there are."""
        self._at_most = Counter()
        self._total.update(map(_group, pieces))

    def done(self, piece: Piece, seconds: float) -> None:
        """Count a finished piece and what it took."""
        self._done[_group(piece)] += 1
        self._seconds[_group(piece)] += seconds

    def failed(self, piece: Piece, error: str) -> None:
        """Count a piece that was tried in vain."""
        self._failed[_group(piece)] += 1
        self._failures[piece.key] = error

    def blocked(self, piece: Piece) -> None:
        """Count a piece whose source is missing."""
        self._blocked[_group(piece)] += 1

    def progress(self, running: Sequence[tuple[int, str, float]], workers: int) -> StudyProgress:
        """The study now, and the time left if ``workers`` share the rest."""
        groups = tuple(
            GroupProgress(name, total, self._done[name], self._failed[name], self._blocked[name], name in self._at_most)
            for name, total in (self._total + self._at_most).items()
        )
        mean = {name: self._seconds[name] / done for name, done in self._done.items()}
        to_do = {group.group: group.left for group in groups if group.left}
        known = to_do.keys() & mean.keys()
        work = sum(to_do[name] * mean[name] for name in known)
        return StudyProgress(
            groups,
            running,
            self._failures,
            seconds_left=max(work / workers, *(mean[name] for name in known), 0.0) if mean else None,
            at_least=len(known) < len(to_do),
        )


def look_at(store: Store) -> StudyProgress:
    """How far the study of a store is, whoever runs it.

    Raises:
        StudyError: the store cannot be read.
    """
    job = store.job
    pieces = [piece for wave in plan(job) for piece in wave]
    tally = Tally(job, pieces)
    seconds = finished(store)
    failures = store.failures()
    _count(tally, pieces, seconds, failures)
    if not tally.progress((), 1).left - sum(most_fusions(job).values()):
        fusions = plan_fusions(job, Results.read(store.path))
        tally.know_fusions(fusions)
        _count(tally, fusions, seconds, failures)
    running = store.running() if store.is_running() else []
    return tally.progress(running, max(1, len(running)))


def states(results: Results) -> Counter[str]:
    """How many pieces are done, failed, blocked (their source could not be trained) and left, as far as is known.

    Which sources are fused turns out when everything else is done.
    """
    pieces = results.frames["pieces"]
    status = dict(zip(pieces["key"], pieces["status"], strict=True))
    known = [piece for wave in plan(results.job) for piece in wave] + plan_fusions(results.job, results)
    untrained = {
        source
        for piece in known
        if piece.kind == "train" and status.get(piece.key) == "failed"
        for source in piece.sources
    }
    return Counter(status.get(piece.key, "blocked" if needs_missing(piece, untrained) else "left") for piece in known)


def finished(store: Store) -> dict[str, float]:
    """Seconds by key of the finished pieces. A filtering does not count that a training came after."""
    frame = store.frame("pieces")
    frame = frame[frame["status"] == "done"]
    last_training = frame.loc[frame["kind"] == "train", "finished"].max()
    frame = frame[(frame["kind"] != "filter") | (frame["finished"] >= last_training)]
    return dict(zip(frame["key"], frame["seconds"], strict=True))


def most_fusions(job: StudyJob) -> Counter[str]:
    """The most fusions that there can be, by group: each chooser picks another set of each size for each target."""
    most: Counter[str] = Counter()
    if job.many_to_one is None:
        return most
    choosers = len(job.many_to_one.metrics) + 2  # by truth, at random
    sizes = range(2, job.many_to_one.largest + 1)
    n_candidates = [len(candidates(job, target)) for target in job.target_groups()]
    for mode in transfer_modes(job):
        sets = sum(min(choosers, comb(n, size)) for n in n_candidates for size in sizes)
        most[_group(Piece("fuse", mode=mode))] = len(job.seeds) * sets
    return most


def needs_missing(piece: Piece, untrained: set[str]) -> bool:
    """Whether a piece is blocked because one of its sources could not be trained."""
    return piece.kind != "train" and not untrained.isdisjoint(piece.sources)


def _count(tally: Tally, pieces: Iterable[Piece], seconds: Mapping[str, float], failures: Mapping[str, str]) -> None:
    untrained: set[str] = set()
    for piece in pieces:
        key = piece.key
        if key in seconds:
            tally.done(piece, seconds[key])
        elif needs_missing(piece, untrained):
            tally.blocked(piece)
        elif key in failures:
            tally.failed(piece, failures[key])
            untrained.update(piece.sources if piece.kind == "train" else ())


def _group(piece: Piece) -> str:
    return f"{piece.kind} {piece.mode}".strip()
