"""The same trainings in PyTorch, as a user of PyTorch writes them: a loop over time, autograd, one seed at a time."""

import torch


def tensors(arrays, requires_grad=False):
    """float64 tensors of NumPy arrays."""
    return [torch.tensor(array, dtype=torch.float64, requires_grad=requires_grad) for array in arrays]


def final_outputs(network, inputs):
    """y_T (sample, output) for inputs (time, sample, input)."""
    a, w, b = network
    h = torch.zeros(inputs.shape[1], len(w), dtype=torch.float64)
    for driven in inputs @ b.T:
        h = h @ w.T + driven
    return h @ a.T


def impulse_response(network, steps):
    """A W^k B for k = 0 .. steps-1: (time, output, input)."""
    a, w, b = network
    responses = []
    for _ in range(steps):
        responses.append(a @ b)
        b = w @ b
    return torch.stack(responses)


def expected_loss(student, target):
    """``1/2 sum_k ||A W^k B - A* W*^k B*||^2``."""
    return 0.5 * torch.sum((impulse_response(student, len(target)) - target) ** 2)


def sampled_loss(student, teacher, inputs):
    """``1/2 ||y_T - y*_T||^2``, mean over the batch."""
    with torch.no_grad():
        wanted = final_outputs(teacher, inputs)
    return 0.5 * torch.mean(torch.sum((final_outputs(student, inputs) - wanted) ** 2, dim=1))


def expected_update(student, teacher, steps):
    """Loss and gradient of one network."""
    student = tensors(student, requires_grad=True)
    loss = expected_loss(student, impulse_response(tensors(teacher), steps))
    loss.backward()
    return loss.item(), [weight.grad.numpy() for weight in student]


def sampled_update(student, teacher, inputs):
    """Loss and gradient of one network on inputs (sample, time, input)."""
    student = tensors(student, requires_grad=True)
    loss = sampled_loss(student, tensors(teacher), torch.tensor(inputs).swapaxes(0, 1))
    loss.backward()
    return loss.item(), [weight.grad.numpy() for weight in student]


def sampled_training(students, teacher, steps, batch_size, learning_rate, threads=1):
    """Training on sampled inputs, drawn anew for every update and seed.

    Parameters
    ----------
    students : tuple of array
        A, W, B of every seed, the seed first; trained one after the other.
    teacher : tuple of array
    threads : int
        PyTorch's intra-op threads.

    Returns
    -------
    callable
        ``run(updates)`` trains every seed from its start and returns the expected losses at the end (seed,).
    """
    teacher = tensors(teacher)
    target, n_in = impulse_response(teacher, steps), teacher[2].shape[1]

    def run(updates):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        losses = []
        for start in zip(*students, strict=True):
            student = tensors(start, requires_grad=True)
            optimizer = torch.optim.SGD(student, lr=learning_rate)
            for _ in range(updates):
                inputs = torch.randn(steps, batch_size, n_in, dtype=torch.float64)
                optimizer.zero_grad()
                sampled_loss(student, teacher, inputs).backward()
                optimizer.step()
            with torch.no_grad():
                losses.append(expected_loss(student, target).item())
        return losses

    return run
