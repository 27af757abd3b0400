"""Model inference, and nothing else."""
