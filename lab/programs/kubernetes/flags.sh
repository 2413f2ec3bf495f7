# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
version_of=k8s.io/kubernetes
# Without them a kubelet reports v0.0.0, and tools that ask for a minimal version refuse it.
for variables in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    link_flags+=" -X $variables.gitVersion={version} -X $variables.gitTreeState=clean"
    link_flags+=" -X $variables.gitMajor={major} -X $variables.gitMinor={minor}"
done
