"""What a packed file of a log holds: what the monitor asks for, in an order to draw from.

The answers lie in the order of `draw`, a number of 64 bits that MD5 makes of a name. Any stretch of
these numbers is a fair sample, the same in every run, and reading it touches no more row groups
than it needs, however long the log is. The last answer to a row in a file draws by the row's key,
so that what was asked for in several files comes together; what was answered before it draws by its
own id, so that a row asked for a million times cannot fill a sample.
"""

from collections.abc import Sequence
from pathlib import Path

from .. import table

PREDICTIONS = (
    "{'id': 'VARCHAR', 'at': 'TIMESTAMPTZ', 'version': 'INTEGER', 'probability': 'DOUBLE', "
    "'label': 'VARCHAR', 'probabilities': 'DOUBLE[]', 'value': 'DOUBLE', 'row': 'JSON'}"
)
FEEDBACK = "{'id': 'VARCHAR', 'at': 'TIMESTAMPTZ', 'label': 'VARCHAR'}"
NOTHING = (  # such a table without rows
    '(SELECT NULL::VARCHAR AS id, NULL::TIMESTAMPTZ AS "at", NULL::INTEGER AS version, '
    "NULL::DOUBLE AS probability, NULL::VARCHAR AS label, NULL::DOUBLE[] AS probabilities, "
    'NULL::DOUBLE AS value, NULL::JSON AS "row" LIMIT 0)'
)
DRAWN = 2**64  # numbers to draw from


def lines(columns: str, found: Sequence[Path]) -> str:
    """JSON lines as a table of SQL; a line that a crash has torn is passed over."""
    how = "format = 'newline_delimited', ignore_errors = true"
    return f"read_json({names(found)}, {how}, columns = {columns})"


def parquet(found: Sequence[Path]) -> str:
    """Parquet files as a table of SQL."""
    return f"read_parquet({names(found)})"


def names(found: Sequence[Path]) -> str:
    """Paths as a list of SQL."""
    return f"[{', '.join(table.literal(path.as_posix()) for path in found)}]"


def answers(source: str, key: str, time: str | None) -> str:
    """Answered rows as SQL, from a table with the columns of the log.

    `key` and `time` are the row's own; NULL where it has none. `content` is a number made of the
    whole row, NULL without a key; `again` tells that the same row with the same key was asked for
    once more, later in this file.
    """
    moment = field(time) if time else "NULL::VARCHAR"
    return (
        f'WITH told AS (SELECT id, "at", version, probability, label, probabilities, value, "row", '
        f"{field(key)} AS key, {moment} AS time, coalesce({field(key)}, id) AS name, "
        f'md5_number_lower("row"::VARCHAR) AS content FROM {source}) '
        "SELECT * EXCLUDE (name, content), CASE WHEN key IS NOT NULL THEN content END AS content, "
        'key IS NOT NULL AND row_number() OVER (PARTITION BY name, content ORDER BY "at" DESC, id) '
        "> 1 AS again, "
        'md5_number_lower(CASE WHEN row_number() OVER (PARTITION BY name ORDER BY "at" DESC, id) '
        "= 1 THEN name ELSE id END) AS draw FROM told ORDER BY draw, id"
    )


def field(name: str) -> str:
    """A column of the logged row as SQL, a text."""
    path = name.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''")
    return f"""("row"->>'$."{path}"')"""
