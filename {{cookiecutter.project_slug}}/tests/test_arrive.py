from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import arrive, files
from {{ cookiecutter.__package }}.cli import Refusal

from . import customers, project

HAVE, REST = customers.MONTHS[:4], customers.MONTHS[4:]


def test_next_takes_the_oldest_that_has_not_arrived(empty: Path) -> None:
    assert arrive.arrive("next") == [REST[0]]
    assert arrive.listed() == [*HAVE, REST[0]]


def test_all_takes_the_rest(empty: Path) -> None:
    assert arrive.arrive("all") == REST
    assert arrive.listed() == customers.MONTHS


def test_a_named_one_is_put_where_it_belongs(empty: Path) -> None:
    project.write_params(partitions=["2024-01", "2024-04"])
    assert arrive.arrive("2024-02") == ["2024-02"]
    assert arrive.listed() == ["2024-01", "2024-02", "2024-04"]


def test_what_has_arrived_does_not_arrive_again(empty: Path) -> None:
    before = arrive.LIST.read_text()
    assert arrive.arrive("2024-01") == []
    assert arrive.LIST.read_text() == before


def test_when_everything_is_there_nothing_is_new(empty: Path) -> None:
    arrive.arrive("all")
    assert arrive.arrive("next") == arrive.arrive("all") == []


def test_one_the_source_does_not_offer_is_refused(empty: Path) -> None:
    before = arrive.LIST.read_text()
    with pytest.raises(Refusal, match="does not offer '2031-01', but 2024-01"):
        arrive.arrive("2031-01")
    assert arrive.LIST.read_text() == before


def test_the_comments_of_the_file_stay(empty: Path) -> None:
    lines = ["# Ours.", "", "partitions:", '  - "2024-01" # odd', "  # a gap", '  - "2024-02"']
    arrive.LIST.write_text("\n".join(lines) + "\n")
    arrive.arrive("2024-03")
    assert arrive.LIST.read_text().splitlines() == [*lines, '  - "2024-03"']


def test_what_has_arrived_is_pending_until_it_is_ingested(empty: Path) -> None:
    assert arrive.pending() == HAVE
    project.run("ingest")
    assert arrive.pending() == []
    arrive.arrive("next")
    assert arrive.pending() == [REST[0]]


def test_the_list_of_the_project_is_in_order() -> None:
    with project.inside(project.ROOT):
        assert arrive.listed() == sorted(set(arrive.listed()))


def test_what_was_ingested_and_broke_the_schema_is_known_until_it_keeps_it(empty: Path) -> None:
    assert not arrive.unsound()
    project.run("ingest", "validate")
    assert not arrive.unsound()
    recorded = files.read_json(Path("dvc.lock"))
    recorded["stages"]["validate"]["deps"][0]["md5"] = "of the data before"
    assert recorded["stages"]["validate"]["deps"][0]["path"] == "data/raw"
    files.write_json(Path("dvc.lock"), recorded)
    assert arrive.unsound()
    del recorded["stages"]["validate"]
    files.write_json(Path("dvc.lock"), recorded)
    assert arrive.unsound()
