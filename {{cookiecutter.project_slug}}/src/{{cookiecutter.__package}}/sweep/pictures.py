"""Pictures of a study: how the best value came about, and which settings matter."""

from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from optuna import Study


def importances(study: "Study") -> dict[str, float]:
    """How much of the first metric's spread each setting accounts for, by Optuna's evaluator."""
    import optuna
    from optuna.trial import TrialState

    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({trial.values[0] for trial in finished}) < 2:  # nothing to explain
        return {}
    sign = -1 if study.directions[0].name == "MAXIMIZE" else 1  # low values are taken for good
    found = optuna.importance.get_param_importances(
        study, target=lambda trial: sign * trial.values[0]
    )
    return {name: float(share) for name, share in found.items()}


def draw(study: "Study", metrics: list[str], shares: dict[str, float]) -> dict[str, "Figure"]:
    """The pictures by file name; `shares` are the `importances`."""
    found = {"history.png": _history(study, metrics[0])}
    if shares:
        found["importance.png"] = _importance(shares, metrics[0])
    return found


def _history(study: "Study", metric: str) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    panel = figure.subplots()
    trials = study.get_trials(deepcopy=False)
    finished = [trial for trial in trials if trial.state.name == "COMPLETE"]
    numbers = [trial.number for trial in finished]
    panel.scatter(
        numbers, [trial.values[0] for trial in finished], color="#1f6feb", s=18, label="finished"
    )
    # What is pruned was scored on some folds only, which compares with no other value.
    pruned = [trial.number for trial in trials if trial.state.name == "PRUNED"]
    edge = panel.get_xaxis_transform()
    panel.plot(pruned, [0.01] * len(pruned), "|", color="#9a9a9a", label="pruned", transform=edge)
    better = max if study.directions[0].name == "MAXIMIZE" else min
    steps = list(accumulate((trial.values[0] for trial in finished), better))
    panel.step(numbers, steps, where="post", color="#d1242f", label="best so far")
    panel.set(title=study.study_name, xlabel="trial", ylabel=metric.replace("_", " "))
    panel.grid(alpha=0.3)
    panel.legend()
    return figure


def _importance(shares: dict[str, float], metric: str) -> "Figure":
    from matplotlib.figure import Figure

    names = sorted(shares, key=lambda name: shares[name])
    figure = Figure(figsize=(8, 1.2 + 0.45 * len(names)), layout="constrained")
    panel = figure.subplots()
    short = [name.rpartition(".")[2] for name in names]
    panel.barh(short, [shares[name] for name in names], color="#1f6feb")
    panel.set(title=f"what {metric.replace('_', ' ')} depends on", xlabel="share of its spread")
    panel.grid(axis="x", alpha=0.3)
    return figure
