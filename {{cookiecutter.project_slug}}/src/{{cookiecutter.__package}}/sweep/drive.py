"""The one who asks Optuna, gives out folds and tells the scores; workers know nothing of it.

All of the study's state is in its storage: whoever drives next goes on after the last fold scored.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import config
from ..cli import Refusal
from .crew import Crew
from .score import Job, Score
from .space import Space, suggest
from .stop import Stop
from .study import ERROR, REFERENCE, SCORES, SECONDS, TRACEBACK

if TYPE_CHECKING:
    from optuna import Study, Trial

TICK = 0.5  # seconds between two looks at the clock and at Ctrl+C
ENOUGH = 10  # trials from which on a share of them is judged
DIGITS = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")


@dataclass
class Running:
    """A trial that is being scored: its values and the metrics of its folds so far."""

    trial: "Trial"
    values: dict[str, Any]
    scores: list[list[float]] = field(default_factory=list)


class Driver:
    """Brings a study to its total of finished trials, or to the end of its time.

    `told` is called with the number of each trial that has ended.
    """

    def __init__(
        self,
        study: "Study",
        space: Space,
        weights: list[float],
        settings: config.Sweep,
        crew: Crew,
        stop: Stop,
        told: Callable[[int], None],
    ) -> None:
        self._study, self._space, self._settings = study, space, settings
        self._weights = weights
        self._crew, self._stop, self._told = crew, stop, told
        self._running: dict[int, Running] = {}
        self._waiting: list[int] = []  # trials whose next fold nobody is at
        self._finished = 0  # of all runs of the study; what follows is of this one
        self._ended = 0
        self._exhausted = False
        self._causes: Counter[str] = Counter()
        self._reference: list[float] = list(study.user_attrs.get(REFERENCE, []))
        self._spent = float(study.user_attrs.get(SECONDS, 0.0))
        self._began = time.monotonic()

    def run(self) -> bool:
        """Work until all is done; False when it was stopped before.

        Raises `Refusal` when too many trials fail.
        """
        self._take_up()
        while not self._stop.asked:
            if not self._give_out() and not self._running:
                return True
            for score in self._crew.done(TICK):
                self._hear(score)
        self._study.set_user_attr(SECONDS, self._seconds())
        return False

    def _take_up(self) -> None:
        """Go on with the trials that an interrupted driver has left."""
        import optuna
        from optuna.trial import TrialState

        for left in self._study.get_trials(deepcopy=False):
            if left.state == TrialState.RUNNING:
                trial = optuna.trial.Trial(self._study, left._trial_id)
                scores = list(left.user_attrs.get(SCORES, []))
                self._take(Running(trial, suggest(trial, self._space), scores))
            elif left.state != TrialState.WAITING:
                self._finished += 1

    def _take(self, running: Running) -> None:
        number = running.trial.number
        self._running[number] = running
        if not self._decide(running):
            self._waiting.append(number)

    def _give_out(self) -> bool:
        """Keep every worker busy; whether anything was given out."""
        given = False
        while self._crew.free() and not self._stop.asked:
            if not self._waiting:
                if not self._may_begin():
                    break
                trial = self._study.ask()
                self._take(Running(trial, suggest(trial, self._space)))
            running = self._running[self._waiting.pop(0)]
            fold = len(running.scores)
            self._crew.start(Job(running.trial.number, running.values, fold))
            given = True
        return given

    def _may_begin(self) -> bool:
        total, minutes = self._settings.n_trials, self._settings.minutes
        if self._exhausted:
            return False
        if total is not None and self._finished + len(self._running) >= total:
            return False
        return minutes is None or self._seconds() < 60 * minutes

    def _seconds(self) -> float:
        return self._spent + time.monotonic() - self._began

    def _hear(self, score: Score) -> None:
        running = self._running[score.trial]
        if score.error:
            running.trial.set_user_attr(ERROR, score.error)
            running.trial.set_user_attr(TRACEBACK, score.traceback)
            self._tell(running, error=score.error, state="FAIL")
            self._judge()
            return
        running.scores.append(score.values)
        # The scores count; what Optuna's pruner reads is made of them.
        running.trial.set_user_attr(SCORES, running.scores)
        if not self._decide(running):
            self._waiting.insert(0, score.trial)

    def _decide(self, running: Running) -> bool:
        """End a trial that has all its folds, or is not worth more; whether it has ended."""
        if not running.scores:
            return False
        means = [self._mean(column) for column in zip(*running.scores, strict=True)]
        if len(means) == 1:
            running.trial.report(self._beside_others(running), step=len(running.scores) - 1)
        if len(running.scores) == len(self._weights):
            self._tell(running, values=means)
        elif len(means) == 1 and running.trial.should_prune():
            self._tell(running, state="PRUNED")
        else:
            return False
        return True

    def _beside_others(self, running: Running) -> float:
        """The mean difference to whoever was scored on a fold first, over the folds so far.

        Folds are not equally hard, and a pruner also holds a trial's best fold to the others'.
        """
        scores = [fold[0] for fold in running.scores]
        if new := scores[len(self._reference) :]:
            self._reference += new
            self._study.set_user_attr(REFERENCE, self._reference)
        gaps = [score - other for score, other in zip(scores, self._reference, strict=False)]
        return self._mean(gaps)

    def _mean(self, scores: Sequence[float]) -> float:
        """The mean over the folds so far, each with its weight."""
        weights = self._weights[: len(scores)]
        return sum(w * x for w, x in zip(weights, scores, strict=True)) / sum(weights)

    def _tell(
        self, running: Running, values: list[float] | None = None, state: str = "", error: str = ""
    ) -> None:
        from optuna.trial import TrialState

        number = running.trial.number
        try:
            self._study.tell(number, values, TrialState[state] if state else None)
        except RuntimeError as raised:  # by a sampler that has tried all there is
            if "Study.stop" not in str(raised):
                raise
            self._exhausted = True
        self._study.set_user_attr(SECONDS, self._seconds())
        del self._running[number]
        self._finished += 1
        self._ended += 1
        self._causes.update([error] if error else [])
        self._told(number)

    def _judge(self) -> None:
        """Refuse to go on when more than the configured share of the trials has failed."""
        failed = self._causes.total()
        if failed <= self._settings.max_failed * max(self._ended, ENOUGH):
            return
        alike: Counter[str] = Counter()
        for error, count in self._causes.items():
            alike[DIGITS.sub("#", error)] += count
        kind, count = alike.most_common(1)[0]
        example = next(error for error in self._causes if DIGITS.sub("#", error) == kind)
        raise Refusal(
            f"{failed} of {self._ended} trials have failed, more than max_failed "
            f"{self._settings.max_failed:.0%} in conf/sweep/; {count} of them by {example}"
        )
