"""The paper's experiments and claims, judged by their numbers, in one report."""
