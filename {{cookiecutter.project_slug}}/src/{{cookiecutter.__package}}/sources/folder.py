"""A folder of table files, or one file, as the source: a file that has arrived is a partition."""

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fsspec

from ..cli import Refusal
from ..tables.dialect import Dialect
from ..tables.reading import kind, to_parquet

UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")


class Folder:
    """Files at a path of the project or at any address that fsspec knows (s3://, https:// ...).

    Attributes:
        address: the folder, or a single file.
        encoding: of text files; null finds it out for each.
        delimiter: of CSV files; null finds it out for each.
        decimal: what parts the decimals of numbers in text files, `.` or `,`.
        row_id: name of a column to add, which numbers the rows; null where the table has a key.
    """

    def __init__(
        self,
        address: str,
        encoding: str | None = None,
        delimiter: str | None = None,
        decimal: str = ".",
        row_id: str | None = None,
    ) -> None:
        self.address = address
        self.dialect = Dialect(encoding, delimiter, decimal)
        self.row_id = row_id

    def offered(self) -> list[str]:
        """The files' names without their endings, sorted."""
        return sorted(self.files())

    def fetch(self, partitions: list[str], folder: Path) -> None:
        """Write each as Parquet with cleaned names; see `tables.reading`."""
        files, system = self.files(), self.system
        with TemporaryDirectory() as scratch:
            for partition in partitions:
                local = brought(system, files[partition], Path(scratch))
                numbered = (self.row_id, partition) if self.row_id else None
                target = folder / f"{partition}.parquet"
                to_parquet(local, target, Path(scratch), self.dialect, numbered)
                if local.parent == Path(scratch):
                    local.unlink()

    def files(self) -> dict[str, str]:
        """Path of each file by the name of its partition."""
        system = self.system
        try:
            paths = _listed(system, self.address)
        except (OSError, ValueError, ImportError) as error:
            raise Refusal(f"{self.address} cannot be read: {_said(error)}") from None
        found: dict[str, str] = {}
        for path in paths:
            name = path.rstrip("/").rpartition("/")[2]
            partition = named(name)
            if partition in found:
                raise Refusal(
                    f"{self.address} holds two files that would both be partition {partition!r}; "
                    "rename one"
                )
            found[partition] = path
        if not found:
            raise Refusal(f"{self.address} holds no table file; put one there")
        return found

    @property
    def system(self) -> Any:
        """The file system that the address is on."""
        try:
            return fsspec.core.url_to_fs(self.address)[0]
        except (ImportError, ValueError) as error:
            raise Refusal(
                f"{self.address} cannot be opened: {_said(error)}; add the package to the group "
                "`pipeline` of pyproject.toml, then `make lock`"
            ) from None


def named(file: str) -> str:
    """The partition's name for a file's: without endings, and with `-` for odd characters."""
    suffix = kind(file)
    end = file.lower().rindex(suffix)
    return UNFIT.sub("-", file[:end]).strip("-.") or "table"


def brought(system: Any, path: str, scratch: Path) -> Path:
    """The file on this machine: where it lies, or a copy in `scratch`."""
    if isinstance(system, fsspec.implementations.local.LocalFileSystem):
        return Path(path)
    name = path.partition("?")[0].rstrip("/").rpartition("/")[2]
    local = scratch / name
    try:
        with system.open(path, "rb") as remote, local.open("wb") as copy:
            shutil.copyfileobj(remote, copy, 1 << 20)
    except (OSError, ValueError) as error:
        raise Refusal(f"{path} cannot be read: {_said(error)}") from None
    return local


def _listed(system: Any, address: str) -> list[str]:
    path = system._strip_protocol(address)
    if address.startswith(("http://", "https://")):
        return [address]  # the web has no folders
    if system.isfile(path):
        return [path]
    entries = system.ls(path, detail=True)
    files = [entry["name"] for entry in entries if entry["type"] == "file"]
    return [name for name in files if not name.rpartition("/")[2].startswith((".", "_"))]


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
