"""Actions that an agent may take."""
