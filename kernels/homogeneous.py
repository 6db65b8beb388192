"""Complete homogeneous polynomials: the sums of powers behind every finite-horizon update, without cancellation.

``h_m(x_1 .. x_n)`` is the sum of all products of degree m of its nodes; ``sum_m h_m t^m = prod_i 1 / (1 - x_i t)``.
A further node 1 sums over degrees and a repeated node differentiates, so that one function gives

    1 + z + .. + z^(T-1)                        h_{T-1}(1, z)
    sum_{j+k < T} y^j z^k                       h_{T-1}(1, y, z)
    means over t = 1 .. T of the above, x T     h_{T-1}(1, 1, z),  h_{T-1}(1, 1, y, z)
    d/dz h_m(x, z)                              h_{m-1}(x, z, z)

Nodes of one sign: separating even and odd degrees, ``prod 1/(1 - x t) = prod (1 + x t) / prod (1 - x^2 t^2)``, gives

    h_m(x) = sum_{j = m mod 2} e_j(x) h_{(m-j)/2}(x^2)         (e_j: elementary symmetric polynomials)

in log2 m levels that only multiply and add positive numbers. Mixed signs, y >= 0 > z: the average

    h_m(x, y, z) = (y h_m(x, y) + |z| h_m(x, z)) / (y + |z|)

takes out one node after the other. A node is kept as an unevaluated sum (high, low) of two numbers: its square is
taken log2 m times, and the product w w* that it often is must not be rounded where w w* -> 1.
"""

import numpy as np

from .compile import inlined

NODES = 5

_SPLITTER = 134217729.0  # 2^27 + 1 cuts a float64 into two halves whose products are exact


@inlined
def exact_product(x, y):
    """The product of two numbers as (high, low), exact (Dekker)."""
    product = x * y
    x_high = _SPLITTER * x - (_SPLITTER * x - x)
    y_high = _SPLITTER * y - (_SPLITTER * y - y)
    x_low, y_low = x - x_high, y - y_high
    return product, ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low


@inlined
def one_minus(high, low):
    """``1 - (high + low)``, exact to rounding also near 1."""
    return (1.0 - high) - low


@inlined
def _elementary(x, e):
    """Elementary symmetric polynomials e_0 .. e_NODES of the nodes ``x``, into ``e``."""
    e[:] = 0.0
    e[0] = 1.0
    for i in range(NODES):
        for j in range(i + 1, 0, -1):
            e[j] += x[i] * e[j - 1]


@inlined
def _one_sign(degree, high, low):
    """h_degree of nodes that are all >= 0; ``high`` and ``low`` are used up."""
    if degree < 0:
        return 0.0
    levels = 0
    while degree >> levels > 0:
        levels += 1
    elementary = np.zeros((levels, NODES + 1))
    for level in range(levels):
        _elementary(high, elementary[level])
        for i in range(NODES):
            square, rest = exact_product(high[i], high[i])
            rest += 2.0 * high[i] * low[i]
            high[i] = square + rest
            low[i] = rest - (high[i] - square)
    # window[i] = h_{m-i} of the current level's nodes; at the deepest level m = 0.
    window, upper = np.zeros(NODES), np.zeros(NODES)
    window[0] = 1.0
    for level in range(levels - 1, -1, -1):
        m = degree >> level
        e = elementary[level]
        for i in range(NODES):
            upper[i] = 0.0
            parity = (m - i) & 1
            for j in range(parity, NODES + 1, 2):
                place = (m >> 1) - ((m - i - j) >> 1)
                if place < NODES:
                    upper[i] += e[j] * window[place]
        window[:] = upper
    return window[0]


@inlined
def _prefix(degree, high, low, count):
    """h_degree of the moduli of the first ``count`` nodes, all of one sign."""
    x, rest = np.zeros(NODES), np.zeros(NODES)
    for i in range(count):
        sign = 1.0 if high[i] >= 0.0 else -1.0
        x[i], rest[i] = sign * high[i], sign * low[i]
    return _one_sign(degree, x, rest)


@inlined
def _decreasing(high, low):
    """Copies of the nodes, the largest first."""
    high, low = high.copy(), low.copy()
    for i in range(1, NODES):
        for j in range(i, 0, -1):
            if high[j] > high[j - 1]:
                high[j], high[j - 1] = high[j - 1], high[j]
                low[j], low[j - 1] = low[j - 1], low[j]
    return high, low


@inlined
def homogeneous(degree, high, low):
    """Complete homogeneous polynomial ``h_degree`` of up to five nodes, accurate to a few roundings.

    Parameters
    ----------
    degree : int
        h_0 = 1; 0 below.
    high, low : float64 array (node,)
        Node i is ``high[i] + low[i]``; nodes that are 0 change nothing.
    """
    if degree < 0:
        return 0.0
    high, low = _decreasing(high, low)
    positive = 0
    while positive < NODES and high[positive] > 0.0:
        positive += 1
    first = positive
    while first < NODES and high[first] == 0.0:
        first += 1
    negative = NODES - first
    if negative == 0:
        return _prefix(degree, high, low, positive)
    sign = -1.0 if degree & 1 else 1.0
    if positive == 0:
        return sign * _prefix(degree, high[first:], low[first:], negative)
    # table[j] = h of the first i positive and j negative nodes, row by row in i.
    table = np.zeros(NODES + 1)
    for j in range(1, negative + 1):
        table[j] = sign * _prefix(degree, high[first:], low[first:], j)
    for i in range(1, positive + 1):
        y = high[i - 1]
        table[0] = _prefix(degree, high, low, i)
        for j in range(1, negative + 1):
            z = -high[first + j - 1]
            if i == 1 and j == 1 and degree & 1:
                # (y^(m+1) - z^(m+1)) / (y + z) without the difference of two powers.
                pair, rest = np.array([y, z]), np.array([low[0], -low[first]])
                difference = (y - z) + (rest[0] - rest[1])
                table[1] = difference * _prefix(degree, pair, rest, 2) / (y + z)
            else:
                table[j] = (y * table[j - 1] + z * table[j]) / (y + z)
    return table[negative]
