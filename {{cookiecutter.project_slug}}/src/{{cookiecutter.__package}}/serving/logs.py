"""What the service says of itself on stderr: JSON lines, or plain ones on a terminal."""

import logging
import sys
from typing import Any

import msgspec

FACTS = ("request", "path", "status")  # what a message may carry beside its text


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "message": record.getMessage(),
            "pid": record.process,
        }
        line |= {name: getattr(record, name) for name in FACTS if hasattr(record, name)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def settings() -> dict[str, Any]:
    """What `logging.config.dictConfig` takes, in this process and in each worker."""
    plain = {"format": "%(asctime)s %(levelname)s %(message)s"}
    form = plain if sys.stderr.isatty() else {"()": JsonFormatter}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": form},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": "INFO", "handlers": ["stderr"]},
    }
