"""The parallel driver and the linear algebra libraries beside it."""

import threading

import scipy.linalg.cython_blas  # noqa: F401
import threadpoolctl

from fastmodes.parallel import run_blocks


def threads_of_linear_algebra():
    return {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"}


def test_calls_side_by_side_hold_linear_algebra_to_one_thread_until_the_last_ends():
    seen, both, first_over = [], threading.Barrier(2), threading.Event()

    def first(_):
        both.wait(10)
        seen.append(threads_of_linear_algebra())

    def second(_):
        both.wait(10)
        assert first_over.wait(10)
        seen.append(threads_of_linear_algebra())

    with threadpoolctl.threadpool_limits(2, "blas"):
        before = threads_of_linear_algebra()
        other = threading.Thread(target=run_blocks, args=(second, [0], 1))
        other.start()
        run_blocks(first, [0], 1)
        first_over.set()
        other.join()
        assert threads_of_linear_algebra() == before
    assert seen == [{1}, {1}]
