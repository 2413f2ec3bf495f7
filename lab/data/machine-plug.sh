#!/bin/sh
# machine-plug.sh TAP: called by qemu, inside the switch's network namespace, with the device that it
# has made there and that goes with it.
exec ip link set "$1" master wire up
