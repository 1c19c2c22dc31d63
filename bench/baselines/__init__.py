"""Reference models, which are not searched: published tutorials by their own recipes, and scikit-learn classifiers."""
