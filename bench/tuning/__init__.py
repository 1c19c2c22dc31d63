"""Hyperparameter search: tuners, and the loop that proposes trials and processes their results."""
