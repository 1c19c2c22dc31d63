"""Reference models: published tutorials with their own recipes, and scikit-learn classifiers."""
