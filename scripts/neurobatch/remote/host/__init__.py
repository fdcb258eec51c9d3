"""What the program `host_probe` reads, by topic."""
