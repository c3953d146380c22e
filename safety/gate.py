"""Lets a streamed text leave as soon as nothing in it can still become a finding.

What has left is never taken back. The text goes through in units (see units), each judged by
every detector; typically a few words wait, and never more than `max_hold` characters. What is
longer than that, a private key or a link that carries data, is replaced once at its beginning
and swallowed to its end. A long harmless word leaves in slices, each overlapping the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from safety.units import (
    CONTEXT,
    PLACEHOLDER,
    Ending,
    KeyEnding,
    Openings,
    Quiet,
    Watch,
    WordEnding,
    border_before,
    is_follower,
    long_forms,
    looked,
    material_end,
    next_border,
)
from safety.verdict import (
    WITHHELD,
    Action,
    Detector,
    Direction,
    Edit,
    Finding,
    Hit,
    Judge,
    apply,
)

MAX_HOLD = 512
# Of a word too long to be held so much is looked at again: the longest token is 265 characters.
_REACH = 288
_TRIES = 8  # places at which one border is given up for an earlier one


@dataclass(frozen=True, slots=True)
class _Seen:
    """A hit in the text that is held, and what the judge says of it."""

    check: str
    hit: Hit
    action: Action
    start: int  # in the text that is held
    end: int

    def spans(self, place: int) -> bool:
        """Return whether a cut there would cut it in two."""
        return self.start < place < self.end


@dataclass(slots=True)  # frozen ones take three times as long to make
class _Step:
    """What becomes of the beginning of the text that is held."""

    length: int  # characters that are done with
    text: str  # what of them may leave
    findings: tuple[Finding, ...]
    blocked: Finding | None = None
    ending: Ending | None = None  # follows what goes on behind them
    inside: bool = False  # the cut is inside a word
    looked: int = 0  # characters behind them in which no border lets go of what is open


class Units:
    """Judges a text unit by unit, for a stream and for a whole text alike."""

    def __init__(
        self, detectors: Sequence[Detector], judge: Judge, direction: Direction, max_hold: int
    ) -> None:
        self._direction: Direction = direction
        self._detectors = tuple(detectors)
        self._judge = judge
        self._max_hold = max_hold
        self._finds = [(one.name, one.find) for one in self._detectors]
        self._quiet = Quiet(self._detectors)
        self._openings = Openings(self._detectors)
        self._names_keys = any(one.name == "credentials" for one in detectors)
        self._followers = [one for one in self._detectors if is_follower(one)]
        self._followed = {one.name for one in self._followers}
        self._watches: list[tuple[str, Watch]] = [
            (one.name, one.watch()) for one in self._followers
        ]

    def at_border(self, text: str, context: str) -> _Step | None:
        """Return what becomes of `text`, which ends at a border; None: it has to wait."""
        if not context and (said := self._quiet.asks(text)) != "unknown":
            return self._settle(text, len(text), []) if said == "nothing" else None
        place = self._closed(text, len(text), context)
        if place == 0:
            return None
        seen = self._look(text, context)
        if any(one.spans(place) for one in seen):
            return None  # what was found may need the words before it
        step = self._settle(text, place, seen)
        step.looked = len(text) - place
        return step

    def _closed(self, text: str, place: int, context: str) -> int:
        """Return the last border at or before `place` at which nothing is open; 0 for none near.

        What is open at `place` may begin where something else is open, as "+49" in "Phone: +49":
        so the place before it is asked as well.
        """
        for _ in range(_TRIES):
            begin = self._openings.begin(context + text[:place]) - len(context)
            if begin >= place:
                return place
            place = border_before(text, max(0, begin))
            if place == 0:
                break
        return 0

    def at_end(self, text: str, context: str) -> _Step:
        """Return what becomes of the last of the text."""
        return self._settle(text, len(text), self._look(text, context))

    def when_full(self, text: str, context: str) -> _Step:
        """Return what becomes of `text`, which is as long as may be held and has no border."""
        seen = self._look(text, context)
        if self._names_keys:
            seen = self._with_long(seen, text, context)
        whole = [(one.start, one.end) for one in seen if one.action != "warn"]
        whole += [match.span() for match in PLACEHOLDER.finditer(text)]
        # The rest stays, so that a token in the middle of a word is seen whole.
        most = max(1, self._max_hold - _REACH)
        border = border_before(text, most)
        place = self._closed(text, border, context) if border else 0
        if place < most // 4:  # or as much would be looked at again and again
            place = border or most
        for start, end in _joined(whole):
            if not start < place < end:
                continue
            place = start or end
            # What a follower found may go on behind the word in which the hold is full.
            followed = any(one.end == end and one.check in self._followed for one in seen)
            if start == 0 and (end == len(text) or followed):
                return self._swallow(text, end, seen)
        step = self._settle(text, place, seen)
        inside = border_before(text, place) != place
        return _Step(step.length, step.text, step.findings, step.blocked, None, inside)

    def _swallow(self, text: str, end: int, seen: list[_Seen]) -> _Step:
        """Return what becomes of text[:end], which is all one thing, and may go on."""
        step = self._settle(text, end, seen, watched=False)
        if step.blocked is not None:
            return step
        last = [one for one in seen if one.action != "warn" and one.end == end]
        if any(one.hit.kind == "private_key" for one in last):
            known = material_end(text, 0) or len(text)
            return _Step(0, step.text, step.findings, None, KeyEnding(known))
        names = {one.check for one in last}
        follower = next((one for one in self._followers if one.name in names), None)
        ending = WordEnding() if follower is None else follower.ending(text[:end])
        return _Step(end, step.text, step.findings, None, ending)

    def _with_long(self, seen: list[_Seen], text: str, context: str) -> list[_Seen]:
        """Return what was seen, and in place of its beginning what is longer than the text."""
        for one in self._judged(long_forms(context + text), text, context):
            kind = (one.check, one.hit.kind)
            seen = [
                other
                for other in seen
                if (other.check, other.hit.kind) != kind or other.end <= one.start
            ]
            seen.append(one)
        return sorted(seen, key=lambda one: (one.start, -one.end))

    def _look(self, text: str, context: str) -> list[_Seen]:
        """Return what the detectors see in `text`, in order."""
        everything = context + text if context else text
        seen: list[_Seen] = []
        for name, find in self._finds:
            if hits := find(everything):
                seen += self._judged([(name, hit) for hit in hits], text, context)
        if len(seen) > 1:
            seen.sort(key=lambda one: (one.start, -one.end))
        return seen

    def _judged(self, hits: list[tuple[str, Hit]], text: str, context: str) -> list[_Seen]:
        seen = []
        for check, hit in hits:
            action = self._judge(check, hit)
            start, end = hit.start - len(context), hit.end - len(context)
            if hit.is_whole:  # nothing of it can be cut out
                start, end = 0, len(text)
                action = "block" if action == "redact" else action
            if end > 0 and action is not None:
                seen.append(_Seen(check, hit, action, max(0, start), end))
        return seen

    def _settle(self, text: str, place: int, seen: list[_Seen], *, watched: bool = True) -> _Step:
        """Return what becomes of text[:place], in which no hit is cut in two."""
        unit = text[:place]
        if seen:
            seen = [one for one in seen if one.end <= place]
        if watched and self._watches:
            cut = {one.check for one in seen if one.action == "redact"}  # what is cut is not told
            watching = [
                (name, hit)
                for name, watch in self._watches
                if name not in cut
                for hit in watch(unit)
            ]
            seen = self._judged(watching, unit, "") + seen
        if not seen:
            return _Step(place, unit, ())
        edits: list[Edit] = []
        findings: list[Finding] = []
        for one in seen:
            hit = one.hit
            finding = Finding(one.check, hit.severity, one.action, hit.kind, self._direction)
            findings.append(finding)
            if one.action == "block":
                kept = [
                    Edit(edit.start, min(edit.end, one.start), edit.replacement)
                    for edit in edits
                    if edit.start < one.start
                ]
                left = apply(unit[: one.start], kept)
                return _Step(place, left, tuple(findings), finding)
            if one.action == "redact":
                edits.append(Edit(one.start, one.end, hit.replacement or WITHHELD))
        return _Step(place, apply(unit, edits), tuple(findings))


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans in order, those that overlap as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


class StreamGate:
    """Feed it the chunks of one text; it gives what may leave."""

    def __init__(
        self,
        detectors: Sequence[Detector],
        judge: Judge,
        *,
        restore: Callable[[str], str] | None = None,
        direction: Direction = "output",
        max_hold: int = MAX_HOLD,
    ) -> None:
        """judge: what becomes of a hit. restore: puts back what placeholders stand for.

        direction: as findings carry it. max_hold: characters, from 320 on. Raises ValueError
        below that: a token inside a long word would be cut.
        """
        if max_hold < _REACH + 32:
            raise ValueError(f"max_hold must be at least {_REACH + 32} characters")
        self._units = Units(detectors, judge, direction, max_hold)
        self._restore = restore
        self._max_hold = max_hold
        self._held = ""
        self._looked = 0  # up to here no border is asked
        self._context = ""  # what left last, where a word was cut
        self._ending: Ending | None = None  # what is being swallowed
        self.findings: list[Finding] = []
        self.blocked: Finding | None = None

    @property
    def held(self) -> int:
        """How many characters wait, at most `max_hold` between two chunks."""
        return len(self._held)

    def feed(self, chunk: str) -> str:
        """Take a chunk of the text; return what may leave now."""
        if self.blocked is not None:
            return ""
        self._held += chunk
        waits = self._ending is None and len(self._held) < self._max_hold
        if waits and not next_border(self._held, self._looked, len(self._held)):
            self._looked = max(self._looked, len(self._held))
            return ""
        return self._run(final=False)

    def finish(self) -> str:
        """Return the rest of the text, when nothing more comes."""
        return "" if self.blocked is not None else self._run(final=True)

    def _run(self, *, final: bool) -> str:
        left: list[str] = []
        while self._held or (final and self._ending):
            if self._ending is not None:
                taken, done = self._ending.take(self._held, final=final)
                self._held = self._held[taken:]
                if not done:
                    break
                self._ending = None
                continue
            step = self._step(final=final)
            if step is None:
                break
            left.append(step.text if self._restore is None else self._restore(step.text))
            self.findings += step.findings
            if step.blocked is not None:
                self.blocked, self._held = step.blocked, ""
                break
            self._ending = step.ending
            self._context = self._held[: step.length][-CONTEXT:] if step.inside else ""
            self._held = self._held[step.length :]
            self._looked = looked(step.looked)
        return "".join(left)

    def _step(self, *, final: bool) -> _Step | None:
        most = min(len(self._held), self._max_hold)
        while place := next_border(self._held, self._looked, most):
            step = self._units.at_border(self._held[:place], self._context)
            if step is not None:
                return step
            self._looked = looked(place)
        self._looked = max(self._looked, most)
        if len(self._held) >= self._max_hold:
            return self._units.when_full(self._held[: self._max_hold], self._context)
        return self._units.at_end(self._held, self._context) if final else None


def whole(
    text: str,
    detectors: Sequence[Detector],
    judge: Judge,
    *,
    direction: Direction = "output",
    max_hold: int = MAX_HOLD,
) -> tuple[str, tuple[Finding, ...], Finding | None]:
    """Return what of a whole text may leave, what was found, and what blocked the rest.

    The same as a StreamGate gives for it in any chunks.
    """
    units = Units(detectors, judge, direction, max_hold)
    left: list[str] = []
    findings: list[Finding] = []
    start, done, context = 0, 0, ""
    while start < len(text):
        step = _first(units, text, start, done, context, max_hold)
        done = looked(step.looked)
        left.append(step.text)
        findings += step.findings
        if step.blocked is not None:
            return "".join(left), tuple(findings), step.blocked
        end = start + step.length
        context = text[max(start, end - CONTEXT) : end] if step.inside else ""
        start = end
        if step.ending is not None:
            start += step.ending.take(text[start:], final=True)[0]
    return "".join(left), tuple(findings), None


def _first(units: Units, text: str, start: int, done: int, context: str, max_hold: int) -> _Step:
    """Return what becomes of the first unit of text[start:]."""
    most = min(len(text), start + max_hold)
    while place := next_border(text, start + done, most):
        if (step := units.at_border(text[start:place], context)) is not None:
            return step
        done = looked(place - start)
    if len(text) - start >= max_hold:
        return units.when_full(text[start : start + max_hold], context)
    return units.at_end(text[start:], context)
