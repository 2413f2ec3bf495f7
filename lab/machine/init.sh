#!/bin/busybox sh
# First program of a virtual machine: finds its disk, puts the node's configuration on it, and goes
# there. What it is told stands in its environment, as the kernel hands on its command line.
set -e
PATH=/bin
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/$module.ko"
done </modules
mount -t ext4 /dev/vda /disk
mount -t ext4 -o ro /dev/vdb /configuration
cp -a /configuration/. /disk/
umount /configuration /dev
exec switch_root /disk /usr/local/lib/cnibench/machine-run.sh
