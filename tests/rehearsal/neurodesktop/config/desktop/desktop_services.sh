#!/bin/bash
# Starts the desktop's servers, on every address as Neurodesktop's do, unless they run already.

listens() { ss -Htln "sport = :$1" | grep -q .; }

start() {
    listens "$1" || sudo setsid /usr/bin/python3 /opt/neurodesktop/listener.py "$1" < /dev/null > /dev/null 2>&1 &
}

start 8080  # Tomcat with Guacamole
start 3389  # xrdp
start 5901  # VNC

if ! listens 2222; then
    sudo mkdir -p /run/sshd
    sudo /usr/sbin/sshd -f /opt/neurodesktop/sshd_config
fi
exit 0
