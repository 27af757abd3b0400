"""The conversational front end, and what it orchestrates."""
