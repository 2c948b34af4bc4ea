"""The SELinux module as an operator installs it on a node that enforces, and then whose label each thing has."""

import glob
import os

from node import LEDGER, Client, configure, holds, label_of, label_of_file, read, role, sh, show, start, stop

SHIPPED = "/usr/share/selinux/packages/provost"
OURS = "system_u:system_r:{}:s0"
FILES = {
    "/etc/provost/provost.toml": "provost_conf_t",
    "/run/provost": "provost_runtime_t",
    "/run/provost/mcp.sock": "provost_runtime_t",
    "/run/provost/mcp.control.sock": "provost_runtime_t",
    "/run/provost/exec.sock": "provost_exec_runtime_t",
    "/usr/sbin/provostd": "provostd_exec_t",
    "/usr/sbin/provost-execd": "provost_execd_exec_t",
    "/usr/lib/systemd/system/provost.service": "provost_unit_t",
    "/var/lib/provost": "provost_var_lib_t",
    LEDGER: "provost_ledger_t",
}


def install():
    """What README.md beside the module says."""
    sh(f"semodule -i {SHIPPED}/provost.pp {SHIPPED}/lxc.cil")
    stop()
    sh("systemctl stop lxc-monitord.service guest@101.service guest@102.service; rm -rf /run/lxc", check=False)
    sh("restorecon -RF /usr/sbin/provost* /usr/lib/systemd/system /etc/provost /var/lib/provost* /run/provost "
       "/usr/bin/lxc-start /usr/libexec/lxc /usr/lib/x86_64-linux-gnu/lxc")
    sh("systemctl daemon-reload; dmesg -C; systemctl start lxc-monitord.service guest@101.service")


def main():
    holds("the node enforces", read("/sys/fs/selinux/enforce") == "1" and "selinux" in read("/sys/kernel/security/lsm"))
    held = show("MainPID")
    holds("before the module is installed the daemon has no domain of its own", label_of(held) == OURS.format("initrc_t"), label_of(held))
    install()
    listed = sh("semodule -l").split()
    holds("the module is installed, and no domain of anybody's is permissive", "provost" in listed and not [
        name for name in listed if name.startswith("permissive_")], listed)

    configure(role("full"))
    start("provost-execd.socket")
    client = Client().begin()
    client.exec(101, "true")
    daemon = show("MainPID")
    reader = sh(f"pgrep -P {daemon} -f -- --reader").strip()
    for what, pid, label in (
        ("provostd", daemon, OURS.format("provostd_t")),
        ("its reader", reader, OURS.format("provost_reader_t")),
        ("provost-execd, which reaches containers of every category,", show("MainPID", "provost-execd.service"),
         OURS.format("provost_execd_t") + "-s0:c0.c1023"),
    ):
        holds(f"{what} runs as {label}", label_of(pid) == label, label_of(pid))
    entries = glob.glob(f"{LEDGER}/*")
    for path, kind in [*FILES.items(), *((path, "provost_ledger_t") for path in entries)]:
        seen = label_of_file(path).split(":")[2]
        holds(f"{path} is {kind}", seen == kind, seen)
    holds("the ledger has receipts in it", any(os.path.basename(path).startswith("entries-") for path in entries), entries)


if __name__ == "__main__":
    main()
