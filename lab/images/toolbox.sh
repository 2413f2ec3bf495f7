# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
# Traffic pods and node agents: the tool box as it is.
references=(docker.io/cnibench/toolbox:lab)

fill() {
    :
}
