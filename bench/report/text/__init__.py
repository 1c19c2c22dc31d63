"""Numbers, hyperparameters and test results as text."""
