"""Versions of TensorFlow and Keras, one interpreter each: found, measured, kept."""
