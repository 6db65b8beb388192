"""In what two plans differ, key by key."""

import json

from ...validation import shown

#: More differences than this are counted only.
_MOST_SHOWN = 5


def differences(there, asked) -> str:
    """What differs between the plan that is there and the one asked for, in one line.

    Parameters
    ----------
    there, asked : Plan
    """
    found = list(_compare(json.loads(there.canonical), json.loads(asked.canonical), ""))
    more = f", and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return ", ".join(found[:_MOST_SHOWN]) + more


def _compare(one, other, path):
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
