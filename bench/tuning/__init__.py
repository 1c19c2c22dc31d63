"""The search: who proposes the next candidate, and what happens with its result."""
