"""The theory behind every number of this package, by sections that docstrings cite ("theory section 4").

``fastmodes.theory.section(4)`` is the text of one section, ``fastmodes.theory.sections()`` names them all, and
``fastmodes theory 4`` prints one on the command line.
"""

import functools
import re
from importlib import resources

from .validation import check_integer

_HEADING = re.compile(r"^## (\d+)\. (.+)$", re.MULTILINE)


@functools.cache
def text() -> str:
    """The whole text, plain Markdown."""
    return resources.files(__package__).joinpath("theory.md").read_text(encoding="utf-8")


def sections() -> dict[int, str]:
    """Number and title of every section."""
    return {int(number): title for number, title in _HEADING.findall(text())}


def section(number: int) -> str:
    """The text of one section, its heading included.

    Parameters
    ----------
    number : int
        As cited.

    Raises
    ------
    TypeError, ValueError
        If there is no such section.

    Examples
    --------
    >>> import fastmodes as fm
    >>> print(fm.theory.section(1).splitlines()[0])
    ## 1. Networks, loss, index convention
    """
    number = check_integer("section", number, 1, max(sections()))
    if number not in sections():
        raise ValueError(f"section must be one of {', '.join(map(str, sections()))}; got {number}")
    start, *later = (m.start() for m in _HEADING.finditer(text()) if int(m[1]) >= number)
    return text()[start : later[0] if later else None].rstrip() + "\n"


# So that help(fastmodes.theory) shows what it is about.
__doc__ = f"{__doc__}\n{text()}"
