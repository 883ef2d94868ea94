"""A service of a made-up table with the worst names, which answers what a test wants it to."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

PAGE = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css")}
PAGE["/page.js"] = ("page.js", "text/javascript")
MARKUP = "<img src=x onerror=\"document.title = 'injected'\">"
LONG = "a_name_with_no_place_to_break_" * 4

# Categories, whether required, value in the example if it is there.
COLUMNS: dict[str, tuple[list[str] | None, bool, Any]] = {
    "__proto__": (None, True, 0.1),
    "constructor": (["", "b"], True, ""),
    "toString": (["", *map(str, range(150))], True, None),
    "2": (None, False, None),
    "10": ([f"category {i}" for i in range(150)], False, "category 7"),
    'it\'s "quoted" €.\\': (["one", "two"], False, None),
    MARKUP: ([MARKUP, "harmless"], True, MARKUP),
    LONG: (None, False, 1e21),
}
CONTRIBUTIONS = dict(zip(COLUMNS, (-0.01, 0.2, 0, -0.3, 0.4, -0.5, 0.6, -0.7), strict=True))
MODEL = {
    "name": MARKUP,
    "version": 3,
    "since": "2024-05-06T07:08:09+00:00",
    "created": "2024-05-06T07:00:00+00:00",
    "trained_on": ["2024-01"],
    "judged_on": ["2024-02"],
    "metrics": {"log_loss": 0.5, "constructor": 0.25},
    "task": "binary",
    "classes": [0, 1],
    "target": MARKUP,
    "threshold": 0.25,
    "half_width": None,
    "held_out": None,
    "trouble": f"refused {MARKUP}",
    "columns": [
        {"name": name, "required": required, "vocabulary": vocabulary, "description": MARKUP}
        for name, (vocabulary, required, _) in COLUMNS.items()
    ],
    "example": {name: value for name, (_, _, value) in COLUMNS.items() if value is not None},
}
EXPLANATION = {
    "base": -0.1,
    "unit": "probability",
    "method": "sampled_shapley",
    "contributions": CONTRIBUTIONS,
}
ANSWER: dict[str, Any] = {
    "version": 3,
    "predictions": [
        {
            "id": "0" * 32 + "-0",
            "probability": 0.25,
            "label": 1,
            "unseen": ["10"],
            "explanation": EXPLANATION,
        }
    ],
}
# Probabilities in thousandths by class, and a number with the reach of its interval.
CLASSES = {"__proto__": 1, "10": 2, MARKUP: 400, "2": 3, LONG: 300, "constructor": 150}
CLASSES |= {f"class {number}": 24 for number in range(6)}
VALUE, HALF_WIDTH = -1_234_567_890.625, 98_765.4

NOTHING_SEEN = {"error": "nothing has been seen yet: run `make drift`", "field": None}


class StandIn:
    """What it answers, by path with status and body, and what it was sent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self.sent: list[Any] = []
        self.answers: dict[str, tuple[int, Any]] = {
            "/model": (200, MODEL),
            "/monitoring": (404, NOTHING_SEEN),
            "/predict?explain=true": (200, ANSWER),
            "/feedback": (200, {"accepted": 1}),
        }


def told(**answer: Any) -> tuple[int, Any]:
    """An answer of another kind to the same row; what is None is left out."""
    (one,) = ANSWER["predictions"]
    found = {name: value for name, value in (one | answer).items() if value is not None}
    return 200, ANSWER | {"predictions": [found]}


OTHERS: dict[str, dict[str, tuple[int, Any]]] = {
    "names": {
        "/model": (200, MODEL | {"classes": ["No", "Yes"], "target": "churn"}),
        "/predict?explain=true": told(label="Yes"),
    },
    "multiclass": {
        "/model": (200, MODEL | {"task": "multiclass", "classes": list(CLASSES)}),
        "/predict?explain=true": told(
            label=MARKUP,
            probability=None,
            probabilities={name: share / 1000 for name, share in CLASSES.items()},
        ),
    },
    "regression": {
        "/model": (
            200,
            MODEL | {"task": "regression", "classes": None, "half_width": HALF_WIDTH},
        ),
        "/predict?explain=true": told(
            value=VALUE,
            interval=[VALUE - HALF_WIDTH, VALUE + HALF_WIDTH],
            probability=None,
            label=None,
            explanation=EXPLANATION
            | {"base": VALUE, "unit": "value", "contributions": {LONG: -54_321.0, "2": 12.75}},
        ),
    },
}


@contextmanager
def stand_in(folder: Path) -> Iterator[StandIn]:
    """A stand-in that serves the page of this folder, on a port of its own."""
    service = StandIn(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path in PAGE:
                name, kind = PAGE[self.path]
                self._reply(200, kind, (folder / name).read_bytes())
            else:
                self._answer()

        def do_POST(self) -> None:
            service.sent.append(self.rfile.read(int(self.headers["content-length"])))
            self._answer()

        def _answer(self) -> None:
            status, body = service.answers[self.path]
            self._reply(status, "application/json", json.dumps(body).encode())

        def _reply(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.address = f"http://127.0.0.1:{server.server_port}/"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
