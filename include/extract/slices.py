"""Slices of time: how a collection is asked for a part of it, and how a part is halved.

In: the options, the window of the run, the declared `incremental`. Out: `Slicing`, which writes the query parameters of a `Slice` and
halves it as far as what is written tells the halves apart. Sends nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from dlt.sources.rest_api.config_setup import expand_placeholders

from include.configure.options import SourceOptions, json_path
from include.decide.cursor import Side, as_datetime, format_instant, format_start, parse_cursor
from include.decide.window import LoadWindow
from include.errors import ResponseShapeError
from include.extract.incremental import BEGINNING, as_declared

# The units in which a middle is looked for: round instants are what every API reads.
_UNITS = (timedelta(days=1), timedelta(seconds=1), timedelta(microseconds=1))
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
# For an open end that has to be written: what changes while the read lasts, by whatever clock, is before it.
_BEYOND = timedelta(days=2)
# What changed within this time is not cut off from what changes next: else a slice of records from the future would be cut for ever.
_MEANWHILE = timedelta(minutes=1)
_START_VALUES = ("start_value", "last_value", "initial_value")
_END_VALUES = ("end_value",)

Params = dict[str, Any]
Record = dict[str, Any]


@dataclass(frozen=True)
class Slice:
    """What changed from `start` to before `end`, both in UTC; None: that end is open."""

    start: datetime | None
    end: datetime | None

    def __str__(self) -> str:
        start = "beginning" if self.start is None else format_instant(self.start, "iso8601_z", "start")
        end = "now" if self.end is None else format_instant(self.end, "iso8601_z", "end")
        return f"[{start}, {end})"

    def holds(self, instant: datetime) -> bool:
        """Whether `instant` lies between the ends, and is none of them."""
        return (self.start is None or self.start < instant) and (self.end is None or instant < self.end)

    def middle(self, now: datetime) -> datetime | None:
        """An instant between the ends; None: there is none. An open end is cut at `now`: what follows is what changes meanwhile."""
        if self.end is None:
            return now if self.start is None or now - self.start >= _MEANWHILE else None
        if self.start is None:
            return next((instant for instant in (BEGINNING, _FIRST) if instant < self.end), None)
        length = self.end - self.start
        for unit in _UNITS:
            if length >= 2 * unit:
                exact = self.start + length / 2
                return exact - (exact - BEGINNING) % unit
        return None


@dataclass(frozen=True)
class Slicing:
    """`whole`: what the run reads. `write` gives the query parameters of a slice; a value None: the parameter is not sent.

    `missing`: the options that nobody has set and without which no slice can be asked for. `instant_of`: when a record changed, in UTC;
    None: that cannot be read.
    """

    whole: Slice
    write: Callable[[Slice], Params]
    missing: tuple[str, ...] = ()
    instant_of: Callable[[Record], datetime | None] = lambda _record: None

    def halves(self, of: Slice, now: datetime, seen: Slice | None = None) -> tuple[Slice, Slice] | None:
        """The earlier and the later half, which share one instant; None: what the API is asked would not tell them apart.

        `seen`: between which instants its records changed, as far as they were read: halved there, no half is without any.
        """
        asked = self.write(of)
        for middle in (seen.middle(now) if seen else None, of.middle(now)):
            if middle is None or not of.holds(middle):
                continue
            halves = Slice(of.start, middle), Slice(middle, of.end)
            if all(self.write(half) != asked for half in halves):
                return halves
        return None


def slicing_of(
    options: SourceOptions,
    window: LoadWindow | None,
    incremental: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Slicing:
    """How the collection is asked for slices. `params`: those of the declaration, as they stand there."""
    start = as_datetime(window.start) if window is not None and window.start is not None else None
    end = as_datetime(window.end) if window is not None else None
    filters = [_of_options(options)]
    if incremental is not None:
        filters.append(_of_declared(incremental, params or {}, options, start))
        start = start or _beginning_of(incremental)
    sides: set[Side] = set().union(*(one.sides for one in filters))
    named: tuple[tuple[str, bool], ...] = (
        ("cursor_path", bool(options.cursor_path)),
        ("start_param", "start" in sides),
        ("end_param", "end" in sides),
    )
    missing = tuple(name for name, is_there in named if not is_there)

    def write(part: Slice) -> Params:
        return {name: value for one in filters for name, value in one.write(part).items()}

    return Slicing(Slice(start, end), write, missing, _cursor_finder(options.cursor_path))


def _cursor_finder(cursor_path: str | None) -> Callable[[Record], datetime | None]:
    if not cursor_path:
        return lambda _record: None
    selector = json_path("cursor_path", cursor_path)

    def instant_of(record: Record) -> datetime | None:
        with suppress(ResponseShapeError):
            return next((as_datetime(parse_cursor(match.value)) for match in selector.find(record)), None)
        return None

    return instant_of


@dataclass(frozen=True)
class _Filter:
    """`sides`: the ends that it knows."""

    sides: frozenset[Side]
    write: Callable[[Slice], Params]


def _of_options(options: SourceOptions) -> _Filter:
    named: list[tuple[str, Side]] = []
    if options.start_param:
        named.append((options.start_param, "start"))
    if options.end_param:
        named.append((options.end_param, "end"))

    def write(part: Slice) -> Params:
        instants = {"start": part.start, "end": part.end}
        return {name: _as_option(instants[side], side, options) for name, side in named}

    return _Filter(frozenset(side for _, side in named), write)


def _as_option(instant: datetime | None, side: Side, options: SourceOptions) -> Any:
    if instant is None:
        return None
    if side == "start":
        return format_start(instant, options.cursor_format)
    return format_instant(instant, options.cursor_format, side)


def _of_declared(
    declared: Mapping[str, Any], params: Mapping[str, Any], options: SourceOptions, start: datetime | None
) -> _Filter:
    """dlt's `incremental`: its parameters, and the placeholders in others, through its `convert`.

    `start`: that of the run's window; None: the run begins where the declaration does.
    """
    names = (*_START_VALUES, *_END_VALUES)
    templates = {name: text for name, text in params.items() if _has_place(text, names)}
    if declared.get("parameter"):
        templates[declared["parameter"]] = "{incremental.start_value}"
    values = _Values(declared, options, start is None)

    def write(part: Slice) -> Params:
        first, last = values.start(part.start), values.end(part.end)
        filled = {f"incremental.{name}": first if name in _START_VALUES else last for name in names}
        written: Params = {name: expand_placeholders(text, filled) for name, text in templates.items()}
        ends = ((declared.get("start_param"), first), (declared.get("end_param"), None if part.end is None else last))
        return written | {name: value for name, value in ends if name}

    return _Filter(frozenset(_sides_of(declared, templates)), write)


def _sides_of(declared: Mapping[str, Any], templates: Mapping[str, str]) -> Iterator[Side]:
    if declared.get("start_param") or any(_has_place(text, _START_VALUES) for text in templates.values()):
        yield "start"
    if declared.get("end_param") or any(_has_place(text, _END_VALUES) for text in templates.values()):
        yield "end"


class _Values:
    """The ends of a slice as the declaration writes them. `begins_here`: the run begins where the declaration does."""

    def __init__(self, declared: Mapping[str, Any], options: SourceOptions, begins_here: bool) -> None:
        self._convert = declared.get("convert") or (lambda value: value)
        self._example = declared.get("initial_value")
        self._format = options.cursor_format
        self._beginning = _beginning_of(declared) if begins_here else None

    def start(self, instant: datetime | None) -> Any:
        instant = instant or BEGINNING
        if instant == self._beginning and self._example is not None:
            # As it is sent for the whole: what somebody has written may say more than the instant.
            return self._convert(self._example)
        return self._convert(as_declared(self._example, instant, self._format, "start"))

    def end(self, instant: datetime | None) -> Any:
        return self._convert(as_declared(self._example, instant or datetime.now(UTC) + _BEYOND, self._format, "end"))


def _has_place(text: Any, names: tuple[str, ...]) -> bool:
    # What a parent fills in is not known here.
    return (
        isinstance(text, str) and "{resources." not in text and any(f"{{incremental.{name}" in text for name in names)
    )


def _beginning_of(declared: Mapping[str, Any]) -> datetime:
    """The instant that the declaration begins with, in UTC."""
    value = declared.get("initial_value")
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time(), tzinfo=UTC)
    try:
        return BEGINNING if value is None else as_datetime(parse_cursor(value))
    except ResponseShapeError:
        return BEGINNING
