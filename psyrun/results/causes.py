"""Failures grouped by their cause."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psyrun.utils.text import rough_duration
from psyrun.workdir.failures import Failure

_MOST_TEXTS = 5  # of one type at one line that are told apart
_LONG = 1.0  # seconds of an evaluation that are told
_LONGEST = 60  # characters of a text parameter that is looked for
_SHORTEST = 2
_VARIABLE = re.compile(
    r"""0x[0-9a-fA-F]+                      # addresses
    | [^\s'"(),;=]*[/\\][^\s'"(),;]*        # paths
    | [-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?
    | [-+]?\b(?:nan|inf)\b
    """,
    re.VERBOSE,
)
_ANY = "…"


@dataclass(frozen=True)
class FailureGroup:
    """Failures with one cause, at least one.

    They have the same type of exception at the same place, and texts that differ only
    in numbers, addresses, paths and values of the assignments; or very many texts.
    """

    failures: Sequence[Failure]

    @property
    def first(self) -> Failure:
        """The first in the order of the space."""
        return self.failures[0]

    @property
    def cause(self) -> str:
        """Type and text of the exception; one text of several is an example."""
        first = self.first
        if all(failure.message == first.message for failure in self.failures):
            return first.cause
        return first.cause.replace(f"{first.type}: ", f"{first.type}, such as: ", 1)

    @property
    def times(self) -> str:
        """How long they were evaluated, such as ``after 2 s to 12 min, 3 h in all``.

        Empty if that is not known, or each took less than a second.
        """
        known = [one.duration for one in self.failures if one.duration is not None]
        if not known or max(known) < _LONG:
            return ""
        least, most = rough_duration(min(known)), rough_duration(max(known))
        text = f"after {least}" if least == most else f"after {least} to {most}"
        if len(known) > 1:
            text += f", {rough_duration(sum(known))} in all"
        n_unknown = len(self.failures) - len(known)
        return f"{text}; not known of {n_unknown}" if n_unknown else text


def grouped(failures: Iterable[Failure]) -> list[FailureGroup]:
    """Put failures together that have the same cause.

    The largest group is the first; those of one size are in the order of the space.
    """
    by_place: dict[tuple[str, str], dict[str, list[Failure]]] = defaultdict(dict)
    for failure in failures:
        texts = by_place[failure.type, failure.where]
        texts.setdefault(general_text(failure), []).append(failure)
    found: list[list[Failure]] = []
    for (_, where), texts in by_place.items():
        if where and len(texts) > _MOST_TEXTS:
            found.append(_joined(texts.values()))
        else:
            found += texts.values()
    found.sort(key=lambda group: (-len(group), group[0].index))
    return [FailureGroup(group) for group in found]


def _joined(groups: Iterable[list[Failure]]) -> list[Failure]:
    everything = [failure for group in groups for failure in group]
    return sorted(everything, key=lambda failure: failure.index)


def general_text(failure: Failure) -> str:
    """Return a message without what may differ from one assignment to the next.

    That is numbers, addresses, paths, and the text parameters of the assignment.
    """
    text = failure.message
    for value in failure.parameters.values():
        if value[:1] in ("'", '"') and _SHORTEST < len(value) - 1 < _LONGEST:
            text = text.replace(value, _ANY)
            if (word := value[1:-1]) in text:
                text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", _ANY, text)
    return _VARIABLE.sub(_ANY, text)
