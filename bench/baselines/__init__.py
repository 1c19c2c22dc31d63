"""Reference models, trained without a search: published tutorials and scikit-learn classifiers."""
