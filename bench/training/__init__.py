"""Where Keras runs: training candidates, refitting winners, and predicting the test set."""
