"""The page at `/` as a person meets it: a real Chromium, the keyboard, the service of a project."""

import json
import shlex
import struct
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.project import TEMPLATE, Project

from . import other_tasks, stand_in
from .browser import CHROMIUM, PATIENCE, SHIFT, Page, browser
from .conftest import Lived
from .inside import copy
from .service import Running, serving
from .stand_in import CLASSES, COLUMNS, CONTRIBUTIONS, LONG, MARKUP, OTHERS, StandIn

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

READY = (
    "!document.querySelector('#main').hidden && document.querySelector('#drift-reason').textContent"
)
ANSWERED = "!document.querySelector('#details').hidden"
KEY = "let-me-in"
PICTURE = TEMPLATE / "docs/page.png"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """A browser that complains of nothing and asks no other host, whatever a test does."""
    with browser(tmp_path / "profile") as found:
        found.screen(1200, 900)
        yield found
        home = found.ask("location.origin") + "/"
        assert [address for address in found.asked_for() if not address.startswith(home)] == []
        refused = "the server responded with a status of"  # the page shows it, the console as well
        assert [told for told in found.complaints() if refused not in told] == []


@pytest.fixture(scope="module")
def lived(life: Lived, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with traffic, a drift report and labels."""
    return copy(life.project, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def served(lived: Project) -> Iterator[Project]:
    """Its service."""
    with lived.serving():
        yield lived


@pytest.fixture
def keyed(lived: Project) -> Iterator[Project]:
    """Its service once more, which asks for a key."""
    project = Project(lived.folder)
    project.environment |= lived.environment | {
        "SERVE_API_KEY": KEY,
        "SERVE_PORT": str(project.port),
    }
    with project.serving():
        yield project


@pytest.fixture
def awkward(baked: Path) -> Iterator[StandIn]:
    """A service of a table with the worst names."""
    (found,) = baked.glob("src/*/serving/page.html")
    with stand_in.stand_in(found.parent) as service:
        yield service


def last_line(folder: Path) -> Any:
    """The youngest line of a log."""
    newest = max(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(newest.read_text(encoding="utf-8").splitlines()[-1])


def probability(page: Page) -> float:
    """What the page answers, in full."""
    return float(page.ask("document.querySelector('#outcome').value"))


def contributions(page: Page) -> dict[str, str]:
    """The explanation's lines: what each column adds, by name, in their order."""
    lines = page.ask(
        "[...document.querySelectorAll('.parts tr:has(.track)')].map("
        "line => [line.cells[0].firstChild.data, line.cells[2].textContent])"
    )
    return dict(lines)


def shown(number: float) -> str:
    """A contribution as the page writes it."""
    return f"{number:+.3f}".replace("-", "\N{MINUS SIGN}")


def test_the_page_tells_what_serves_and_what_the_monitor_saw(page: Page, served: Project) -> None:
    page.open(f"{served.address}/")
    page.wait(READY)
    model, seen = served.get("/model"), served.get("/monitoring")
    assert page.text("h1") == model["name"]
    assert page.text("#facts").split("\n")[1] == str(model["version"])
    assert page.ask("document.querySelector('#facts time').dateTime") == model["since"]
    for measured in (model["metrics"], seen["performance"]):
        assert all(f"{value:.4f}" in page.text("#quality") for value in measured.values())
    assert seen["status"] == "drift"
    assert page.text("#drift") == "! Traffic has drifted"
    assert page.text("#drift-reason") == seen["reason"]
    assert page.ask("document.querySelector('#drift-seen time').dateTime") == seen["at"]
    for link, words in (
        ("#report", "Open the report"),
        ("#quality-report", "Open the report on the labelled answers"),
    ):
        assert page.text(link) == words
        report = page.ask(f"document.querySelector('{link}').href")
        with urllib.request.urlopen(report, timeout=30) as reply:
            assert reply.headers["content-type"].startswith("text/html")
    assert page.complaints() == []


def test_a_prediction_is_made_and_explained_with_the_keyboard_alone(
    page: Page, served: Project
) -> None:
    page.open(f"{served.address}/")
    page.wait(READY)
    page.tab_to("origin")
    page.type("J")  # the menu goes to JFK
    page.tab_to("departure_minute")  # which selects what is in the field, as Tab does
    page.type("1205")
    page.press("Tab")
    page.press("Tab", modifiers=SHIFT)
    page.press("Enter")
    page.wait(ANSWERED)

    line = last_line(served.folder / "var/predictions")
    assert line["row"]["origin"] == "JFK"
    assert line["row"]["departure_minute"] == 1205
    unchanged = served.get("/model")["example"] | {"origin": "JFK", "departure_minute": 1205}
    assert {name: line["row"][name] for name in unchanged} == unchanged
    (expected,) = served.post("/predict?explain=true", unchanged)["predictions"]
    assert probability(page) == expected["probability"]
    found = expected["explanation"]["contributions"]
    assert contributions(page) == {name: shown(part) for name, part in found.items()}
    first, most = next(iter(found.items()))
    said = f"takes {-most:.3f} from" if most < 0 else f"adds {most:.3f} to"
    assert f"Most of all, {first} {said} the log-odds." in page.text("#explanation")


def test_the_line_for_a_shell_repeats_the_request(page: Page, served: Project) -> None:
    page.open(f"{served.address}/")
    page.wait(READY)
    page.tab_to("distance")
    page.press("Enter")
    page.wait(ANSWERED)
    _, _, address, _, body = shlex.split(page.text("#curl"))
    request = urllib.request.Request(address, body.encode())
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert json.load(reply)["predictions"][0]["probability"] == probability(page)


def test_missing_and_unseen_values_can_be_tried(page: Page, served: Project) -> None:
    page.open(f"{served.address}/")
    page.wait(READY)
    page.tab_to("dest")
    page.type("Mars")
    page.tab_to("seats")
    page.press("Delete")
    page.press("Enter")
    page.wait(ANSWERED)
    row = last_line(served.folder / "var/predictions")["row"]
    assert (row["dest"], row["seats"]) == ("Mars", None)
    assert "Never seen in training, so counted as missing: dest" in page.text("#headline")


@pytest.mark.parametrize(
    ("typed", "said"), [("", "A value is needed here."), ("far", "This is not a number.")]
)
def test_a_value_that_cannot_be_is_named_at_its_field(
    typed: str, said: str, page: Page, served: Project
) -> None:
    page.open(f"{served.address}/")
    page.wait(READY)
    page.tab_to("distance")
    page.press("Delete")
    page.type(typed)
    page.press("Tab")
    page.press("Enter")
    page.wait("document.activeElement.getAttribute('aria-invalid') === 'true'")
    labels = page.ask(
        "[...document.querySelectorAll('[aria-invalid]')].map(x => x.labels[0].innerText)"
    )
    assert labels == ["distance"]
    described = "document.activeElement.getAttribute('aria-describedby').split(' ')"
    told = page.ask(f"{described}.map(id => document.getElementById(id).innerText)")
    assert told[1] == said
    assert not any("predict" in address for address in page.asked_for())


def test_what_came_true_reaches_the_feedback_log(page: Page, served: Project) -> None:
    page.open(f"{served.address}/")
    page.wait(READY)
    page.tab_to("distance")
    page.press("Enter")
    page.wait(ANSWERED)
    answered = last_line(served.folder / "var/predictions")
    for button, label in (("truth-0", 0), ("truth-1", 1)):
        page.tab_to(button)
        page.press("Space")
        page.wait(f"document.querySelector('#{button}').ariaPressed === 'true'")
        told = last_line(served.folder / "var/feedback")
        assert (told["id"], told["label"]) == (answered["id"], label)
        page.press("Tab", modifiers=SHIFT)
        page.press("Tab", modifiers=SHIFT)


def test_a_key_is_asked_for_and_kept_in_the_tab_only(
    page: Page, keyed: Project, tmp_path: Path
) -> None:
    opened = "document.querySelector('#key-dialog').open"
    page.open(f"{keyed.address}/")
    page.wait(opened)
    page.press("Escape")
    page.wait("!document.querySelector('#notice').hidden")
    assert page.text("#notice-text") == "The service asks for an API key."
    page.tab_to("again")
    page.press("Enter")
    page.wait(opened)
    page.type("a-guess")
    page.press("Enter")
    page.wait("document.querySelector('#key-refused').textContent")
    page.type(KEY)
    page.press("Enter")
    page.wait(READY)
    assert page.ask("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]

    page.tab_to("distance")
    page.press("Enter")
    page.wait(ANSWERED)
    held = "document.documentElement.outerHTML + document.querySelector('#key').value"
    assert KEY not in page.ask(held)
    assert '-H "Authorization: Bearer $SERVE_API_KEY"' in page.text("#curl")

    folder = tmp_path / "saved"
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    expected = set()
    links = {"quality-report": "quality_report", "report": "report", "trend": "trend"}
    for link, name in links.items():
        page.tab_to(link)
        assert page.text(f"#{link}").startswith("Save the ")
        page.press("Enter")
        report = keyed.json("var/monitoring/latest.json")[name]
        expected.add((keyed.folder / "var/monitoring" / report).read_bytes())
    began = time.perf_counter()
    while time.perf_counter() - began < PATIENCE:
        if {path.read_bytes() for path in folder.glob("*.html")} == expected:
            return
        time.sleep(0.05)  # between two looks at the folder
    raise AssertionError("the reports were not saved")


def test_no_name_is_taken_for_markup_and_none_is_lost(page: Page, awkward: StandIn) -> None:
    page.open(awkward.address)
    page.wait(READY)
    assert page.text("h1") == MARKUP
    assert page.text("#trouble") == f"refused {MARKUP}"
    assert page.text("#drift-reason").startswith("nothing has been seen yet")
    labels = page.ask("[...document.querySelectorAll('#fields label')].map(x => x.firstChild.data)")
    assert labels == list(COLUMNS)

    page.tab_to("__proto__")
    page.type("-1.5e-3")
    page.press("Enter")
    page.wait(ANSWERED)
    (body,) = awkward.sent
    example = {name: value for name, (_, _, value) in COLUMNS.items()}
    assert json.loads(body) == example | {"__proto__": -0.0015, "toString": ""}
    *_, quoted = shlex.split(page.text("#curl"))
    assert json.loads(quoted) == json.loads(body)
    ordered = sorted(CONTRIBUTIONS, key=lambda name: -abs(CONTRIBUTIONS[name]))
    assert contributions(page) == {name: shown(CONTRIBUTIONS[name]) for name in ordered}
    assert list(contributions(page)) == ordered
    assert f"{LONG} takes 0.700 from the probability" in page.text("#explanation")
    assert f"{MARKUP}: yes, for it is not below the threshold of 25\u00a0%" in page.text(
        "#headline"
    )
    assert page.ask("[document.title, document.images.length]") == [f"{MARKUP} · predictions", 0]


def test_what_the_service_refuses_is_told_where_it_belongs(page: Page, awkward: StandIn) -> None:
    page.open(awkward.address)
    page.wait(READY)
    page.tab_to("2")
    for field, place in (
        ("__proto__", "#field-0-error"),
        (None, "#form-error"),
        ("gone", "#form-error"),
    ):
        awkward.answers["/predict?explain=true"] = (400, {"error": f"no {field}", "field": field})
        page.press("Enter")
        page.wait(f"document.querySelector('{place}').textContent === 'no {field}'")
    assert page.ask("document.querySelectorAll('[aria-invalid]').length") == 0
    awkward.answers["/predict?explain=true"] = (502, "no object")
    page.press("Enter")
    page.wait("document.querySelector('#form-error').textContent.endsWith('status 502.')")


def test_a_service_without_a_model_says_so_until_it_has_one(page: Page, awkward: StandIn) -> None:
    answer = awkward.answers["/model"]
    awkward.answers["/model"] = (
        503,
        {"error": "no champion yet: run `make release`", "field": None},
    )
    page.open(awkward.address)
    page.wait("!document.querySelector('#notice').hidden")
    assert page.text("#notice-text") == "no champion yet: run `make release`"
    assert page.text("#main") == ""
    awkward.answers["/model"] = answer
    page.tab_to("again")
    page.press("Enter")
    page.wait(READY)
    assert page.text("#notice") == ""


def test_the_page_follows_when_another_version_takes_over(page: Page, awkward: StandIn) -> None:
    page.open(awkward.address)
    page.wait(READY)
    assert page.text("#facts").split("\n")[1] == "3"
    awkward.answers["/model"] = (200, stand_in.MODEL | {"version": 4})
    awkward.answers["/predict?explain=true"] = (200, stand_in.ANSWER | {"version": 4})
    page.tab_to("2")
    page.press("Enter")
    page.wait(ANSWERED)
    assert "Answered by version 4" in page.text("#headline")
    assert page.text("#facts").split("\n")[1] == "4"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("task", ["binary", *OTHERS])
def test_a_phone_needs_no_sideways_scroll(
    task: str, dark: bool, page: Page, awkward: StandIn
) -> None:
    awkward.answers |= OTHERS.get(task, {})
    page.screen(320, 640, dark)
    page.open(awkward.address)
    page.wait(READY)
    page.tab_to("2")
    page.press("Enter")
    page.wait(ANSWERED)
    assert page.ask("document.documentElement.scrollWidth") == 320
    scheme = page.ask("getComputedStyle(document.body).backgroundColor")
    assert (scheme == "rgb(18, 22, 28)") == dark


def shares(page: Page, table: str) -> dict[str, str]:
    """The classes a table lists, with the probabilities it shows, in their order."""
    lines = page.ask(
        f"[...document.querySelectorAll('#headline {table} tr')].map("
        "line => [line.cells[0].textContent, line.cells[2].textContent])"
    )
    return dict(lines)


def told(page: Page, running: Running) -> tuple[Any, Any]:
    """What the service says of the row in the form, and what the page has told it was true."""
    answered = last_line(running.var / "predictions")
    given = running.ask("/model").json()["example"]
    (expected,) = running.ask("/predict?explain=true", given).json()["predictions"]
    label = last_line(running.var / "feedback")
    assert label["id"] == answered["id"]
    return expected, label["label"]


def test_the_likeliest_of_several_classes_is_told_with_all_probabilities(
    page: Page, life: Lived, tmp_path: Path
) -> None:
    folder = other_tasks.released(life.project, "multiclass", tmp_path / "service")
    with serving(life.project, folder) as running:
        page.open(f"http://127.0.0.1:{running.port}/")
        page.wait(READY)
        page.tab_to("distance")
        page.press("Enter")
        page.wait(ANSWERED)
        page.tab_to("truth-1")
        page.press("Enter")
        page.wait("document.querySelector('#truth-1').ariaPressed === 'true'")
        expected, label = told(page, running)
    assert label == "JFK"
    assert page.ask("document.querySelector('#outcome').value") == expected["label"]
    found = shares(page, "table")
    ordered = sorted(expected["probabilities"].items(), key=lambda item: -item[1])
    assert list(found) == [name for name, _ in ordered]
    assert next(iter(found)) == expected["label"]
    explained = expected["explanation"]["contributions"]
    assert list(contributions(page).values()) == [shown(part) for part in explained.values()]
    assert f"the log-odds of {expected['label']}." in page.text("#explanation")
    assert "%" not in page.text("#explanation")  # these log-odds are of no probability


def test_a_number_is_told_with_its_range_and_the_true_one_is_taken(
    page: Page, life: Lived, tmp_path: Path
) -> None:
    folder = other_tasks.released(life.project, "regression", tmp_path / "service")
    with serving(life.project, folder) as running:
        page.open(f"http://127.0.0.1:{running.port}/")
        page.wait(READY)
        page.tab_to("departure_minute")
        page.press("Enter")
        page.wait(ANSWERED)
        page.tab_to("true-value")
        for typed, said in (("", "A value is needed here."), ("far", "This is not a number.")):
            page.type(typed)
            page.press("Enter")
            page.wait(f"document.querySelector('#truth').textContent === '{said}'")
            assert page.ask("document.querySelector('#true-value').ariaInvalid") == "true"
        for _ in "far":
            page.press("Backspace")
        page.type("512.5")
        page.press("Enter")
        page.wait("document.querySelector('#truth').textContent.startsWith('Noted')")
        expected, label = told(page, running)
    assert label == 512.5
    assert probability(page) == expected["value"]
    low, high = (f"{end:,.0f}".replace("-", "\N{MINUS SIGN}") for end in expected["interval"])
    assert page.text("#headline").startswith(f"{expected['value']:,.0f} distance")
    assert f"Most true values lie between {low} and {high}," in page.text("#headline")
    first = next(iter(expected["explanation"]["contributions"]))
    assert f"Most of all, {first} " in page.text("#explanation")
    assert "the predicted distance." in page.text("#explanation")


def test_of_many_classes_the_likeliest_are_shown_and_a_menu_asks_for_the_true_one(
    page: Page, awkward: StandIn
) -> None:
    awkward.answers |= OTHERS["multiclass"]
    page.open(awkward.address)
    page.wait(READY)
    page.tab_to("2")
    page.press("Enter")
    page.wait(ANSWERED)
    assert page.text("#outcome") == MARKUP
    assert page.ask("document.documentElement.scrollWidth") == 1200
    assert list(shares(page, "> table"))[:3] == [MARKUP, LONG, "constructor"]
    assert len(shares(page, "> table")) == 8
    assert shares(page, "details")["__proto__"] == "0.1\u00a0%"
    assert page.text("#headline summary") == "Other classes (4), together 3\u00a0%"
    page.tab_to("true-value")
    page.type(LONG[0])  # the menu goes to the first class that begins so
    page.press("Tab")
    page.press("Enter")
    page.wait("document.querySelector('#truth').textContent.startsWith('Noted')")
    assert json.loads(awkward.sent[-1])["label"] == LONG
    assert page.ask("document.querySelectorAll('#tell option').length") == len(CLASSES) + 1


def test_two_classes_with_names_are_told_by_them(page: Page, awkward: StandIn) -> None:
    awkward.answers |= OTHERS["names"]
    page.open(awkward.address)
    page.wait(READY)
    page.tab_to("2")
    page.press("Enter")
    page.wait(ANSWERED)
    assert "25\u00a0% probability of churn: Yes" in page.text("#headline")
    assert "churn: Yes, for it is not below the threshold" in page.text("#headline")
    assert page.text("#tell").split() == ["churn:", "Yes", "churn:", "No"]
    page.tab_to("truth-0")
    page.press("Space")
    page.wait("document.querySelector('#truth-0').ariaPressed === 'true'")
    assert json.loads(awkward.sent[-1]) == {"id": "0" * 32 + "-0", "label": "No"}


def test_the_picture_of_the_readme_is_of_this_page(page: Page, served: Project) -> None:
    """Writes build/page.png; docs/page.png is made of it with `pngquant --nofs 256`."""
    page.open(f"{served.address}/")
    page.wait(READY)
    page.tab_to("departure_minute")
    page.type("1205")
    page.press("Enter")
    page.wait(ANSWERED)
    page.ask("scrollTo(0, 0)")
    page.screen(1200, page.ask("document.documentElement.scrollHeight"))
    taken = TEMPLATE / "build/page.png"
    taken.parent.mkdir(exist_ok=True)
    page.picture(taken)
    for picture in (taken, PICTURE):
        width, _ = struct.unpack(">II", picture.read_bytes()[16:24])
        assert width == 1200
    assert PICTURE.stat().st_size < 150_000
