"""What the programs that look into the cluster share."""
