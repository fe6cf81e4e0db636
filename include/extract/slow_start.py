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
# So many answers at least tell how a number of lanes goes; as a rule half as many as there are lanes, which are those of the new ones.
SMALLEST_ROUND = 2
# Answers are later when they take so many times as long as with the lanes that were fastest, beyond what a busy machine of ours adds.
LATER = 1.5
OUR_OWN_SECONDS = 0.01
# After so long, and so many answers without complaint, one lane more than the ceiling.
RAISE_SECONDS = 30.0
ANSWERS_FOR_ONE_COMPLAINT = 100


@dataclass(frozen=True)
class Sent:
    """One request on its way: since when, and after how many changes of the lanes and complaints.

    `is_trial`: in a lane that is new. `tells`: it is one, or all lanes were open.
    """

    at: float
    change: int
    complaint: int
    is_trial: bool
    tells: bool


@dataclass
class SlowStart:
    """`most`: the largest number of lanes. Times are seconds of any clock that only goes forward."""

    most: int
    _lanes: int = field(init=False)
    _ceiling: int = field(init=False)
    # The largest number of lanes that a round of answers has come through.
    _went_well: int = 1
    # Of the lanes, those that are open again after a pause.
    _regained: int = field(init=False)
    _changes: int = 0
    _complaints: int = 0
    _changed_at: float = 0.0
    # Requests that went out in lanes that are new: all of them, and those under way.
    _trials: int = 0
    _trials_under_way: int = 0
    # When all lanes were in use for the last time.
    _full_at: float = float("-inf")
    # Seconds of the answers that came while all lanes were in use; the median of the fastest round; whether the round before was later.
    _round: list[float] = field(default_factory=list)
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
        return min(self._went_well if self._is_tried_out() else self._lanes, self._regained)

    def _is_tried_out(self) -> bool:
        # One request for each new lane, until all of these are over: before the first refusal is here, a whole round would go out.
        return self._trials_under_way > 0 and self._trials >= self._lanes - self._went_well

    def sent(self, under_way: int, now: float) -> Sent:
        """A request goes out; `under_way` counts it."""
        if under_way >= self._lanes:
            self._full_at = now
        is_open = not self._is_tried_out()
        is_trial = is_open and under_way > self._went_well and self._trials < self._lanes - self._went_well
        self._trials += is_trial
        self._trials_under_way += is_trial
        return Sent(now, self._changes, self._complaints, is_trial, is_open)

    def over(self, sent: Sent) -> None:
        """A request is not under way any more, whatever came of it. Called after `answered` or `complained`, where one of these is."""
        if sent.is_trial and sent.change == self._changes:
            self._trials_under_way -= 1

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
        if sent.change != self._changes or not sent.tells or self._full_at < sent.at:
            # It says nothing of the lanes as they are: there were others, or not all were in use.
            return
        if self._lanes < self._ceiling or self._lanes > self._went_well:
            self._round.append(seconds)
            if len(self._round) >= max(SMALLEST_ROUND, self._lanes // 2):
                self._end_round(now)
        elif self._ceiling < self.most and self._credit >= 1 and now >= self._changed_at + RAISE_SECONDS:
            self._ceiling += 1
            self._change(self._ceiling, now)

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
            self._change(max(1, min(self._lanes // 2, self._ceiling)), now)

    def _end_round(self, now: float) -> None:
        typical = median(self._round)
        self._round = []
        if self._fastest is not None and typical > LATER * self._fastest + OUR_OWN_SECONDS:
            # One round may be chance, where some pages take longer than others.
            if self._was_late:
                self._ceiling = self._went_well
                self._change(self._ceiling, now)
            else:
                self._was_late = True
            return
        self._fastest = typical if self._fastest is None else min(self._fastest, typical)
        self._went_well = self._lanes
        if self._lanes < self._ceiling:
            self._change(min(2 * self._lanes, self._lanes + LARGEST_STEP, self._ceiling), now)

    def _change(self, lanes: int, now: float) -> None:
        self._lanes = lanes
        self._round, self._was_late = [], False
        self._trials = self._trials_under_way = 0
        self._changes += 1
        self._changed_at = now
