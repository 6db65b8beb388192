"""Names of what :func:`fastmodes.analysis.identify` and ``identifiability`` find; a part of the schema."""

IDENTIFICATION = {
    "hypothesis": ("rule that may have made the change", "1"),
    "posterior": ("probability of the rule", "1"),
    "log_evidence": ("log marginal likelihood of the change", "1"),
    "squares_left": ("squares left per degree of freedom", "1"),
    "explained_share": ("share of the squared change that the mean update explains", "1"),
    "learning_rate_estimate": ("estimated learning rate", "1"),
    "learning_rate_error": ("standard deviation of the estimated learning rate", "1"),
    "decay_estimate": ("estimated decay w_hat", "1"),
    "decay_error": ("standard deviation of the estimated decay", "1"),
    "share_in_rows": ("share of the changes of W and B in the row space of the estimated R", "1"),
    "likeliest": ("likeliest rule", "1"),
    "snapshot": ("snapshots seen", "1"),
    "expected_log_odds": ("expected log odds for the true rule", "1"),
    "misnamed_probability": ("probability of naming the other rule", "1"),
    "snapshots_needed": ("snapshots after which the wrong rule is named once in a hundred times", "1"),
    "verdict": ("what the identification says", "1"),
    "feedback_estimate": ("estimated feedback matrix R", "1"),
}
