"""How many requests may be under way at once: few at first, more while the API bears it, fewer when it complains.

In: how each request went out and what came of it. Out: a number of lanes, from 1 to the most that somebody allows. What an API bears
nobody knows before it is asked, and what it refuses counts against whoever asked. Knows no clock of its own, and is not safe to use from
several threads: the budget that asks it is.

The number doubles from `FIRST` with each round of answers that came without complaint and no later than those of fewer lanes. A
complaint halves it, and from then on what went well before is the ceiling, which rises by one at a time.
"""

from dataclasses import dataclass, field
from statistics import median

FIRST = 2
# More than so many new lanes at once are no doubling any more: where the API bears none of them, each is a request refused.
LARGEST_STEP = 4
# So many answers at least tell how a number of lanes goes: one of three may be late by chance, and does not move their median.
ROUND = 3
# Answers are later when they take so many times as long as with the lanes that were fastest, beyond what a busy machine of ours adds.
LATER = 1.5
OUR_OWN_SECONDS = 0.01
# After so long, and so many answers without complaint, one lane more than the ceiling.
RAISE_SECONDS = 30.0
ANSWERS_FOR_ONE_COMPLAINT = 100


@dataclass(frozen=True)
class Sent:
    """One request on its way: after how many rounds and complaints, with how many others, and whether its answer tells of the lanes."""

    round: int
    complaint: int
    under_way: int
    tells: bool


@dataclass
class SlowStart:
    """`most`: the largest number of lanes. Times are seconds of any clock that only goes forward."""

    most: int
    _lanes: int = field(init=False)
    _ceiling: int = field(init=False)
    # The largest number of requests under way that a round of answers has come through.
    _went_well: int = 1
    # Of the lanes, those that are open again after a pause.
    _regained: int = field(init=False)
    _rounds: int = 0
    _complaints: int = 0
    _began_at: float = 0.0
    # Of the round, the seconds of each answer, and the requests that are under way.
    _seconds: list[float] = field(default_factory=list)
    _telling: int = 0
    # The largest number of requests under way in the round.
    _peak: int = 0
    # The median of the fastest round; whether the last one was later.
    _fastest: float | None = None
    _was_late: bool = False
    # Grows with good answers up to one complaint that may be chance.
    _credit: float = 0.0
    # What the ceiling falls to if the complaint of now is more than chance.
    _fallback: int = 1

    def __post_init__(self) -> None:
        self._lanes = min(FIRST, self.most)
        self._ceiling = self._regained = self.most

    @property
    def lanes(self) -> int:
        """So many requests may be under way."""
        # A round is sent and then waited for: until the first refusal is here, much more would go into lanes that nobody knows.
        is_sent = self._is_tried() and len(self._seconds) + self._telling >= self._round_size()
        return min(self._known() if is_sent else self._lanes, self._regained)

    def sent(self, under_way: int) -> Sent:
        """A request goes out; `under_way` counts it."""
        tells = self._is_tried() and under_way > self._known()
        self._telling += tells
        return Sent(self._rounds, self._complaints, under_way, tells)

    def over(self, sent: Sent) -> None:
        """A request is not under way any more, whatever came of it. Called after `answered` or `complained`, where one of these is."""
        if sent.tells and sent.round == self._rounds:
            self._telling -= 1

    def is_of_before(self, sent: Sent | None) -> bool:
        """Whether a request was under way when the last complaint came; None: nobody knows of it."""
        return sent is not None and sent.complaint != self._complaints

    def regain(self) -> None:
        """An answer came after a pause: one lane more."""
        self._regained = min(self.most, self._regained + 1)

    def pause(self) -> None:
        """Nothing is sent for a while; what comes after it begins with one lane."""
        self._regained = 1

    def answered(self, sent: Sent, seconds: float, now: float) -> None:
        """An answer without complaint, which took so many `seconds` to come."""
        self._credit = min(1.0, self._credit + 1 / ANSWERS_FOR_ONE_COMPLAINT)
        if sent.tells and sent.round == self._rounds:
            self._seconds.append(seconds)
            self._peak = max(self._peak, min(sent.under_way, self._lanes))
            if len(self._seconds) >= self._round_size():
                self._end_round(now)
        elif (
            not self._is_tried()
            and self._ceiling < self.most
            and self._credit >= 1
            and now >= self._began_at + RAISE_SECONDS
        ):
            self._ceiling += 1
            self._begin_round(self._ceiling, now)

    def complained(self, is_same: bool, now: float) -> None:
        """The API refused a request, or let it wait for too long. `is_same`: it was under way with one that was refused before."""
        if is_same:
            # One may be chance; two together are none.
            self._ceiling = min(self._ceiling, self._fallback)
        elif self._lanes > self._went_well:
            self._ceiling = self._fallback = self._went_well
        else:
            self._fallback = min(self._ceiling, max(1, self._lanes // 2))
            if self._credit < 1:
                self._ceiling = self._fallback
        self._credit = 0.0
        self._went_well = min(self._went_well, self._ceiling)
        if not is_same:
            self._complaints += 1
            self._begin_round(max(1, min(self._lanes // 2, self._ceiling)), now)

    def _is_tried(self) -> bool:
        """Whether answers are waited for that say how these lanes go."""
        return self._lanes > self._went_well or self._lanes < self._ceiling

    def _known(self) -> int:
        """Requests beyond so many under way tell how these lanes go."""
        return min(self._went_well, self._lanes - 1)

    def _round_size(self) -> int:
        return max(ROUND, self._lanes - self._known())

    def _end_round(self, now: float) -> None:
        typical = median(self._seconds)
        if self._fastest is not None and typical > LATER * self._fastest + OUR_OWN_SECONDS:
            # One round may be chance, where some pages take longer than others.
            if self._was_late:
                self._ceiling = min(self._ceiling, self._went_well)
                self._begin_round(self._ceiling, now)
            else:
                self._seconds, self._was_late = [], True
            return
        self._fastest = typical if self._fastest is None else min(self._fastest, typical)
        self._went_well = max(self._went_well, self._peak)
        is_proven = self._lanes <= self._went_well
        self._begin_round(
            min(2 * self._lanes, self._lanes + LARGEST_STEP, self._ceiling) if is_proven else self._lanes, now
        )

    def _begin_round(self, lanes: int, now: float) -> None:
        self._lanes = lanes
        self._seconds, self._peak, self._telling, self._was_late = [], 0, 0, False
        self._rounds += 1
        self._began_at = now
