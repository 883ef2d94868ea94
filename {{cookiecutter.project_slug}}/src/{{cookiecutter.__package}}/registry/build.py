"""Building a challenger's bundle, and holding it to scikit-learn's answers."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from .. import config, files, paths, table, tasks
from ..cli import Refusal
from ..pipeline.split import sides
from ..serving import bundle
from ..serving.predictor import linear_terms
from ..serving.schema import Schema
from . import deploy, history, native
from .forest import NotPortable
from .lineage import Lineage
from .portable import Portable, export

BACKGROUND = 8  # training rows that explanations of scikit-learn's own answers are held against


def build(
    name: str, data: config.Data, made: Lineage, pipeline: Any, folder: Path
) -> bundle.Manifest:
    """Write the challenger's bundle, checked on every row of the holdout.

    A model without an exact portable form is written as scikit-learn's own; that one too must give
    the same answers, or `Refusal` is raised.
    """
    monitoring = config.read("monitoring", config.Monitoring)
    table.write(
        "SELECT * FROM (SELECT * FROM read_parquet($1)) USING SAMPLE reservoir("
        f"{monitoring.sample_rows} ROWS) REPEATABLE ({config.read('seed', int)})",
        folder / bundle.REFERENCE,
        paths.TRAIN.as_posix(),
    )
    task = tasks.of(data, config.read("evaluate", config.Evaluate))
    expected = task.predict(pipeline, table.frame(paths.HOLDOUT, list(table.inputs())))
    rows = table.columns(paths.HOLDOUT, list(data.asked))
    try:
        manifest = _write(name, data, made, export(pipeline), folder, rows, expected)
        furthest = _check(folder, rows, expected)
        print(f"portable form exact on {len(expected)} rows (largest difference {furthest:.0e})")
    except (NotPortable, bundle.BadBundle) as reason:
        print(f"no exact portable form ({reason}): scikit-learn itself will answer, more slowly")
        portable = native.write(pipeline, folder, str(reason))
        manifest = _write(name, data, made, portable, folder, rows, expected)
        try:
            _check(folder, rows, expected)
        except NotPortable as difference:
            raise Refusal(f"the bundle does not answer as the model: {difference}") from None
    return manifest


def _write(
    name: str,
    data: config.Data,
    made: Lineage,
    portable: Portable,
    folder: Path,
    rows: dict[str, list[Any]],
    expected: Any,
) -> bundle.Manifest:
    trained_on, judged_on = partitions()
    columns = deploy.columns(portable, data)
    arguments = deploy.arguments(data)
    if portable.form != "trees":  # whose paths are all that explaining them takes
        sample = table.columns(folder / bundle.REFERENCE, [column.name for column in columns])
        encoded = Schema(columns, data.roles.key, data.roles.time, arguments).encode_columns(sample)
        if portable.form == "linear":
            portable.arrays["mean_terms"] = linear_terms(portable.arrays, encoded).mean(axis=1)
        else:
            few = {f"background_{i}": values[:BACKGROUND] for i, values in enumerate(encoded)}
            portable.arrays.update(few)
    complete = next(
        (i for i in range(len(expected)) if all(rows[name][i] is not None for name in rows)), 0
    )
    metrics = files.read_json(paths.METRICS)
    return deploy.write(
        folder,
        bundle.Manifest(
            format=bundle.FORMAT,
            name=name,
            version=0,
            run_id="",
            fingerprint=made.fingerprint,
            created=history.now(),
            data_md5=made.data_md5,
            model_md5=made.model_md5,
            trained_on=trained_on,
            judged_on=judged_on,
            metrics=metrics["model"],
            mlflow=version("mlflow"),
            form=portable.form,
            meta=portable.meta,
            task=data.task,
            classes=data.classes,
            columns=columns,
            arguments=arguments,
            key=data.roles.key,
            time=data.roles.time,
            target=data.roles.target,
            threshold=config.read("evaluate", config.Evaluate).threshold,
            half_width=metrics.get("half_width"),
            held_out=held_out(data, config.read("split", config.Split)),
            smoke=bundle.Smoke(
                {name: values[complete] for name, values in rows.items()},
                np.asarray(expected[complete], np.float64).tolist(),
            ),
            files={},
        ),
        portable,
    )


def _check(folder: Path, rows: dict[str, list[Any]], expected: Any) -> float:
    """The largest difference of an answer; `NotPortable` when it is too large."""
    model = bundle.Model(folder)
    furthest = 0.0
    ways = [model.predict_columns, model.predict_each] if model.quick else [model.predict_columns]
    for way in ways:
        found = way(rows)
        flipped = model.answers.flipped(found, expected)
        furthest = max(furthest, bundle.differ(found, expected))
        if flipped or not furthest <= model.tolerance:
            raise NotPortable(
                f"{flipped} labels flip and answers differ by up to {furthest:.1e} "
                f"on {len(expected)} holdout rows"
            )
    return furthest


def partitions() -> tuple[list[str], list[str]]:
    """Names of the partitions that trained the model, and of those that judge it."""
    split = config.read("split", config.Split)
    return sides(config.read("partitions", list[str]), split)


def held_out(data: config.Data, split: config.Split) -> bundle.HeldOut | None:
    """By what rule rows never train, where that is not by partition."""
    share = split.holdout_share
    return bundle.HeldOut(share, data.roles.group) if share else None
