"""What the tests on a real server share: run Python there, run playbooks against it, compare what it was and is."""
