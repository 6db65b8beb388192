"""The numbers that decide "reproduced", each with its reason; the claims read them from here, the report prints them.

They follow from rounding errors, from what the words of a claim mean, or are our reading where the words leave it open;
the reasons say which.
"""

from typing import NamedTuple


class Threshold(NamedTuple):
    """One number that decides.

    Attributes
    ----------
    claim : str
        The claims that it decides, C1 .. C13.
    what : str
        What is compared with it.
    value : float
    reason : str
    """

    claim: str
    what: str
    value: float
    reason: str


#: Every threshold by the name under which the claims use it.
THRESHOLDS: dict[str, Threshold] = {}


def _named(name: str, value: float, claim: str, what: str, reason: str) -> float:
    THRESHOLDS[name] = Threshold(claim, what, value, reason)
    return value


AT_REST = _named(
    "AT_REST", 1e-10, "C1", "largest update on the optimal manifold",
    "zero but for rounding: updates there are differences of terms of up to about 1e4",
)  # fmt: skip
ON_THE_LINE = _named(
    "ON_THE_LINE", 1e-14, "C1", "largest update of readout feedback on a = b = 0",
    "every term has a factor a or b, which is 0: nothing but the last digits is left",
)  # fmt: skip
LINE_LOSS = _named(
    "LINE_LOSS", 1e-14, "C1", "relative error of the loss on the line", "a closed form, evaluated twice: last digits",
)  # fmt: skip
MOVES = _named(
    "MOVES", 0.1, "C1, C2", "smallest update of random feedback on a = b = 0",
    "clearly not at rest: 5 % and more of the updates of weights of size 1 (r = 0.8 or 1)",
)  # fmt: skip
NEAR_ZERO = _named(
    "NEAR_ZERO", 0.06, "C2", "|a| and |b| of the grid's points that count as a = b = 0",
    "above rounding and below the grid's spacing of 0.1: the one point at the origin",
)  # fmt: skip
NO_FLOW = _named(
    "NO_FLOW", 1e-12, "C2", "BPTT's update at a = b = 0", "zero but for the rounding of the grid's own zeros",
)  # fmt: skip
ALIKE = _named(
    "ALIKE", 0.9, "C2", "median cosine of tBPTT's field with BPTT's, at least",
    "angle below 26 degrees at most points: our reading of 'alike'",
)  # fmt: skip
OPPOSED = _named(
    "OPPOSED", 0.01, "C2", "share of points where tBPTT's field opposes BPTT's, at most",
    "alike nearly everywhere: one point in a hundred",
)  # fmt: skip
UNLIKE = _named(
    "UNLIKE", 0.75, "C2", "median cosine of RFLO's field with BPTT's, at most",
    "angle above 41 degrees at most points: our reading of 'differs'; well apart from 'alike'",
)  # fmt: skip
MOST = _named(
    "MOST", 0.5, "C3, C5, C8, C11, C12",
    "share of points, modes or runs that is 'most' or 'mainly'", "the majority of them",
)  # fmt: skip
SAME_RATE = _named(
    "SAME_RATE", 0.05, "C3", "median relative difference of tBPTT's and BPTT's rates at w* = 0.1, at most",
    "'like' within 5 %; the terms that tBPTT leaves out are of order w*^2 = 1 %",
)  # fmt: skip
SLOWEST_AT = _named(
    "SLOWEST_AT", 0.02, "C3", "distance of BPTT's slowest |s| from sqrt|p|",
    "a little more than the spacing of the 400 positions there, 0.8 %",
)  # fmt: skip
GONE = _named(
    "GONE", 0.999, "C4", "|w| at the end that counts as out of the domain",
    "the flow ends where |w| reaches 1; a mode inside ends at w* = 0.7",
)  # fmt: skip
FALLEN = _named(
    "FALLEN", 1e-4, "C4", "share of the first loss at which a mode has learned",
    "deep in the last, exponential part of the fall; the flow follows it to 1e-12",
)  # fmt: skip
LONG_WAY = _named(
    "LONG_WAY", 5.0, "C4", "RFLO's path over BPTT's, at least", "'a long detour': our reading, several times the way",
)  # fmt: skip
MUCH_LONGER = _named(
    "MUCH_LONGER", 2.0, "C4", "RFLO's time over BPTT's, at least", "'much longer': our reading, twice the time",
)  # fmt: skip
FITS = _named(
    "FITS", 0.5, "C5", "theory error after the transient over that at once, for the two largest modes, at most",
    "our reading of 'fits after a transient': half the error at least goes away",
)  # fmt: skip
RECURRENT_ALIGNS = _named(
    "RECURRENT_ALIGNS", 0.9, "C5", "recurrent alignment at the end, at least", "our reading of 'almost 1'",
)  # fmt: skip
ENDS_ALIGN = _named(
    "ENDS_ALIGN", 0.95, "C5", "readout and input alignment at the end, at least",
    "our reading of 'almost 1', stricter where the figure shows more",
)  # fmt: skip
MISALIGNED = _named(
    "MISALIGNED", 0.95, "C5", "upper end of the interval of RFLO's feedback alignment, at most",
    "what the other alignments must exceed",
)  # fmt: skip
LEARNED = _named(
    "LEARNED", 0.05, "C5, C7", "share of the initial loss at which a run has learned",
    "below what the smallest modes alone leave; stricter than 'did not diverge'",
)  # fmt: skip
OUTSIDE = _named(
    "OUTSIDE", 1e-9, "C6", "share of RFLO's change outside R^T Q under SGD, at most",
    "zero by Proposition 3.1; rounding of 2000 updates adds up to 1e-13",
)  # fmt: skip
SECOND = _named(
    "SECOND", 1e-2, "C6", "RFLO's second singular value over its first under Adam with one output, at most",
    "zero but for Adam's epsilon, which is felt where gradients are small",
)  # fmt: skip
CLOSE_TO_ONE = _named(
    "CLOSE_TO_ONE", 1.5, "C6", "tBPTT's participation ratio, at most",
    "'close to RFLO', whose ratio is 1: nearer to one direction than to two",
)  # fmt: skip
GOES_WITH = _named(
    "GOES_WITH", -0.3, "C6", "rank correlation of rank and loss, at most",
    "'tends to go with': what is called a moderate correlation",
)  # fmt: skip
VARIES = _named(
    "VARIES", 1e-6, "C6", "range of the ratio within a rule below which it has no correlation",
    "RFLO's ratio is 1 up to rounding: its order is noise",
)  # fmt: skip
ENOUGH_RUNS = _named(
    "ENOUGH_RUNS", 5, "C6", "runs of a rule beyond which it has a correlation of its own",
    "fewer points say nothing about order",
)  # fmt: skip
WHATEVER = _named(
    "WHATEVER", 0.8, "C6", "share of the variations in which the order holds, at least",
    "'whatever our choices' but for extremes: one or two of ten may fail",
)  # fmt: skip
SAME_LIMIT = _named(
    "SAME_LIMIT", 1e-3, "C9", "largest relative difference of the two losses' updates at T = 30,000, at most",
    "the difference falls like 1/T, with a factor of a few",
)  # fmt: skip
FALLS = _named(
    "FALLS", 0.01, "C9", "the same at T = 30,000 over that at T = 30, at most",
    "1/T gives 0.001; a tenth of the way is left for short sequences",
)  # fmt: skip
UNIT_LIMIT = _named(
    "UNIT_LIMIT", 0.02, "C10", "relative deviation of the measured limit from 2/|lambda| in one unit, at most",
    "the bisection stops at 1 %, and growth next to the limit is slow",
)  # fmt: skip
POWER = _named(
    "POWER", 0.3, "C10", "deviation of the fitted power of 1 - w*^2 from 3 and from 2, at most",
    "tells the powers apart; the next order in 1 - w*^2 bends the fit by about 0.1",
)  # fmt: skip
NETWORK_LOW = _named(
    "NETWORK_LOW", 0.75, "C10", "measured over predicted limit of whole networks, at least",
    "the grid of rates is coarse: a quarter less",
)  # fmt: skip
AS_CLEAR = _named(
    "AS_CLEAR", 0.5, "C11", "signal to noise of a local rule's first updates over BPTT's, at least",
    "'no noisier': within a factor of two, what a batch of twice the size makes up for",
)  # fmt: skip
SURE = _named(
    "SURE", 0.9, "C13", "posterior of the right rule among the paper's four, at least",
    "what identification itself asks before it names a rule: odds of nine to one",
)  # fmt: skip
NETWORK_HIGH = _named(
    "NETWORK_HIGH", 1.33, "C10", "measured over predicted limit of whole networks, at most", "the same as a factor, up",
)  # fmt: skip
