"""Real servers behind the one door: a registry with every kind of login, a file mirror, a proxy, and sick ones.

All are processes or threads of this machine, on loopback ports that were free, and end with the test that started them.
"""
