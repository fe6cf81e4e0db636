"""What this run loads, and whether a failure is tried again."""
