"""Evidently's page on the traffic: it draws, and decides nothing."""

import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from .. import files

if TYPE_CHECKING:
    import pandas as pd

PAGE = "drift.html"


def draw(
    current: "pd.DataFrame",
    reference: "pd.DataFrame",
    kinds: dict[str, bool],
    folder: Path,
    drift_share: float,
) -> str:
    """Have Evidently draw drift.html, and write what it says as drift.json.

    `kinds` tells which columns are categorical. Returns the page's path below the folder's parent;
    empty when Evidently fails: the status does not depend on it.
    """
    os.environ.setdefault("DO_NOT_TRACK", "true")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    # A column missing throughout on both sides has nothing to compare.
    used = [name for name in kinds if not reference[name].isna().all()]
    definition = DataDefinition(
        numerical_columns=[name for name in used if not kinds[name]],
        categorical_columns=[name for name in used if kinds[name]],
    )
    try:
        # Distances whatever the number of rows: by default small samples would give p-values.
        preset = DataDriftPreset(
            drift_share=drift_share, num_method="wasserstein", cat_method="jensenshannon"
        )
        sides = (Dataset.from_pandas(side[used], definition) for side in (current, reference))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of columns that do not vary
            snapshot = Report([preset]).run(*sides)
        folder.mkdir(parents=True, exist_ok=True)
        snapshot.save_html(str(folder / PAGE))
        files.write_json((folder / PAGE).with_suffix(".json"), json.loads(snapshot.json()))
    except Exception as error:
        print(f"no report on the traffic, Evidently says: {error}")
        return ""
    return f"{folder.name}/{PAGE}"
