"""What is seen of a study while it runs: a bar on a terminal, else a line for each trial."""

import sys
from typing import TYPE_CHECKING, Any

from . import study as studies

if TYPE_CHECKING:
    from optuna import Study


class Progress:
    """Shows how many trials have ended and how, the best value, and when the rest will have."""

    def __init__(self, study: "Study", total: int | None) -> None:
        self._study, self._total = study, total
        self._bar: Any = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            # Without a total of trials tqdm shows their rate in place of the time that is left.
            self._bar = tqdm(
                total=total, initial=studies.ended(study), unit="trial", dynamic_ncols=True
            )
            self._bar.set_postfix_str(self._said())

    def told(self, number: int) -> None:
        """Show that a trial has ended."""
        if self._bar is not None:
            self._bar.set_postfix_str(self._said(), refresh=False)
            self._bar.update()
            return
        trial = self._study.get_trials(deepcopy=False)[number]
        how = {
            "COMPLETE": f"{trial.values[0]:.5f}" if trial.values else "",
            "PRUNED": "pruned",
            "FAIL": f"failed: {trial.user_attrs.get(studies.ERROR, '')[:100]}",
        }[trial.state.name]
        of = f" of {self._total}" if self._total else ""
        print(f"{studies.ended(self._study)}{of}: trial {number} {how}; {self._said()}", flush=True)

    def close(self) -> None:
        """Leave the last state on the terminal."""
        if self._bar is not None:
            self._bar.close()

    def _said(self) -> str:
        best, counts = studies.best(self._study), studies.counts(self._study)
        value = f"{best.values[0]:.5f} (trial {best.number})" if best else "none yet"
        return f"best {value}, {counts.get('PRUNED', 0)} pruned, {counts.get('FAIL', 0)} failed"
