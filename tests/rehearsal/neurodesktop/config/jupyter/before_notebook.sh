# Runs at every start of the container, when the user has its final numbers.

# A user made anew has no password, so this sets the default one again
printf '%s\n%s\n' 'password' 'password' | passwd "${NB_USER}"
usermod --shell /bin/bash "${NB_USER}"

if [ -z "$CVMFS_DISABLE" ] && [ ! -d /cvmfs/neurodesk.ardc.edu.au/neurodesk-modules ]; then
    echo "CVMFS directory not there; this stand-in has no CVMFS client"
fi
