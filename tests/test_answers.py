"""What the prompts accept and refuse. A peer's prompt did nothing (SKA 7): each answer counts."""

import re
import tomllib
from pathlib import Path

import pytest

from demo.project import CommandFailed, bake

LONGEST = 40

REFUSED = {
    "spaces": ("project_slug", {"project_slug": "flight delays"}),
    "capitals": ("project_slug", {"project_slug": "Flight-Delays"}),
    "Korean letters": ("project_slug", {"project_slug": "항공-지연"}),
    "underscores": ("project_slug", {"project_slug": "flight_delays"}),
    "a leading digit": ("project_slug", {"project_slug": "2013-flights"}),
    "a trailing hyphen": ("project_slug", {"project_slug": "flights-"}),
    "a path": ("project_slug", {"project_slug": "../flights"}),
    "a newline": ("project_slug", {"project_slug": "flights\n"}),
    "a keyword": ("project_slug", {"project_slug": "class"}),
    "a module of Python": ("project_slug", {"project_slug": "json"}),
    "a module of Python with an underscore": ("project_slug", {"project_slug": "sre-parse"}),
    "the name of a tool": ("project_slug", {"project_slug": "mlflow"}),
    "a letter too many": ("project_slug", {"project_slug": "a" * (LONGEST + 1)}),
    "a digit first in the derived slug": ("project_slug", {"project_name": "2013 Flights"}),
    "a name without letters": ("project_slug", {"project_name": "✈ ✈"}),
    "a blank name": ("project_name", {"project_name": " ", "project_slug": "ok"}),
    "an empty name": ("project_name", {"project_name": "", "project_slug": "ok"}),
    "quotes in the name": ("project_name", {"project_name": 'The "best"', "project_slug": "ok"}),
    "a backslash in the name": ("project_name", {"project_name": "a\\b", "project_slug": "ok"}),
    "a newline in the name": ("project_name", {"project_name": "a\nb", "project_slug": "ok"}),
    "an empty author": ("author", {"author": ""}),
    "quotes in the author": ("author", {"author": 'Ann "A" Lee'}),
    "a backslash in the author": ("author", {"author": "Ann\\Lee"}),
    "a newline in the author": ("author", {"author": "Ann\nLee"}),
    "no bucket": ("dvc_remote_url", {"dvc_remote": "s3", "dvc_remote_url": "s3://"}),
    "a bucket elsewhere": ("dvc_remote_url", {"dvc_remote": "gs", "dvc_remote_url": "s3://data"}),
    "a folder as a bucket": (
        "dvc_remote_url",
        {"dvc_remote": "azure", "dvc_remote_url": "../data"},
    ),
    "a bucket as a folder": ("dvc_remote_url", {"dvc_remote_url": "s3://data"}),
    "a remote in a home folder": ("dvc_remote_url", {"dvc_remote_url": "~/data"}),
    "a remote in the project": ("dvc_remote_url", {"dvc_remote_url": "data/remote"}),
    "a remote that is the project": ("dvc_remote_url", {"dvc_remote_url": "../x/../"}),
    "a remote in the project, round about": ("dvc_remote_url", {"dvc_remote_url": "./a/../b"}),
    "a comment in the address": ("dvc_remote_url", {"dvc_remote_url": "../data # ours"}),
    "an empty address": ("dvc_remote_url", {"dvc_remote_url": " "}),
}


@pytest.mark.parametrize(("prompt", "answers"), REFUSED.values(), ids=REFUSED)
def test_a_bad_answer_is_refused_in_one_sentence_and_leaves_nothing(
    prompt: str, answers: dict[str, str], template: Path, tmp_path: Path
) -> None:
    with pytest.raises(CommandFailed) as failure:
        bake(tmp_path / "out", template, **answers)

    said = [line for line in str(failure.value).splitlines() if line.startswith("error: ")]
    assert len(said) == 1, str(failure.value)
    assert re.match(rf"error: {prompt} .+[^.]\.$", said[0]), said[0]
    assert list((tmp_path / "out").iterdir()) == []


def test_an_empty_slug_is_refused_and_leaves_nothing(template: Path, tmp_path: Path) -> None:
    # Cookiecutter itself stops here: no hook has run yet.
    (tmp_path / "out").mkdir()
    with pytest.raises(CommandFailed):
        bake(tmp_path / "out", template, project_slug="")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("prompt", "answer", "offered"),
    [
        ("license", "GPL", r"MIT.*Apache-2\.0.*BSD-3-Clause.*none"),
        ("retraining", "airflow", "both.*github-actions.*cron"),
        ("dvc_remote", "ftp", "local.*s3.*gs.*azure.*ssh"),
        ("containers", "maybe", "yes.*no"),
        ("notebook", "maybe", "yes.*no"),
    ],
)
def test_an_unknown_choice_is_refused_by_name(
    prompt: str, answer: str, offered: str, template: Path, tmp_path: Path
) -> None:
    with pytest.raises(CommandFailed, match=f"{answer}.*{prompt}.*{offered}"):
        bake(tmp_path / "out", template, **{prompt: answer})
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        ("MIT", "Permission is hereby granted, free of charge"),
        ("Apache-2.0", "Version 2.0"),
        ("BSD-3-Clause", "Neither the name of the copyright holder"),
    ],
)
def test_a_licence_is_there_in_full_with_the_author_as_typed(
    licence: str, words: str, template: Path, tmp_path: Path
) -> None:
    author = "Zoë O'Neill & 김민준"
    folder = bake(tmp_path / "out", template, license=licence, author=author)

    text = (folder / "LICENSE").read_text(encoding="utf-8")
    assert words in text
    assert author in text
    assert not text.startswith("\n")
    assert text.endswith("\n")


def test_without_a_licence_nothing_speaks_of_one(template: Path, tmp_path: Path) -> None:
    # SKA 7: the answer "no" must leave the thing out.
    folder = bake(tmp_path / "out", template, license="none")

    assert not list(folder.glob("LICENSE*"))
    for path in sorted(folder.rglob("*")):
        named = path.is_file() and ".git" not in path.parts and path.parent.name != "locks"
        if named:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\blicen[cs]e\b", text, re.IGNORECASE), path


def test_names_reach_the_files_that_show_them(template: Path, tmp_path: Path) -> None:
    folder = bake(
        tmp_path / "out",
        template,
        project_name="Bob's Zebras: 1 & 2",
        project_slug="zebra-crossing",
    )

    assert folder.name == "zebra-crossing"
    assert sorted(path.name for path in (folder / "src").iterdir()) == ["zebra_crossing"]
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "zebra-crossing"
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("# Bob's Zebras: 1 & 2\n")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("House Prices", "house-prices"),
        ("Flüge nach Köln", "fluge-nach-koln"),
        ("항공 지연", "hanggong-jiyeon"),
        ("Bob's Zebras: 1 & 2", "bob-s-zebras-1-2"),
    ],
)
def test_the_slug_follows_from_the_name_in_whatever_letters(
    name: str, slug: str, template: Path, tmp_path: Path
) -> None:
    author = "Zoë O'Neill & 김민준"
    folder = bake(tmp_path / "out", template, project_name=name, author=author)

    assert folder.name == slug
    assert (folder / "README.md").read_text(encoding="utf-8").startswith(f"# {name}\n")
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["name"], project["authors"]) == (slug, [{"name": author}])
    (unit,) = (folder / "deploy/systemd").iterdir()
    assert f"Description={name}: " in unit.read_text(encoding="utf-8")
