"""Comparison of TensorFlow and Keras versions: accuracy and speed, measured in one tox environment per version."""
