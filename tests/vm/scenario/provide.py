"""What a node has before Provost comes: PVE, by a simulated cluster at PVE's own places, with a pveum and an /etc/pve; and
the accounts of two people."""

import os

from node import CLUSTER, PMXCFS, sh, until, write

# Under SELinux /etc/pve is a file system of its own, with one label, and there again after a boot.
IMAGE, TREE = f"{CLUSTER}/etc-pve.img", f"{CLUSTER}/etc-pve"
# Mounted as pmxcfs does it, in the domain of a service: that of `mount` may not mount on a file of /etc.
MOUNTS = "/usr/local/sbin/mounts" if PMXCFS else "mount"
MOUNT = f"mountpoint -q {TREE} || {MOUNTS} -o loop,{PMXCFS.rstrip(',')} {IMAGE} {TREE}" if PMXCFS else ":"
UNIT = f"""
[Unit]
Description=a simulated cluster in the place of PVE's daemons

[Service]
ExecStartPre=/bin/sh -c '{MOUNT}'
ExecStartPre=/bin/sh -c 'mountpoint -q /etc/pve || {MOUNTS} --bind {TREE} /etc/pve'
ExecStart=/usr/local/sbin/provost-sim demo --dir {CLUSTER} --keep --guests 40 --container 101 --listen 127.0.0.1:8006 --daemon 127.0.0.1:85
StandardOutput=null
# As pmxcfs shows its files.
Group=www-data
UMask=0027

[Install]
WantedBy=multi-user.target
# What brings /etc/pve at a boot, for whom that comes after it.
Alias=pve-cluster.service
"""
APIDOC = "/usr/share/pve-docs/api-viewer/apidoc.js"

sh("echo pve1 >/etc/hostname; hostname pve1; getent group www-data >/dev/null || groupadd --system www-data")
for name in ("alice", "bob"):
    sh(f"getent passwd {name} >/dev/null || useradd --create-home --shell /bin/sh {name}")
for folder in (TREE, "/etc/pve", os.path.dirname(APIDOC)):
    os.makedirs(folder, exist_ok=True)
if PMXCFS and not os.path.exists(IMAGE):
    sh(f"install /usr/bin/mount {MOUNTS}; chcon -t bin_t {MOUNTS}")
    sh(f"truncate -s 64M {IMAGE}; mkfs.ext4 -q {IMAGE}; {MOUNT}; rmdir {TREE}/lost+found")
sh(f"chgrp www-data {TREE}; chmod 2750 {TREE}")
# By which Provost knows what the host is.
write("/usr/bin/pveproxy", "#!/bin/sh\n")
write("/etc/pveum-stand-in", f"daemon = http://127.0.0.1:85\ntoken = {CLUSTER}/pve-token\ncalls = {CLUSTER}/calls\n")
write("/etc/systemd/system/provost-sim.service", UNIT)
sh("systemctl daemon-reload; systemctl enable --now provost-sim.service")
until("the simulated cluster", lambda: sh("pveum user list --output-format json 2>/dev/null", check=False))
sh(f"cp {CLUSTER}/apidoc.js {APIDOC}; chmod 644 {APIDOC}")
print("ok   a cluster of 40 guests, its pveum and its /etc/pve")
