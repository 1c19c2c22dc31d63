"""The pages of a results folder over HTTP, with the progress of unfinished runs."""
