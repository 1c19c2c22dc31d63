"""Where Keras runs: fit and predict."""
