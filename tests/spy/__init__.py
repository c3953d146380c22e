"""Put this folder on PYTHONPATH, and every Python process refuses to leave the machine."""
