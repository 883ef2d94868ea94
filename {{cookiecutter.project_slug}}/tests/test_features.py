import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import joblib
import numpy as np
import pytest

from {{ cookiecutter.__package }} import config, features, files, paths, table
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.monitoring import drift
from {{ cookiecutter.__package }}.registry.release import release
from {{ cookiecutter.__package }}.serving import bundle
from {{ cookiecutter.__package }}.serving.schema import BadRequest, Column, Schema

from . import customers, project


def a_visit(income: float | None, visits: float) -> float:
    """Income for each visit, NaN where it is missing."""
    return float("nan") if income is None else income / (visits + 1)


def initial(plan: str | None) -> str | None:
    """First letter of a plan."""
    return plan[0] if plan else None


def weekday(signed_up: str) -> str:
    """Name of a day."""
    return datetime.fromisoformat(signed_up).strftime("%a")


def fails(value: Any) -> Any:
    """A function with an error."""
    raise RuntimeError("not\nto be")


MADE = {
    "income a visit": ("numeric", "a_visit", ["annual income (€)", "visits.monthly"]),
    "initial": ("categorical", "initial", ["friend's plan"]),
    "weekday": ("categorical", "weekday", ["signed_up"]),
}
COLUMNS: dict[str, Any] = {
    **customers.PARAMS["data"]["columns"],
    "friend's plan": {"type": "text", "missing": 0.6},  # read by a function only
    **{
        name: {"type": kind, "function": f"{__name__}.{function}", "of": of}
        for name, (kind, function, of) in MADE.items()
    },
}


