"""What runs inside the stand-in images beside the pipeline API; standard library and PyMySQL only."""
