"""Models as plain Keras code that needs nothing of this package."""
