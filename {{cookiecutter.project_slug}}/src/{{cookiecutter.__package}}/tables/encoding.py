"""Text files as plain UTF-8, whatever they were written in."""

import bz2
import codecs
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from ..cli import Refusal

CHUNK = 1 << 20
PACKED: dict[str, Callable[[Path], object]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
BROKEN = (OSError, EOFError, lzma.LZMAError)
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def opened(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked where its name says that it is packed."""
    suffix = path.suffix.lower()
    return cast(IO[bytes], PACKED[suffix](path)) if suffix in PACKED else path.open("rb")


def detect(path: Path) -> str:
    """The encoding: by its mark, else UTF-8 if all of it is, else Windows' or ISO's Western one."""
    with opened(path) as file:
        head = file.read(4096)
    for mark, name in MARKS.items():
        if head.startswith(mark):
            return name
    if head.count(b"\0") > len(head) // 4:  # Latin letters take two bytes, one of them zero
        return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    return next((name for name in ("utf-8", "cp1252") if _decodes(path, name)), "latin-1")


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with opened(path) as file:
            while chunk := file.read(CHUNK):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def utf8(path: Path, encoding: str | None, scratch: Path, one_newline: bool = False) -> Path:
    """The path itself where it is plain UTF-8, else a copy of it in `scratch` that is.

    With `one_newline` the copy ends every line in the same way. Memory is bounded.
    """
    name = encoding or _detected(path)
    try:
        decoder = codecs.getincrementaldecoder(name)()
    except LookupError:
        raise Refusal(f"no encoding is called {name!r}; write utf-8, cp1252, utf-16 ...") from None
    plain = name.lower() in ("utf-8", "utf8", "utf-8-sig")
    if plain and path.suffix.lower() not in PACKED and not one_newline:
        return path
    copy = scratch / f"{path.name}.utf8"
    try:
        with opened(path) as file, copy.open("w", encoding="utf-8", newline="") as text:
            held = ""
            while chunk := file.read(CHUNK):
                decoded = held + decoder.decode(chunk)
                # A line may end in two characters, of which the second comes with the next chunk.
                held = "\r" if one_newline and decoded.endswith("\r") else ""
                text.write(_lines(decoded.removesuffix(held), one_newline))
            text.write(_lines(held + decoder.decode(b"", final=True), one_newline))
    except UnicodeDecodeError as error:
        raise Refusal(f"{path.name} is not {name}: {error.reason} at byte {error.start}") from None
    except BROKEN as error:
        raise Refusal(f"{path.name} cannot be unpacked: {error}") from None
    return copy


def _detected(path: Path) -> str:
    try:
        return detect(path)
    except BROKEN as error:
        raise Refusal(f"{path.name} cannot be unpacked: {error}") from None


def _lines(text: str, one_newline: bool) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if one_newline else text
