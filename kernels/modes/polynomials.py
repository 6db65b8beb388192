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

from ..compile import inlined, kernel

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
def _elementary(x, table, level):
    """Elementary symmetric polynomials e_0 .. e_NODES of the nodes ``x``, into a row of ``table``."""
    for j in range(NODES + 1):
        table[level, j] = 0.0
    table[level, 0] = 1.0
    for i in range(NODES):
        for j in range(i + 1, 0, -1):
            table[level, j] += x[i] * table[level, j - 1]


@inlined
def _one_sign(degree, high, low):
    """h_degree of nodes that are all >= 0; ``high`` and ``low`` are used up."""
    if degree < 0:
        return 0.0
    levels = 0
    while degree >> levels > 0:
        levels += 1
    elementary = np.empty((levels, NODES + 1))
    for level in range(levels):
        _elementary(high, elementary, level)
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
        for i in range(NODES):
            upper[i] = 0.0
            for j in range((m - i) & 1, NODES + 1, 2):
                place = (m >> 1) - ((m - i - j) >> 1)
                if place < NODES:
                    upper[i] += elementary[level, j] * window[place]
        window, upper = upper, window
    return window[0]


@inlined
def _of_moduli(degree, high, low, first, count):
    """h_degree of the moduli of ``count`` nodes of one sign, beginning with node ``first``."""
    x, rest = np.zeros(NODES), np.zeros(NODES)
    for i in range(count):
        sign = 1.0 if high[first + i] >= 0.0 else -1.0
        x[i], rest[i] = sign * high[first + i], sign * low[first + i]
    return _one_sign(degree, x, rest)


@inlined
def _decreasing(high, low):
    """Copies of the nodes, the largest first."""
    x, rest = np.empty(NODES), np.empty(NODES)
    for i in range(NODES):
        x[i], rest[i] = high[i], low[i]
    for i in range(1, NODES):
        for j in range(i, 0, -1):
            if x[j] > x[j - 1]:
                x[j], x[j - 1] = x[j - 1], x[j]
                rest[j], rest[j - 1] = rest[j - 1], rest[j]
    return x, rest


@kernel
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
        return _of_moduli(degree, high, low, 0, positive)
    sign = -1.0 if degree & 1 else 1.0
    if positive == 0:
        return sign * _of_moduli(degree, high, low, first, negative)
    # table[j] = h of the first i positive and j negative nodes, row by row in i.
    table = np.zeros(NODES + 1)
    for j in range(1, negative + 1):
        table[j] = sign * _of_moduli(degree, high, low, first, j)
    for i in range(1, positive + 1):
        y = high[i - 1]
        table[0] = _of_moduli(degree, high, low, 0, i)
        for j in range(1, negative + 1):
            z = -high[first + j - 1]
            if i == 1 and j == 1 and degree & 1:
                # (y^(m+1) - z^(m+1)) / (y + z) without the difference of two powers.
                pair, rest = np.zeros(NODES), np.zeros(NODES)
                pair[0], pair[1], rest[0], rest[1] = y, z, low[0], -low[first]
                difference = (y - z) + (rest[0] - rest[1])
                table[1] = difference * _one_sign(degree, pair, rest) / (y + z)
            else:
                table[j] = (y * table[j - 1] + z * table[j]) / (y + z)
    return table[negative]
