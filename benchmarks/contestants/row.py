"""One row of a request, as a pydantic model: the inputs of the example project's model."""

from pydantic import BaseModel


class Row(BaseModel):
    """A planned flight; what else a request names (its key, its time) is ignored."""

    carrier: str
    origin: str
    dest: str
    weekday: float
    departure_minute: float
    arrival_minute: float
    distance: float
    plane_age: float | None = None
    seats: float | None = None
    engine: str | None = None
    temperature: float | None = None
    dew_point: float | None = None
    humidity: float | None = None
    wind_direction: float | None = None
    wind_speed: float | None = None
    precipitation: float | None = None
    pressure: float | None = None
    visibility: float | None = None
