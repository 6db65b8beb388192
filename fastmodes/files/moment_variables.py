"""Names of the variables of second moments, beside those of :mod:`fastmodes.files.schema`."""

#: name: (long_name, units)
MOMENTS = {
    "student": ("student network", "1"),
    "direction": ("direction in the space of weights", "1"),
    "mean_readout": ("mean of Delta A", "1"),
    "mean_recurrent": ("mean of Delta W", "1"),
    "mean_input": ("mean of Delta B", "1"),
    "variance_readout": ("variance of each entry of Delta A", "1"),
    "variance_recurrent": ("variance of each entry of Delta W", "1"),
    "variance_input": ("variance of each entry of Delta B", "1"),
    "matrix_variance": ("sum of the variances of a matrix's entries", "1"),
    "total_variance": ("trace of the update's covariance", "1"),
    "mean_along": ("mean of the update along a direction", "1"),
    "variance_along": ("variance of the update along a direction", "1"),
    "signal_to_noise": ("squared norm of the mean over the trace of the covariance", "1"),
    "critical_batch_size": ("batch size at which signal to noise is one", "1"),
    "expected_cosine": ("cosine with the exact gradient, as a ratio of moments", "1"),
    "loss_slope": ("inner product of the exact gradient with the mean update", "1"),
    "loss_curvature": ("expected curvature of the loss along the update", "1"),
    "loss_after_step": ("expected loss after one sampled step, to second order in the learning rate", "1"),
    "mean_w": ("mean of Delta w", "1"),
    "mean_a": ("mean of Delta a", "1"),
    "mean_b": ("mean of Delta b", "1"),
    "variance_w": ("variance of Delta w", "1"),
    "variance_a": ("variance of Delta a", "1"),
    "variance_b": ("variance of Delta b", "1"),
}
