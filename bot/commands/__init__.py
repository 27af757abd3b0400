"""What a person can tell CarPool to do: the same on each platform, one file a group, one table."""
