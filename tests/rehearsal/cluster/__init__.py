"""The rehearsal's Kubernetes: what the stand-in for Minikube and its node are made of.

Nothing of it comes from a container registry or a release page: the programs are built from Debian 12's source
package, the node is made from Debian 12 packages, kubectl is Debian 13's and helm is a Python package.
"""
