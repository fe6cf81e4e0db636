"""What several tests share: a scripted API on loopback."""
