"""Sentences, titles, glossary, signatures and commands: text of pages and of the terminal."""
