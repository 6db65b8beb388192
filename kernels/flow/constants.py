"""What decides in the flows: margins and step control, each with its reason."""

#: Room in the domain |w| < 1 below which a mode is at its edge: starts have more, trajectories end there. What remains
#: of a diverging one lasts less than 1e-15.
DOMAIN_MARGIN = 1e-6
#: The same in 1 - w^2 = (1 - |w|) (1 + |w|), which is what the velocity computes.
BOUNDARY = 2.0 * DOMAIN_MARGIN
#: A trajectory whose steps vanish left the domain if 1 - w^2 is below this: only there the velocity has no bound.
NEAR_BOUNDARY = 1e-3

# Modes on lanes.

#: Local errors are held to 15 % of the tolerance (here its square): over the hundred steps of a trajectory they add up,
#: and the end state should be right within a few tolerances.
SHARE = 0.0225
#: Smallest error in units of the allowed one, squared: the ratio stays finite, and the growth is bounded anyway.
LEAST_ERROR = 1e-12
#: The next step aims at 0.9 of the step that would just pass, less half of what the rough root is too high.
AIM = 0.87
#: Bounds of a step's change: the error estimate says nothing about steps much shorter or longer.
SHRINKING, GROWTH = 0.2, 6.0
#: After a rejection the step shrinks at least by this, and does not grow in the step that follows.
REJECTED, UNCHANGED = 0.9, 1.0
#: A trajectory rests if its next step moves by less than the root of this, about a third of the tolerance.
RESTING = 0.1
#: On the optimal manifold: within this part of w* and of p, where linear stability tells the rest of the way...
NEAR = 0.02
#: ...and within this part of the tolerance by the slowest rate: the end state is then as good as the steps made it.
REACH = 0.25
#: First step: this part of the time in which a state changes by its own size, times rtol^(1/5), the order's root.
FIRST_PACE = 0.5
#: At least this part of the end: a start of great speed finds its own step in a few rejections.
LEAST_FIRST = 1e-8
#: About the length of the explicit method's stability interval on the negative axis, 3.3.
STABILITY = 3.25
#: Steps in a row limited by stability rather than accuracy that make a trajectory stiff, what counts as reached in sums
#: of quarters, and what every other step takes away: single ones occur everywhere.
STIFF_STEPS, STIFF_SLACK, RECOVERY = 2.0, 0.1, 0.25
#: Handing over pays if more steps than these are left.
STEPS_LEFT = 3.0

# Whole networks.

#: A step's length changes by at least and at most these factors, and aims at this share of the tolerance.
LEAST_FACTOR, LARGEST_FACTOR, SAFETY = 0.2, 5.0, 0.9
#: A step that left the domain is tried again with this part of its length: how far outside it was, nothing tells.
FAILED = 0.25
#: Steps over which a network's speed is averaged: single slopes of a stiff flow are noise of the tolerance's size.
PACE = 128
#: A step of less than this share of the time reached so far is no step: rounding is all it adds.
SHORTEST = 1e-13
#: First step: this share of the time in which the state changes by its own size, or that long for a state at rest.
FIRST_SHARE, FIRST_STEP = 0.01, 1e-6
