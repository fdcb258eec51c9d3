#!/bin/bash
# Runs whenever Jupyter reads its settings: fills an empty home, makes keys, starts the desktop's servers.

if [ ! -f "/home/${NB_USER}/conda-readme.md" ]; then
    sudo mkdir -p "/home/${NB_USER}"
    sudo cp -rpn "/tmp/${NB_USER}/." "/home/${NB_USER}/"
    sudo chown -R "${NB_UID}:${NB_GID}" "/home/${NB_USER}"
fi

mkdir -p "/home/${NB_USER}/.ssh"
chmod 700 "/home/${NB_USER}/.ssh"
if [ ! -f "/home/${NB_USER}/.ssh/id_ed25519" ]; then
    ssh-keygen -q -t ed25519 -N '' -f "/home/${NB_USER}/.ssh/id_ed25519"
    cat "/home/${NB_USER}/.ssh/id_ed25519.pub" >> "/home/${NB_USER}/.ssh/authorized_keys"
fi
if [ ! -f "/home/${NB_USER}/.ssh/ssh_host_ed25519_key" ]; then
    ssh-keygen -q -t ed25519 -N '' -f "/home/${NB_USER}/.ssh/ssh_host_ed25519_key"
fi

if mountpoint -q /neurodesktop-storage && [ ! -e "/home/${NB_USER}/neurodesktop-storage" ]; then
    ln -s /neurodesktop-storage "/home/${NB_USER}/neurodesktop-storage"
fi

/opt/neurodesktop/desktop_services.sh
