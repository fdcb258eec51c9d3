"""The rehearsal: a throwaway server on this machine, and a stand-in for everything it downloads.

``python -m tests.rehearsal up`` starts three containers on one bridge: ``server`` (a bare Debian 12 with
systemd and sshd, what a laboratory would hand over), ``mirror`` (what an air-gapped site's mirror would
be) and ``stranger`` (somebody else on the same network). Nothing in the roles knows of it: the server is
reached over SSH and the mirror is named by the same variables that a closed network uses.
"""
