"""Second moments by quadratic forms: every entry of a sampled update as a matrix, from pairs of impulses."""

import naive
import numpy as np


def flat_update(kind, decay, horizon, f, network, teacher, x, loss, noise=None):
    """Sampled update of one sequence as a vector, the targets moved by ``noise`` (steps, n_out) at times 1 .. steps."""
    a, w, b = network
    p = naive.propagator_matrix(kind, decay, w)
    steps = len(x)
    h, g = [np.zeros(len(w))], [np.zeros(len(teacher[1]))]
    for t in range(steps):
        h.append(w @ h[t] + b @ x[t])
        g.append(teacher[1] @ g[t] + teacher[2] @ x[t])
    da, dw, db = np.zeros_like(a), np.zeros_like(w), np.zeros_like(b)
    times = [steps] if loss == "final" else range(1, steps + 1)
    for t in times:
        error = a @ h[t] - teacher[0] @ g[t] - (0 if noise is None else noise[t - 1])
        da += np.outer(error, h[t])
        credit = f.T @ error
        for j in range(min(horizon or steps, t)):
            dw += np.outer(credit, h[t - 1 - j])
            db += np.outer(credit, x[t - 1 - j])
            credit = p.T @ credit
    return np.concatenate([da.ravel(), dw.ravel(), db.ravel()]) / len(times)


def quadratic_forms(update, size):
    """Q (entry, size, size), symmetric, with update(z) = z^T Q z."""
    eye = np.eye(size)
    single = [update(e) for e in eye]
    q = np.zeros((len(single[0]), size, size))
    for i in range(size):
        q[:, i, i] = single[i]
        for k in range(i):
            q[:, i, k] = q[:, k, i] = (update(eye[i] + eye[k]) - single[i] - single[k]) / 2
    return q


def moments(kind, decay, horizon, f, network, teacher, steps, loss, root, sigma):
    """Mean and covariance of the flattened update; ``root`` of the input covariance, ``sigma`` of the target noise."""
    n_in, n_out = network[2].shape[1], len(network[0])
    inputs = steps * n_in

    def update(z):
        x = z[:inputs].reshape(steps, n_in) @ root.T
        noise = sigma * z[inputs:].reshape(steps, n_out)
        return flat_update(kind, decay, horizon, f, network, teacher, x, loss, noise)

    q = quadratic_forms(update, inputs + (steps * n_out if sigma else 0)) if sigma else quadratic_forms(
        lambda z: flat_update(
            kind, decay, horizon, f, network, teacher, z.reshape(steps, n_in) @ root.T, loss
        ), inputs
    )  # fmt: skip
    return np.einsum("eii->e", q), 2 * np.einsum("eik,fik->ef", q, q)
