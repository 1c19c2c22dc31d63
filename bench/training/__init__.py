"""Everything that runs Keras models: training trials, refitting winners, predicting the test set."""
