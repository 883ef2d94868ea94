"""`make replay PARTITION=...`: send a partition to the running service, as traffic."""

import http.client
import json
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from . import address, config, sources, table
from .cli import Refusal, run

BATCH = 100  # rows a request


def replay(partition: str, host: str, port: int) -> Counter[int]:
    """Send all rows, with key and time but without label; returns rows answered by version."""
    data = config.read("data", config.Data)
    origin = sources.load(data.source)
    if partition not in origin.offered():
        raise Refusal(f"{partition!r} is not offered by the source: {', '.join(origin.offered())}")
    with TemporaryDirectory() as folder:
        origin.fetch([partition], Path(folder))
        path = Path(folder) / f"{partition}.parquet"
        rows = rows_of(path, data)
    answered: Counter[int] = Counter()
    connection = http.client.HTTPConnection(host, port, timeout=60)
    for at in range(0, len(rows), BATCH):
        batch = rows[at : at + BATCH]
        try:
            connection.request("POST", "/predict", json.dumps(batch), address.authorization())
            response = connection.getresponse()
            reply = json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Refusal(f"no answer from {host}:{port} ({error}): run `make serve`") from None
        if response.status != 200:
            raise Refusal(f"row {at} and following: {reply['error']}")
        answered[reply["version"]] += len(reply["predictions"])
    connection.close()
    return answered


def rows_of(path: Path, data: config.Data) -> list[dict[str, Any]]:
    """A partition's rows as a client sends them: with key and time, without label."""
    roles = [name for name in (data.roles.key, data.roles.time) if name]
    told = ", ".join(f"{table.quoted(name)}::VARCHAR" for name in roles)
    query = f"SELECT {told}, {table.canonical(data.asked)} FROM read_parquet(?)"
    names = (*roles, *data.asked)
    return [dict(zip(names, row, strict=True)) for row in table.rows(query, path.as_posix())]


def main() -> None:
    """Replay the partition named on the command line to SERVE_HOST and SERVE_PORT."""
    if len(sys.argv) != 2:
        raise Refusal("name the partition to replay: make replay PARTITION=...")
    host, port = address.service()
    began = time.perf_counter()
    answered = replay(sys.argv[1], host, port)
    rate = answered.total() / (time.perf_counter() - began)
    versions = ", ".join(f"{rows} by version {version}" for version, rows in answered.items())
    print(f"{answered.total()} rows of {sys.argv[1]} answered: {versions} ({rate:,.0f} rows/s)")


if __name__ == "__main__":
    run(main)
