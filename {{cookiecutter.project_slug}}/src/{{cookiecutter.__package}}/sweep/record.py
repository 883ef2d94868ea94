"""The study in MLflow: one run a study, below it one a trial; values, metrics, no model files.

The run carries the study's identity, so that a resumed one goes on with it. What could not be
logged, because nobody answered or the driver was killed, is logged the next time.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..cli import one_line
from ..registry.store import Store, answering
from . import pictures
from .study import ERROR, IDENTITY, SCORES, TRACEBACK, best

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

PARENT = "mlflow.parentRunId"  # tags of a run
NUMBER = "trial"
STATES = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
LONGEST = 4_000  # characters of a tag


class Record:
    """Keeps the runs of a study in an experiment beside the project's own."""

    def __init__(
        self, study: "Study", project: str, metrics: list[str], tags: dict[str, str]
    ) -> None:
        self._study, self._metrics, self._tags = study, metrics, tags
        self._experiment = f"{project}-sweeps"
        self._store: Store | None = None
        self._run = ""
        self._logged: set[int] = set()
        self.trouble = ""

    def follow(self) -> None:
        """Log the trials that have ended and are not logged.

        After a failure, which `trouble` keeps, only `end` tries again: a server that is gone is
        waited for, and the workers with it.
        """
        if not self.trouble:
            self._attempt(self._catch_up)

    def end(self, finished: bool) -> None:
        """Give the study's run the best trial and the pictures, if it is at its end."""
        if finished or self._store or self.trouble:  # else there is nothing to end
            self._attempt(lambda: self._end(finished))

    def _attempt(self, what: Callable[[], None]) -> None:
        """Keep what goes wrong in `trouble`, whatever it is: the study goes on without MLflow."""
        try:
            with answering():
                what()
            self.trouble = ""
        except Exception as error:
            self.trouble = one_line(error) or type(error).__name__

    def _catch_up(self) -> None:
        store = self._connected()
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state.is_finished() and trial.number not in self._logged:
                self._log(store, trial)
                self._logged.add(trial.number)

    def _end(self, finished: bool) -> None:
        self._catch_up()
        store = self._connected()
        if finished and (trial := best(self._study)):
            self._close(store, trial)
        store.client.set_terminated(self._run, "FINISHED" if finished else "KILLED")

    def _connected(self) -> Store:
        if self._store is None:
            store = Store(self._experiment)
            self._run = self._found(store) or self._begun(store)
            self._store = store
        return self._store

    def _found(self, store: Store) -> str:
        """The run that the study has in this MLflow, and in `_logged` the trials below it."""
        wanted = f"tags.{IDENTITY} = '{self._study.user_attrs[IDENTITY]}'"
        known = store.client.search_runs([store.experiment], wanted)
        if not known:
            return ""
        run = str(known[0].info.run_id)
        store.client.update_run(run, status="RUNNING")
        token = None
        while True:
            page = store.client.search_runs(
                [store.experiment], f"tags.`{PARENT}` = '{run}'", max_results=1000, page_token=token
            )
            for child in page:
                if child.info.status == "RUNNING":  # half of one, by a driver that was killed
                    store.client.delete_run(child.info.run_id)
                else:
                    self._logged.add(int(child.data.tags[NUMBER]))
            token = page.token
            if not token:
                return run

    def _begun(self, store: Store) -> str:
        name = self._study.study_name
        tags = {"study": name, IDENTITY: self._study.user_attrs[IDENTITY], **self._tags}
        run = store.client.create_run(store.experiment, tags=tags, run_name=name)
        return str(run.info.run_id)

    def _log(self, store: Store, trial: "FrozenTrial") -> None:
        from mlflow.entities import Metric, Param

        began, ended = (
            int(1000 * (moment.timestamp() if moment else 0))
            for moment in (trial.datetime_start, trial.datetime_complete)
        )
        tags = {PARENT: self._run, NUMBER: str(trial.number), "state": trial.state.name}
        for key in (ERROR, TRACEBACK):
            if found := trial.user_attrs.get(key):
                tags[key] = str(found)[-LONGEST:]
        run = store.client.create_run(
            store.experiment, began, tags, run_name=f"trial {trial.number}"
        )
        found = [
            Metric(f"fold.{metric}", value, ended, fold)
            for fold, values in enumerate(trial.user_attrs.get(SCORES, []))
            for metric, value in zip(self._metrics, values, strict=True)
        ]
        if trial.state.name == "COMPLETE":  # the mean of a pruned one's folds compares with none
            means = zip(self._metrics, trial.values, strict=True)
            found += [Metric(metric, value, ended, 0) for metric, value in means]
        found.append(Metric("seconds", (ended - began) / 1000, ended, 0))
        params = [Param(name, str(value)) for name, value in trial.params.items()]
        store.client.log_batch(run.info.run_id, found, params)
        store.client.set_terminated(run.info.run_id, STATES[trial.state.name], ended)

    def _close(self, store: Store, trial: "FrozenTrial") -> None:
        client, run = store.client, self._run
        client.set_tag(run, "best_trial", str(trial.number))
        for metric, value in zip(self._metrics, trial.values, strict=True):
            client.log_metric(run, metric, value)
        # As tags: a study that is resumed may find a better trial, and parameters cannot change.
        for name, value in trial.params.items():
            client.set_tag(run, f"best.{name}", str(value))
        shares = pictures.importances(self._study)
        for name, share in shares.items():
            client.log_metric(run, f"importance.{name}", share)
        for file, figure in pictures.draw(self._study, self._metrics, shares).items():
            client.log_figure(run, figure, file)
