"""The page's files, without a browser: what they promise can be read in them."""

import re
from pathlib import Path
from typing import get_args

import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }} import files
from {{ cookiecutter.__package }}.config import Task
from {{ cookiecutter.__package }}.serving import app
from {{ cookiecutter.__package }}.serving.app import create_app

from .conftest import LIMITS

FOLDER = Path(app.__file__).parent
HTML, SCRIPT, STYLE = (
    (FOLDER / name).read_text(encoding="utf-8") for name in ("page.html", "page.js", "page.css")
)


@pytest.mark.parametrize(
    ("path", "kind"), [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "javascript")]
)
def test_the_page_is_served_to_all_even_without_model_and_key(
    path: str, kind: str, tmp_path: Path
) -> None:
    with TestClient(create_app(tmp_path, LIMITS, "key")) as client:
        answer = client.get(path)
        assert client.get("/model").status_code == 401
    assert answer.status_code == 200
    assert kind in answer.headers["content-type"]
    assert answer.headers["cache-control"] == "no-cache"


def test_the_page_loads_nothing_but_its_own_files() -> None:
    loaded = re.findall(r'<(?:link|script|img|iframe)[^>]*(?:href|src)="([^"]*)"', HTML)
    assert sorted(loaded) == ["data:,", "page.css", "page.js"]
    assert not re.search(r"https?://|\burl\(|@import", HTML + SCRIPT + STYLE)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', HTML)
    assert policy
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]


def test_the_script_writes_text_and_never_html() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\("
    assert not re.search(forbidden, SCRIPT)


def test_every_id_that_is_used_is_there_once() -> None:
    ids = re.findall(r'\bid="([^"]*)"', HTML)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'\bat\("([^"]*)"\)', SCRIPT))
    used |= set(re.findall(r'\b(?:for|aria-labelledby|aria-describedby)="([^"]*)"', HTML))
    used |= set(re.findall(r"#([a-z][\w-]*)(?=[^;{}]*\{)", STYLE))
    assert used - set(ids) <= {"outcome", "true-value"}  # made by the script
    assert len(used) > 30


def test_the_script_has_an_answer_for_each_task() -> None:
    (made,) = re.findall(r"const HEADLINES = new Map\((.*)\);", SCRIPT)
    assert re.findall(r'\["(\w+)"', made) == list(get_args(Task))


def test_what_the_page_links_to_is_served(client: TestClient, var: Path) -> None:
    for name, path in (
        ("report", "monitoring/report"),
        ("quality_report", "monitoring/quality"),
        ("trend", "monitoring/trend"),
    ):
        assert f'href="{path}"' in HTML
        files.write_json(var / "monitoring/latest.json", {name: ""})
        assert client.get(path).status_code == 404
        files.write_json(var / "monitoring/latest.json", {name: f"now/{name}.html"})
        files.write_text(var / f"monitoring/now/{name}.html", f"<p>{name}</p>")
        assert client.get(path).text == f"<p>{name}</p>"
