"""Named identities, and what of the past goes into their prompts."""
