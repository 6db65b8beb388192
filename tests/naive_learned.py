"""Plain twins of feedback that learns, importing nothing of the package."""

import naive_modes
import naive_stationary
import numpy as np


def modes(y, rule, teacher, product, decay, horizon, moving):
    """d(w, a, b, r)/ds; rule = ("kolen_pollack", lambda) or ("mirror", lambda, kappa)."""
    w, a, b, r = y
    dw, da, db = naive_modes.endless_update(w, a, b, teacher, product, r, w if moving else decay, horizon)
    if rule[0] == "kolen_pollack":
        return np.array([-dw, -da - rule[1] * a, -db, -da - rule[1] * r])
    return np.array([-dw, -da, -db, rule[2] * a - rule[1] * r])


def networks(y, rule, kinds, teacher, steps):
    """d(A, W, B, R)/ds; kinds = (propagator, decay, horizon), T = infinity as ``steps`` steps."""
    a, w, b, r = y
    _, da, dw, db = naive_stationary.expected(*kinds, r, (a, w, b), teacher, steps)
    if rule[0] == "kolen_pollack":
        return -da - rule[1] * a, -dw, -db, -da - rule[1] * r
    return -da, -dw, -db, rule[2] * a - rule[1] * r
