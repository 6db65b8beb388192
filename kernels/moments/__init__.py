"""Second moments of sampled updates: exact variances by entry and along directions."""
