"""Clients that others have published work with the service as they come."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lived
from .inside import ask
from .service import by_scikit_learn, flights, prepare, serving

MLFLOW = """
import json, sys
import pandas
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
frame = pandas.DataFrame(json.loads(sys.argv[2]))
assert frame.isna().any(axis=None)
client = ScoringServerClient("127.0.0.1", int(sys.argv[1]))
client.wait_server_ready(timeout=30)
version = client.get_version()
found = client.invoke(frame).get_predictions()
print(json.dumps([version, found.values.tolist()]))
"""

TRITON = """
import json, sys
import numpy
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException
rows = json.loads(sys.argv[2])
client = triton.InferenceServerClient(f"127.0.0.1:{sys.argv[1]}")
name = client.get_server_metadata()["name"]
model = client.get_model_metadata(name)
(version,) = model["versions"]
ready = [
    client.is_server_live(), client.is_server_ready(),
    client.is_model_ready(name), client.is_model_ready(name, version),
    client.is_model_ready("another"),
]

def infer(rows, binary, wanted):
    inputs = []
    for column in model["inputs"]:
        kind = "float64" if column["datatype"] == "FP64" else object
        values = numpy.array([row[column["name"]] for row in rows], dtype=kind)
        tensor = triton.InferInput(column["name"], [len(rows)], column["datatype"])
        inputs.append(tensor.set_data_from_numpy(values, binary_data=binary))
    outputs = [triton.InferRequestedOutput(output) for output in wanted] or None
    found = client.infer(name, inputs, version, outputs, request_id="7")
    told = found.get_response()
    assert (told["model_name"], told["model_version"], told["id"]) == (name, version, "7")
    return {output["name"]: found.as_numpy(output["name"]).tolist() for output in told["outputs"]}

whole = [row for row in rows if None not in row.values()]
assert 1 < len(whole) < len(rows)
try:
    client.infer("another", [])
except InferenceServerException as error:
    refused = [error.status(), error.message()]
print(json.dumps({
    "name": name,
    "ready": ready,
    "outputs": [output["name"] for output in model["outputs"]],
    "binary": infer(rows, True, []),
    "json": infer(whole, False, []),
    "whole": [rows.index(row) for row in whole],
    "chosen": infer(rows, True, ["label", "probability"]),
    "refused": refused,
}))
"""


@pytest.fixture
def rows(life: Lived) -> list[dict[str, Any]]:
    """Flights of which some lack a number; a category that is missing is no tensor's value."""
    kinds = {name for row in flights(life.project) for name in row if isinstance(row[name], str)}
    found = [row for row in flights(life.project) if all(row[name] is not None for name in kinds)]
    assert any(None in row.values() for row in found)
    return found


def test_mlflows_client_gets_the_answers_of_predict(
    life: Lived, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service")
    with serving(life.project, folder) as service:
        told = service.ask("/predict", rows).json()["predictions"]
        version, found = ask(life.project, MLFLOW, str(service.port), json.dumps(rows))
    assert found == [[1 - row["probability"], row["probability"]] for row in told]
    every = by_scikit_learn(life.project)[1]
    expected = [every[flights(life.project).index(row)] for row in rows]
    assert [late for _, late in found] == pytest.approx(expected, abs=1e-9)
    (bundle,) = (folder / "var/bundles").glob("v1-*/bundle.json")
    assert version == json.loads(bundle.read_text())["mlflow"]


def test_tritons_client_gets_the_answers_of_predict(
    life: Lived, rows: list[dict[str, Any]], published: Path, tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service")
    with serving(life.project, folder) as service:
        told = service.ask("/predict", rows).json()["predictions"]
        command = [str(published / "python"), "-c", TRITON, str(service.port), json.dumps(rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    probabilities = [row["probability"] for row in told]
    labels = [row["label"] for row in told]
    assert found["ready"] == [True, True, True, True, False]
    assert found["outputs"] == ["probability", "label", "id"]
    assert found["binary"]["probability"] == probabilities
    assert found["binary"]["label"] == labels
    assert len(set(found["binary"]["id"])) == len(rows)
    assert found["json"]["probability"] == [probabilities[row] for row in found["whole"]]
    assert found["chosen"] == {"label": labels, "probability": probabilities}
    assert list(found["chosen"]) == ["label", "probability"]
    status, message = found["refused"]
    assert status == "404"
    assert message.startswith("no such model: flight-delays, version 1")
