"""A benchmark suite that compares families of Keras models, found by Keras Tuner."""
