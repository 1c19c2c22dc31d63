"""Trials of a user's own Keras Tuner tuner, in a worker."""
