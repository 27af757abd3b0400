"""External services: storage, tools and, when it comes, payments."""
