"""Tables as data frames of text."""
