"""The image: the serving lock and the package, started as `make serve` does, and not as root."""

import json
import re
import tomllib

from {{ cookiecutter.__package }} import config, paths

from ..project import ROOT, declared
from . import shipped


def test_the_image_is_started_as_make_serve_starts_the_service() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (package,) = re.findall(r"^PACKAGE := (\S+)$", makefile, re.MULTILINE)
    (served,) = re.findall(r"^\t@exec (python -m \S+\.serving)$", makefile, re.MULTILINE)
    (command,) = shipped.values("CMD")
    assert json.loads(command) == served.replace("$(PACKAGE)", package).split()
    assert package == config.__package__


def test_only_the_hashed_serving_lock_and_the_package_are_installed() -> None:
    installs = [
        install
        for value in shipped.values("RUN")
        for install in value.split("&&")
        if " install " in install
    ]
    locked = [x for x in installs if "--require-hashes" in x and x.count("-r locks/") == 1]
    assert [re.findall(r"-r (\S+)", x) for x in locked] == [["locks/uv.txt"], ["locks/serve.txt"]]
    (package,) = (x for x in installs if x not in locked)
    assert re.search(r" --no-deps \.\s*$", package)


def test_what_builds_stays_out_of_the_image() -> None:
    bases = shipped.values("FROM")
    assert [base.partition(" ")[2] for base in bases] == ["AS build", ""]
    assert not shipped.values("RUN", stage=1)
    copied = shipped.values("COPY", stage=1)
    assert copied == ["--from=build /venv /venv", "params.json schema.json ./"]


def test_the_images_python_is_one_of_the_projects_and_named_to_the_minor_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    least, below = re.findall(r"3\.(\d+)", project["requires-python"])
    tags = {re.sub(r" AS \w+$", "", base) for base in shipped.values("FROM")}
    (tag,) = tags
    found = re.fullmatch(r"python:3\.(\d+)-slim(@sha256:[0-9a-f]{64})?", tag)
    assert found
    assert int(least) <= int(found[1]) < int(below)


def test_the_image_runs_as_a_user_that_is_not_root_and_named_by_number() -> None:
    (user,) = shipped.values("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    names = [step.name for step in shipped.dockerfile()]
    assert "RUN" not in names[names.index("USER") :]


def test_the_image_listens_where_it_says_and_asks_itself_there() -> None:
    environment = shipped.environment()
    assert environment["SERVE_HOST"] == "0.0.0.0"  # noqa: S104 - the container's own network
    assert shipped.values("EXPOSE") == [environment["SERVE_PORT"]]
    (check,) = shipped.values("HEALTHCHECK")
    assert "os.environ['SERVE_PORT']" in check
    assert "'/health/ready'" in check


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[0] == "*"
    copied = {
        name
        for value in shipped.values("COPY")
        if not value.startswith("--from")
        for name in value.split()[:-1]
    }
    choices = {f"locks/{path.name}" for path in (ROOT / "locks").glob("serve*.txt")}
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied | choices
    made = {path for stage in declared().values() for path in map(str, _kept(stage))}
    assert made == {paths.PARAMS.name, paths.SCHEMA.name}
    for name in copied - made:
        assert (ROOT / name).exists(), name


def _kept(stage: dict[str, list[object]]) -> list[str]:
    """Outputs of a stage that git carries."""
    outs = [out for out in stage.get("outs", []) if isinstance(out, dict)]
    return [next(iter(out)) for out in outs]
