"""The same trainings in JAX, as a user of JAX writes them: autodiff through ``lax.scan``, ``jit(vmap)`` over seeds.

All updates of a call run inside one compiled loop, in float64. ``devices=2`` shards the seeds over two CPU devices of
one process, since ``vmap`` alone leaves most of a small network's work on one core.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", 2)


def spread(tree, devices):
    """Put the seeds, the leading axis of every array, on the first ``devices`` CPU devices."""
    mesh = Mesh(np.array(jax.devices()[:devices]), ("seed",))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec("seed")))


def descend(weights, slopes, learning_rate):
    """One step of gradient descent."""
    return jax.tree.map(lambda weight, slope: weight - learning_rate * slope, weights, slopes)


def impulse_response(network, steps):
    """A W^k B for k = 0 .. steps-1: (time, output, input)."""
    a, w, b = network
    _, carried = lax.scan(lambda v, _: (w @ v, v), b, length=steps)
    return jnp.einsum("oh,thi->toi", a, carried)


def expected_loss(student, target):
    """``1/2 sum_k ||A W^k B - A* W*^k B*||^2``, the expected final loss under white input."""
    return 0.5 * jnp.sum((impulse_response(student, len(target)) - target) ** 2)


def final_outputs(network, inputs):
    """y_T (sample, output) for inputs (time, sample, input)."""
    a, w, b = network
    start = jnp.zeros((inputs.shape[1], len(w)))
    h, _ = lax.scan(lambda h, x: (h @ w.T + x @ b.T, None), start, inputs)
    return h @ a.T


def sampled_loss(student, teacher, inputs):
    """``1/2 ||y_T - y*_T||^2``, mean over the batch."""
    errors = final_outputs(student, inputs) - final_outputs(teacher, inputs)
    return 0.5 * jnp.mean(jnp.sum(errors**2, axis=1))


def expected_update(student, teacher, steps):
    """Loss and gradient of one network."""
    target = impulse_response(teacher, steps)
    return jax.value_and_grad(expected_loss)(tuple(map(jnp.asarray, student)), target)


def sampled_update(student, teacher, inputs):
    """Loss and gradient of one network on inputs (sample, time, input)."""
    inputs = jnp.swapaxes(jnp.asarray(inputs), 0, 1)
    return jax.value_and_grad(sampled_loss)(tuple(map(jnp.asarray, student)), tuple(map(jnp.asarray, teacher)), inputs)


def expected_training(students, teacher, steps, learning_rate, devices=1):
    """Training by expected updates.

    Parameters
    ----------
    students : tuple of array
        A, W, B of every seed, the seed first.
    teacher : tuple of array

    Returns
    -------
    callable
        ``run(updates)`` trains every seed from its start and returns the expected losses at the end (seed,).
    """
    target = impulse_response(teacher, steps)

    def train(student, updates):
        trained = lax.fori_loop(
            0, updates, lambda _, now: descend(now, jax.grad(expected_loss)(now, target), learning_rate), student
        )
        return expected_loss(trained, target)

    every = jax.jit(jax.vmap(train, in_axes=(0, None)))
    students = spread(tuple(map(jnp.asarray, students)), devices)
    return lambda updates: np.asarray(every(students, updates))


def sampled_training(students, teacher, steps, batch_size, learning_rate, devices=1):
    """Training on sampled inputs, drawn anew for every update and seed.

    Returns
    -------
    callable
        ``run(updates)`` trains every seed from its start and returns the expected losses at the end (seed,).
    """
    teacher = tuple(map(jnp.asarray, teacher))
    target, n_in = impulse_response(teacher, steps), teacher[2].shape[1]

    def train(student, key, updates):
        def update(epoch, now):
            inputs = jax.random.normal(jax.random.fold_in(key, epoch), (steps, batch_size, n_in))
            return descend(now, jax.grad(sampled_loss)(now, teacher, inputs), learning_rate)

        return expected_loss(lax.fori_loop(0, updates, update, student), target)

    every = jax.jit(jax.vmap(train, in_axes=(0, 0, None)))
    students = tuple(map(jnp.asarray, students))
    students, keys = spread((students, jax.random.split(jax.random.key(0), len(students[0]))), devices)
    return lambda updates: np.asarray(every(students, keys, updates))
