"""Real rows and the answers scikit-learn gives to them; runs in a project's environment and folder.

`python real_rows.py <package> <number of rows> <output>` writes `{"rows": [...], "expected":
[...]}`: rows of the newest partition as a client sends them, and their probabilities of label 1.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib


def main(package: str, count: str, output: str) -> None:
    """Sample the rows, always the same ones, and ask the model file of the pipeline."""
    config, paths, table = (import_module(f"{package}.{n}") for n in ("config", "paths", "table"))
    data = config.read("data", config.Data)
    newest = paths.RAW / f"{config.read('partitions', list[str])[-1]}.parquet"
    roles = (data.roles.key, data.roles.time)
    as_text = ", ".join(f"{table.quoted(name)}::VARCHAR AS {table.quoted(name)}" for name in roles)
    inputs = table.canonical(data.asked)
    with TemporaryDirectory() as folder:
        sample = Path(folder) / "rows.parquet"
        table.write(
            f"SELECT {as_text}, {inputs} FROM (SELECT * FROM read_parquet($1)) "  # noqa: S608
            f"USING SAMPLE reservoir({int(count)} ROWS) REPEATABLE (1)",
            sample,
            newest.as_posix(),
        )
        columns = table.columns(sample, [*roles, *data.asked])
        expected = joblib.load(paths.MODEL).predict_proba(table.frame(sample, list(data.inputs)))
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    found = {"rows": rows, "expected": expected[:, 1].tolist()}
    Path(output).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
