"""Chat surfaces. ``base`` is their vocabulary and stands below the turn; each other module is one platform, above it."""
