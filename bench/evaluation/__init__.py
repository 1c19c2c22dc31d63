"""Statistics on arrays of predictions: metrics, intervals and tests, calibration, power, hyperparameter importance."""
