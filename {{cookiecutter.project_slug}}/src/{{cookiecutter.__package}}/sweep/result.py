"""How what was found reaches the model: a file of conf/, which `dvc repro` composes."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import files
from .score import ENCODING, ESTIMATOR

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

FOLDER = Path("conf/tuned")


def write(
    model: str,
    study: "Study",
    best: "FrozenTrial",
    metrics: list[str],
    data_md5: str,
    fixed: Mapping[str, Any],
) -> Path:
    """Write the best trial's values, and those fixed on the command line, beside the model."""
    values = {**fixed, **best.params}
    scored = ", ".join(
        f"{name} {value:.6g}" for name, value in zip(metrics, best.values, strict=True)
    )
    lines = [
        "# @package model",
        f"# Found by `make sweep` on {datetime.now(UTC):%Y-%m-%d}: {scored}, means over later",
        f"# training rows; the MD5 of data/split/train.parquet was {data_md5}.",
        "# Remove this file to go back to conf/model/ alone.",
        f"study: {study.study_name}, trial {best.number}",
    ]
    if ENCODING in values:
        lines.append(f"encoding: {json.dumps(values[ENCODING])}")
    lines.append("estimator:")
    lines += [
        f"  {name.removeprefix(ESTIMATOR)}: {json.dumps(value)}"
        for name, value in sorted(values.items())
        if name.startswith(ESTIMATOR)
    ]
    path = FOLDER / f"{model}.yaml"
    files.write_text(path, "\n".join(lines) + "\n")
    return path


def summary(study: "Study", best: "FrozenTrial", metrics: list[str], first: bool) -> str:
    """The best values in words; `first` says that trial 0 was the settings of today."""
    lines = [f"best: trial {best.number}"]
    for place, metric in enumerate(metrics):
        beside = ""
        zero = study.get_trials(deepcopy=False)[0]
        if first and zero.values and len(zero.values) > place and zero.state.name == "COMPLETE":
            beside = f"   {zero.values[place]:.5f} with the settings so far"
        lines.append(f"  {metric:<18} {best.values[place]:.5f}{beside}")
    lines += [
        f"  {name.rpartition('.')[2]:<18} {value:.5g}"
        if isinstance(value, float)
        else f"  {name.rpartition('.')[2]:<18} {value}"
        for name, value in best.params.items()
    ]
    return "\n".join(lines)
