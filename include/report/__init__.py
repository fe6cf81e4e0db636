"""What a load did, told to others: history, assets."""
