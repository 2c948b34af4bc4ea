"""Makes of the booted node one that Provost runs on: its account, a simulated PVE, the units."""

import os

from node import CLUSTER, sh, until

UNIT = f"""
[Unit]
Description=a simulated cluster in the place of PVE's daemons

[Service]
ExecStart=/usr/bin/provost demo --dir {CLUSTER} --guests 40 --container 101 --listen 127.0.0.1:8006 --daemon 127.0.0.1:85
StandardOutput=truncate:{CLUSTER}.out
Group=provost
UMask=0027

[Install]
WantedBy=multi-user.target
"""

sh("getent passwd provost >/dev/null || useradd --system --user-group --home-dir /var/lib/provost --shell /usr/sbin/nologin provost")
sh("getent group www-data >/dev/null || groupadd --system www-data")
sh("getent group provost-approvers >/dev/null || groupadd --system provost-approvers")
os.makedirs("/etc/provost", exist_ok=True)
os.makedirs(CLUSTER, exist_ok=True)
with open("/etc/systemd/system/provost-sim.service", "w") as file:
    file.write(UNIT)
sh(f"chown root:provost {CLUSTER}; chmod 2750 {CLUSTER}; systemctl daemon-reload; systemctl enable --now provost-sim.service")


def told():
    with open(f"{CLUSTER}.out") as file:
        text = file.read()
    return text if "# Faults" in text else None


text = until("the simulated cluster", told)
with open(f"{CLUSTER}/pve.toml", "w") as file:
    file.write("".join(f"{line}\n" for line in text.splitlines() if not line.startswith("#")))
sh(f"chgrp -R provost {CLUSTER}; chmod -R g+rX {CLUSTER}")
