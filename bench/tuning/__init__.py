"""The search: which candidate is trained next, and what follows from its result."""
