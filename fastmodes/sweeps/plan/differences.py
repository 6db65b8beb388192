"""In what two plans differ, key by key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...validation import shown

if TYPE_CHECKING:
    from .plan import Plan

#: More differences than this are counted only.
_MOST_SHOWN = 5


def differences(there: Plan, asked: Plan) -> str:
    """What differs between the plan that is there and the one asked for, in one line.

    Parameters
    ----------
    there, asked : Plan
    """
    found = list(_compare(json.loads(there.canonical), json.loads(asked.canonical), ""))
    more = f", and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return ", ".join(found[:_MOST_SHOWN]) + more


def _compare(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        if list(one) != list(other) and sorted(one) == sorted(other):
            yield f"the order of {path} ({', '.join(one)} there, {', '.join(other)} asked for)"
        for key in dict.fromkeys([*one, *other]):
            place = f"{path}.{key}" if path else key
            if key not in other:
                yield f"{place} (only there)"
            elif key not in one:
                yield f"{place} (only asked for)"
            else:
                yield from _compare(one[key], other[key], place)
    elif one != other:
        yield f"{path} ({shown(one)} there, {shown(other)} asked for)"
