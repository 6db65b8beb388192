"""``fastmodes reproduce``: the paper's experiments and ours, judged."""

import click

from .messages import say
from .options import progress_option


@click.command()
@click.option("--out", default="fastmodes-reproduce", show_default=True, help="Folder; made if missing.")
@click.option("--quick", is_flag=True, help="A small version, to see that it works; its verdicts mean nothing.")
@progress_option
def reproduce(out: str, quick: bool, progress: bool) -> None:
    """Run the paper's experiments and ours; judge thirteen claims; write datasets, figures and a report.

    About two minutes on two cores. Interrupted, it goes on where it was: datasets already there are used again.
    """
    from fastmodes.analysis.report.reproduction import reproduce as reproduce_all
    from fastmodes.analysis.report.verdicts import verdict_lines

    outcome = reproduce_all(out, quick=quick, progress=progress)
    for line in verdict_lines(outcome.claims, quick=quick):
        say(line)
    click.echo(outcome.report)
