"""Changes to the files of a project, made all together or not at all."""

import shutil
from contextlib import suppress
from pathlib import Path


class Changes:
    """Files to write and paths to remove; nothing happens before `apply`.

    `scratch` lies on the project's file system and outlives `apply`.
    """

    def __init__(self, scratch: Path) -> None:
        self._staged = scratch / "staged"
        self._before = scratch / "before"
        self._written: dict[Path, Path] = {}
        self._removed: list[Path] = []

    def write(self, path: Path, text: str) -> None:
        """Have a file hold this text."""
        self._aside(path).write_text(text, encoding="utf-8", newline="\n")

    def copy(self, path: Path, original: Path) -> None:
        """Have a file hold what another one holds."""
        shutil.copyfile(original, self._aside(path))

    def remove(self, path: Path) -> None:
        """Have a file or folder go; what is written below it stays."""
        if path not in self._removed:
            self._removed.append(path)

    def text(self, path: Path) -> str:
        """What a file will hold."""
        return self._written.get(path, path).read_text(encoding="utf-8")

    def apply(self) -> list[Path]:
        """Do it; where one change fails, all are undone. Returns what is gone."""
        done: list[tuple[Path, Path]] = []
        self._before.mkdir(parents=True, exist_ok=True)
        try:
            for path in [*self._removed, *self._written]:
                if path.exists():
                    _move(path, self._before / str(len(done)), done)
            for path, aside in self._written.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                _move(aside, path, done)
        except BaseException:
            for original, moved in reversed(done):
                with suppress(OSError):
                    moved.replace(original)
            raise
        for path in self._removed:
            _prune(path.parent)
        return [path for path in self._removed if not path.exists()]

    def _aside(self, path: Path) -> Path:
        self._staged.mkdir(parents=True, exist_ok=True)
        if path not in self._written:
            self._written[path] = self._staged / str(len(self._written))
        return self._written[path]


def _move(path: Path, to: Path, done: list[tuple[Path, Path]]) -> None:
    path.replace(to)
    done.append((path, to))


def _prune(folder: Path) -> None:
    """Remove a folder that nothing is left in."""
    while folder != Path() and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
