"""YAML as people write it: plain where it may be, quoted where it must be."""

import json
import re
from typing import Any

PLAIN = re.compile(r"[^\W\d]([\w ()/%€.+'-]*[\w()%€.'])?")
WORDS = {"yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "y", "n"}


def scalar(value: Any) -> str:
    """One value within a `{ }` or `[ ]`; OmegaConf finds nothing to interpolate in it."""
    return key(value.replace("${", "\\${")) if isinstance(value, str) else json.dumps(value)


def key(text: str) -> str:
    """A key, in which OmegaConf interpolates nothing anyway."""
    if PLAIN.fullmatch(text) and text.casefold() not in WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def flow(entries: dict[str, Any]) -> str:
    """A mapping on one line."""
    return "{ " + ", ".join(f"{name}: {scalar(value)}" for name, value in entries.items()) + " }"


def listed(values: list[Any]) -> str:
    """A list on one line."""
    return "[" + ", ".join(map(scalar, values)) + "]"
