"""Names of what compares rules: their updates with the exact gradient, their values and the changes that they make."""

#: name: (long_name, units)
COMPARED = {
    "gradient_bias": ("norm of update minus exact gradient, over the gradient's", "1"),
    "gradient_norm": ("norm of the exact gradient", "1"),
    "update_norm": ("norm of the expected update", "1"),
    "matrix_gradient_cosine": ("cosine between the update and the exact gradient, of A, W and B apart", "1"),
    "level": ("level at which rules are compared", "1"),
    "value": ("value at the level", "1"),
    "passage_epoch": ("epoch at which a run comes to the level", "1"),
    "passage_status": ("whether a run comes to the level", "1"),
    "runs_used": ("runs that have come to the level", "1"),
    "median_value": ("median over seeds", "1"),
    "median_low": ("lower end of the interval of the median", "1"),
    "median_high": ("upper end of the interval of the median", "1"),
    "pairs_used": ("seeds with both rules at the level", "1"),
    "median_difference": ("median of the differences rule - other_rule", "1"),
    "difference_low": ("lower end of the interval of the median difference", "1"),
    "difference_high": ("upper end of the interval of the median difference", "1"),
    "p_value": ("p of no difference, by flips of signs", "1"),
    "p_value_holm": ("p of no difference, corrected for all pairs of rules", "1"),
    "quality_status": ("whether update and gradient can be compared", "1"),
}
