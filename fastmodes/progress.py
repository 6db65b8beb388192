"""Progress on stderr: a bar on a terminal, a plain line now and then otherwise."""

import contextlib
import sys
import time


@contextlib.contextmanager
def progress_bar(total, description, shown=True):
    """Give a function to be called after each of ``total`` pieces of work.

    Parameters
    ----------
    total : int
    description : str
        What is being computed.
    shown : bool
        False: nothing is written.
    """
    if not shown:
        yield lambda: None
    elif sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, desc=description, file=sys.stderr, leave=False) as bar:
            yield bar.update
    else:
        yield _plain_lines(total, description)


def _plain_lines(total, description, seconds=10.0):
    done, next_line = 0, time.monotonic() + seconds

    def advance():
        nonlocal done, next_line
        done += 1
        if time.monotonic() >= next_line and done < total:
            print(f"{description}: {done} of {total} blocks", file=sys.stderr, flush=True)
            next_line = time.monotonic() + seconds

    return advance
