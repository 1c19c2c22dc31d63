"""Reference models, trained without a search: published tutorials, and baselines (scikit-learn classifiers)."""
