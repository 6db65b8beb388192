"""Training of students under every rule: settings, runs, results, and what is read off the weights."""
