"""Money from outside: how people pay, and how it comes into the book."""
