"""What is told of a row, and written down: one class a task."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from ..config import Class
from .explain import Explanation
from .predictor import Floats


class Truth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The true label of the row answered under this id: a class, or a number."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}-[0-9]{1,9}$")]
    label: Class | float


class Record(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One answered row, as it came in the request; `request` is the caller's own id, if any.

    `label` and `probability` are told of two classes, `label` and `probabilities` (in the order of
    the classes) of more, `value` of a number.
    """

    id: str
    at: datetime
    version: int
    probability: float | UnsetType
    label: Class | UnsetType
    probabilities: list[float] | UnsetType
    value: float | UnsetType
    row: Any
    request: str = ""


class Probability(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The answer to one row: the probability of the last of two classes, and the likelier label.

    `unseen` names columns whose category was never seen in training.
    """

    id: str
    probability: float
    label: Class
    unseen: list[str]
    explanation: Explanation | None = None


class Probabilities(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The answer to one row: the likeliest class, and the probability of each.

    `unseen` names columns whose category was never seen in training.
    """

    id: str
    label: Class
    probabilities: dict[Class, float]
    unseen: list[str]
    explanation: Explanation | None = None


class Value(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The answer to one row: a number, and the range that holds most true ones.

    `unseen` names columns whose category was never seen in training.
    """

    id: str
    value: float
    interval: tuple[float, float] | None
    unseen: list[str]
    explanation: Explanation | None = None


class Answers(Protocol):
    """From what a predictor gives for a row to what is told and written down."""

    prediction: Any  # the type of what is told
    truth: Any  # the type of what turned out to be true: a `Truth` of this task
    outputs: dict[str, str]  # fields of a prediction, with the type that the Open Inference
    # Protocol has for them

    def told(self, name: str, output: Any, unseen: list[str]) -> Any:
        """The prediction for an output, under the id `name`."""
        ...

    def record(self, told: Any, at: datetime, version: int, row: Any, request: str) -> Record:
        """The line of the log for a prediction."""
        ...

    def scored(self, told: Any) -> list[float] | float:
        """A probability for each class, or the number, as MLflow's server tells it."""
        ...

    def counted(self, told: Any) -> Class:
        """Under which label the figures count a prediction."""
        ...

    def answered(self, output: Any) -> int:
        """The place of the output that an explanation is about."""
        ...

    def flipped(self, found: Floats, expected: Floats) -> int:
        """How many rows get another label by the one than by the other."""
        ...


class Binary:
    """Two classes."""

    prediction = Probability

    def __init__(self, classes: Sequence[Class], threshold: float) -> None:
        self._classes = classes
        self._negative, self._positive = classes
        self.truth = labelled(Literal[tuple(classes)])
        self.outputs = {"probability": "FP64", "label": type_of(classes), "id": "BYTES"}
        self._threshold = threshold

    def told(self, name: str, output: float, unseen: list[str]) -> Probability:
        """The prediction for a probability of the last class."""
        label = self._positive if output >= self._threshold else self._negative
        return Probability(name, output, label, unseen)

    def record(
        self, told: Probability, at: datetime, version: int, row: Any, request: str
    ) -> Record:
        """The line of the log for a prediction."""
        return Record(
            told.id, at, version, told.probability, told.label, UNSET, UNSET, row, request
        )

    def scored(self, told: Probability) -> list[float]:
        """Probabilities of both classes."""
        return [1.0 - told.probability, told.probability]

    def counted(self, told: Probability) -> Class:
        """The label."""
        return told.label

    def answered(self, output: float) -> int:
        """The one output there is."""
        return 0

    def flipped(self, found: Floats, expected: Floats) -> int:
        """How many rows are on different sides of the threshold."""
        return int(((found >= self._threshold) != (expected >= self._threshold)).sum())


class Multiclass:
    """Three classes or more."""

    prediction = Probabilities

    def __init__(self, classes: Sequence[Class]) -> None:
        self._classes = classes
        self.truth = labelled(Literal[tuple(classes)])
        self.outputs = {"probabilities": "FP64", "label": type_of(classes), "id": "BYTES"}

    def told(self, name: str, output: list[float], unseen: list[str]) -> Probabilities:
        """The prediction for the probabilities of the classes."""
        label = self._classes[self.answered(output)]
        return Probabilities(name, label, dict(zip(self._classes, output, strict=True)), unseen)

    def record(
        self, told: Probabilities, at: datetime, version: int, row: Any, request: str
    ) -> Record:
        """The line of the log for a prediction."""
        probabilities = list(told.probabilities.values())
        return Record(told.id, at, version, UNSET, told.label, probabilities, UNSET, row, request)

    def scored(self, told: Probabilities) -> list[float]:
        """Probabilities of the classes."""
        return list(told.probabilities.values())

    def counted(self, told: Probabilities) -> Class:
        """The label."""
        return told.label

    def answered(self, output: list[float]) -> int:
        """The code of the likeliest class, the first of several."""
        return output.index(max(output))

    def flipped(self, found: Floats, expected: Floats) -> int:
        """How many rows have another likeliest class."""
        return int((found.argmax(axis=1) != expected.argmax(axis=1)).sum())


class Regression:
    """A number; `half_width` is how far the interval reaches on both sides of it."""

    prediction = Value

    def __init__(self, half_width: float | None) -> None:
        self._half_width = half_width
        self.truth = labelled(float)
        self.outputs = {"value": "FP64", "id": "BYTES"}

    def told(self, name: str, output: float, unseen: list[str]) -> Value:
        """The prediction for a number."""
        width = self._half_width
        interval = None if width is None else (output - width, output + width)
        return Value(name, output, interval, unseen)

    def record(self, told: Value, at: datetime, version: int, row: Any, request: str) -> Record:
        """The line of the log for a prediction."""
        return Record(told.id, at, version, UNSET, UNSET, UNSET, told.value, row, request)

    def scored(self, told: Value) -> float:
        """The number."""
        return told.value

    def counted(self, told: Value) -> Class:
        """All numbers count as one."""
        return "value"

    def answered(self, output: float) -> int:
        """The one output there is."""
        return 0

    def flipped(self, found: Floats, expected: Floats) -> int:
        """A number has no label."""
        return 0


def type_of(classes: Sequence[Class]) -> str:
    """How the Open Inference Protocol calls the type of some classes."""
    return "INT64" if all(isinstance(one, int) for one in classes) else "BYTES"


def labelled(kind: Any) -> Any:
    """`Truth` with labels of one type."""
    return msgspec.defstruct(
        "Truth",
        [("label", kind)],
        bases=(Truth,),
        namespace={"__doc__": Truth.__doc__},
        frozen=True,
        forbid_unknown_fields=True,
    )
