"""How what was found reaches the model: a file of conf/, which `dvc repro` composes."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from .. import files
from .score import ENCODING, ESTIMATOR, Scorer

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

FOLDER = Path("conf/tuned")


def written(model: str) -> set[str]:
    """The settings that an earlier result has set, named as in conf/space/."""
    path = FOLDER / f"{model}.yaml"
    if not path.exists():
        return set()
    found: Any = OmegaConf.to_container(OmegaConf.load(path))
    settings = {ESTIMATOR + str(name) for name in found.get("estimator", ())}
    return settings | ({ENCODING} if "encoding" in found else set())


def write(
    study: "Study",
    best: "FrozenTrial",
    scorer: Scorer,
    data_md5: str,
    fixed: Mapping[str, Any],
) -> Path:
    """Write the best trial's values, and the `fixed` ones, beside the model."""
    values = {**fixed, **best.params}
    scored = ", ".join(
        f"{name} {value:.6g}" for name, value in zip(scorer.metrics, best.values, strict=True)
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
    path = FOLDER / f"{scorer.model.name}.yaml"
    files.write_text(path, "\n".join(lines) + "\n")
    return path


def summary(study: "Study", best: "FrozenTrial", metrics: list[str]) -> str:
    """The best values in words, beside those of the settings that a study has begun with."""
    lines = [f"best: trial {best.number}"]
    first = study.get_trials(deepcopy=False)[0]
    known = "fixed_params" in first.system_attrs and first.state.name == "COMPLETE"
    for place, metric in enumerate(metrics):
        beside = f"   {first.values[place]:.5f} with the settings it began with" if known else ""
        lines.append(f"  {metric:<18} {best.values[place]:.5f}{beside}")
    lines += [
        f"  {name.rpartition('.')[2]:<18} {value:.5g}"
        if isinstance(value, float)
        else f"  {name.rpartition('.')[2]:<18} {value}"
        for name, value in best.params.items()
    ]
    return "\n".join(lines)
