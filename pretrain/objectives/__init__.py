"""What a model learns without labels, or with whatever labels there are: one file an objective."""
