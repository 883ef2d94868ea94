from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import paths
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.pipeline import ingest

from .. import customers, project


def test_each_partition_becomes_one_file(empty: Path) -> None:
    ingest.main()
    found = {path.stem for path in paths.RAW.iterdir()}
    assert found == set(customers.PARAMS["partitions"])


@pytest.mark.parametrize("partitions", [[], ["2024-02", "2024-01"], ["2024-01", "2024-01"]])
def test_a_list_out_of_order_is_refused(partitions: list[str], empty: Path) -> None:
    project.write_params(partitions=partitions)
    with pytest.raises(Refusal, match="sorted list of distinct names"):
        ingest.main()


def test_a_partition_the_source_does_not_have_is_named(empty: Path) -> None:
    project.write_params(partitions=["2024-01", "2031-01"])
    with pytest.raises(Refusal, match="does not offer 2031-01"):
        ingest.main()
    assert not paths.RAW.exists()


def test_a_source_that_cannot_be_imported_is_named(empty: Path) -> None:
    project.write_params(data__source={"_target_": "nowhere.to_be_found"})
    with pytest.raises(Refusal, match=r"nowhere\.to_be_found"):
        ingest.main()