@pytest.fixture(scope="session")
def built_with_functions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose model has inputs that functions make, released."""
    folder = tmp_path_factory.mktemp("functions")
    with project.inside(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "duckdb", duckdb)  # functions stay in a database for good
        model = customers.MODELS["hist_gradient_boosting"]
        project.write_params(data__columns=COLUMNS, data__segments=["weekday"], model=model)
        project.run()
        assert release()
    return folder


@pytest.fixture
def model(built_with_functions: Path) -> bundle.Model:
    """The model in its bundle."""
    with project.inside(built_with_functions):
        return bundle.Model(project.bundle(1))


def request(number: int = 0) -> dict[str, Any]:
    """A row as a client sends it: text for the plan, no made column."""
    return customers.request(number, "2024-04")


def test_the_split_stage_makes_the_columns_and_keeps_missing_values(
    built_with_functions: Path,
) -> None:
    rows = customers.read(built_with_functions / paths.HOLDOUT)
    for row in rows.to_dict("records"):
        income = row["annual income (€)"]
        if np.isnan(income):
            assert np.isnan(row["income a visit"])
        else:
            assert row["income a visit"] == income / (row["visits.monthly"] + 1)
        initials = [str(row[name])[0] for name in ("initial", "friend's plan")]
        assert initials[0] == initials[1]  # of a missing one, too
        assert row["weekday"] == datetime.fromisoformat(row["signed_up"]).strftime("%a")
    assert rows["income a visit"].isna().sum() > 10
    path = (built_with_functions / paths.HOLDOUT).as_posix()
    assert not table.rows(f"SELECT 1 FROM '{path}' WHERE isnan(\"income a visit\")")
    assert set(MADE) < set(files.read_json(built_with_functions / paths.COLUMNS))


def test_the_split_stage_writes_the_same_bytes_each_time(
    built_with_functions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "duckdb", duckdb)
    with project.inside(project.copied(built_with_functions, tmp_path / "project")):
        before = [files.digest(path) for path in (paths.TRAIN, paths.HOLDOUT)]
        project.run("split")
        assert [files.digest(path) for path in (paths.TRAIN, paths.HOLDOUT)] == before


def test_a_rare_made_value_counts_as_missing(
    built_with_functions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "duckdb", duckdb)
    with project.inside(project.copied(built_with_functions, tmp_path / "project")):
        project.write_params(data__columns=COLUMNS, data__segments=[], split__max_categories=3)
        project.run("validate", "split")
        kept = {value for (value,) in table.rows(f"SELECT weekday FROM '{paths.TRAIN}'")}
    assert len(kept - {None}) == 3
    assert None in kept


def test_a_request_holds_what_functions_take_and_not_what_they_make(model: bundle.Model) -> None:
    asked = {column.name: column for column in model.schema.asked}
    assert not set(MADE) & set(asked)
    assert asked["signed_up"].required  # though it is a role
    assert not asked["friend's plan"].required
    assert set(MADE) < {column.name for column in model.schema.columns}
    assert set(model.manifest.smoke.row) == set(asked)
    row = model.schema.decode(json.dumps(request()).encode())
    assert (row.time, row.key) == (request()["signed_up"], request()["customer_id"])
    without = {name: value for name, value in request().items() if name != "signed_up"}
    with pytest.raises(BadRequest, match="`signed_up` is missing"):
        model.schema.decode(json.dumps(without).encode())


def test_service_and_training_answer_the_same_missing_values_too(
    built_with_functions: Path, model: bundle.Model
) -> None:
    holdout = customers.read(built_with_functions / paths.HOLDOUT)
    pipeline = joblib.load(built_with_functions / paths.MODEL)
    expected = pipeline.predict_proba(holdout[list(pipeline.feature_names_in_)])[:, 1]
    by_key = dict(zip(holdout["customer_id"].astype(str), expected, strict=True))
    requests = [row for row in map(request, range(customers.ROWS)) if row["customer_id"] in by_key]
    rows = [model.schema.decode(json.dumps(row).encode()) for row in requests]
    wanted = [by_key[row["customer_id"]] for row in requests]

    assert len(rows) == len(holdout)
    assert sum(row["annual income (€)"] is None for row in requests) > 10
    assert model.predict(rows)[0] == pytest.approx(wanted, rel=0, abs=1e-12)
    assert [model.one(row)[0] for row in rows] == pytest.approx(wanted, rel=0, abs=1e-12)
    contributions = model.explain(rows[0]).contributions
    assert set(MADE) < set(contributions)


def test_a_row_that_a_function_fails_on_is_a_bad_request(model: bundle.Model) -> None:
    row = model.schema.decode(json.dumps(request() | {"signed_up": "some day"}).encode())
    for ask in (model.one, lambda row: model.predict([row])):
        with pytest.raises(BadRequest, match="'weekday' cannot be made of 'some day': ValueError"):
            ask(row)


def test_a_function_that_fails_stops_the_split_in_one_sentence(
    built_with_functions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "duckdb", duckdb)
    column = {"type": "numeric", "function": f"{__name__}.fails", "of": ["age"]}
    with project.inside(project.copied(built_with_functions, tmp_path / "project")):
        project.write_params(data__columns=COLUMNS | {"x": column}, data__segments=[])
        with pytest.raises(
            Refusal, match=r"conf/data/: 'x' cannot be made of \d+\.0: Runtime"
        ) as it:
            project.run("validate", "split")
    assert "\n" not in str(it.value)


@pytest.mark.parametrize(
    ("numeric", "given", "made"),
    [
        (True, 3, 3.0),
        (True, np.float32(0.5), 0.5),
        (True, True, 1.0),
        (True, float("nan"), None),
        (True, None, None),
        (False, "", ""),
        (False, np.str_("a"), "a"),
        (False, None, None),
    ],
)
def test_results_get_the_form_of_other_columns(numeric: bool, given: Any, made: Any) -> None:
    same = features.maker("x", f"{__name__}.itself", numeric, "conf/data/")
    assert same(given) == made
    assert type(same(given)) is type(made)


def itself(value: Any) -> Any:
    """What it is given."""
    return value


@pytest.mark.parametrize(
    ("numeric", "given"),
    [(True, "3"), (True, float("inf")), (True, [1]), (False, 5), (False, float("nan"))],
)
def test_results_of_another_type_are_refused_by_name(numeric: bool, given: Any) -> None:
    make = features.maker("x", f"{__name__}.itself", numeric, "conf/data/")
    with pytest.raises(
        features.CannotMake, match=r"'x' of .* is .*, not (text|a finite number) or"
    ):
        make(given)


def schema(**changes: Any) -> Schema:
    made = {"function": f"{__name__}.initial", "of": ["plan"], **changes}
    asked = Column("plan", True, [], "")
    return Schema([Column("initial", False, ["a", "b"], "", **made)], "id", None, [asked])


def test_a_function_that_has_changed_since_the_training_needs_another_name() -> None:
    now = features.code(f"{__name__}.initial", "here")
    assert len(now) == 64
    schema(code=now)
    schema(code="")  # without source text, such as one written in C
    with pytest.raises(Refusal, match=r"initial, which makes 'initial', is not the one .* trained"):
        schema(code=now[::-1])
    with pytest.raises(Refusal, match=r"the code that runs here: there is no .*initials"):
        schema(function=f"{__name__}.initials")


def test_what_a_table_holds_already_is_not_made_again() -> None:
    table: dict[str, list[Any]] = {
        "plan": [None, "b"],
        "initial": ["a", "b"],
    }  # None: rare in training
    assert schema().encode_columns(table)[0].tolist() == [0, 1]
    assert schema().encode_columns({"plan": ["a", "b"]})[0].tolist() == [0, 1]


def test_drift_compares_what_was_sent(built_with_functions: Path, model: bundle.Model) -> None:
    found = drift.reference_of(model, "prediction")
    numbers_and_text = set(COLUMNS) - set(MADE) - {"friend's plan"}
    assert set(found.columns) == numbers_and_text | {"prediction", "signed_up"}  # and when


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"missing": 0.1}, "no limits of its own"),
        ({"max": 3}, "no limits of its own"),
        ({"of": []}, "needs both"),
        ({"function": None}, "needs both"),
        ({"of": ["colour"]}, "made of colour, which is no such column"),
        ({"of": ["weekday"]}, "made of weekday, which is no such column"),
        ({"of": ["churned"]}, "made of churned, which is no such column"),
    ],
)
def test_a_column_that_cannot_be_made_is_refused_before_anything_runs(
    changed: dict[str, Any], told: str
) -> None:
    columns = COLUMNS | {"initial": {**COLUMNS["initial"], **changed}}
    with pytest.raises(Refusal, match=told):
        config.composed(customers.params(data__columns=columns, data__segments=[]))


def test_a_made_column_that_is_turned_off_asks_for_nothing() -> None:
    columns = COLUMNS | {"initial": {**COLUMNS["initial"], "type": "text"}}
    data = config.composed(customers.params(data__columns=columns, data__segments=[])).data
    assert "friend's plan" not in data.asked
    assert "initial" not in data.inputs
