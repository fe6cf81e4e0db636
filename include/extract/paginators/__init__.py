"""The ways in which APIs page, one small module each."""
