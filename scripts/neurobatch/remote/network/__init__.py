"""What the server can reach: files and images, asked for as the installation will ask. Entry: `probe.answers`."""
