"""Small things that examples and task files share."""
