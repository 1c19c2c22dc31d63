"""Searches with a Keras Tuner tuner of the user's own: parallel, resumable, and with Keras Tuner's own results."""
