"""Do synthetic records look like real ones? What they differ in, and how easily a classifier tells them."""
