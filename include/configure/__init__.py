"""What somebody has set, as typed values: connections, options, the environment."""
