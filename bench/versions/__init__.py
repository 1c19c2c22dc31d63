"""TensorFlow and Keras versions compared: accuracy and speed, measured in one tox environment per version."""
