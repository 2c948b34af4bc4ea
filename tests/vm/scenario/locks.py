"""A node whose kernel was started without Landlock and without AppArmor: it is installed and set up as any other, serves, and says
which doors are closed for it."""

import os

from node import ROLE, Client, configure, doctor, holds, read, run, sh, start

modules = read("/sys/kernel/security/lsm")
holds(f"the kernel has neither: {modules.strip()}", "landlock" not in modules and "apparmor" not in modules)
apt = run("apt-get", "install", "--yes", "-q", "/root/provost.deb", env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
holds("apt installs it all the same", apt.returncode == 0, apt)
done = run("provost", "setup", "--yes", "--profile", "provision", "--member", "user:root", "--containers", "101")
holds("setup sets it up", done.returncode == 0, done)
configure(ROLE)
start("provost-execd.socket")

client = Client().begin()
status = client.call("status")
walls = status["sandbox"]
holds("status says that there is no Landlock, and what follows from it", walls["abi"] is None and walls["profile"] is None and
      any(line.startswith("files:") and "lsm=" in line for line in walls["missing"]), walls)
holds("the filter of calls and the rest stand", walls["seccomp"] and walls["no_new_privs"] and walls["capabilities"] == "none", walls)
holds("it reads", "data" in client.call("read", path="/nodes/pve1/lxc"))

code, checks = doctor()
for name, state, *words in (
    ("sandbox", "bad", "no Landlock", "lsm="), ("inspect", "bad", "inspect_floor", "lsm="),
    ("kernel", "look", "without landlock", "without AppArmor", "lsm="), ("confined", "skipped", "neither AppArmor nor SELinux"),
):
    said = [" ".join([check["evidence"], check.get("mend", "")]) for check in checks if check["check"] == name and check["state"] == state]
    holds(f"doctor: {name} is {state}", said and all(word in said[0] for word in words), checks)
    print(f"     {said[0]}")
others = [check for check in checks if check["state"] == "bad" and check["check"] not in ("sandbox", "inspect")]
holds("its exit code says that something is bad, and nothing else is", code == 1 and not others, others)

looked = client.exec(101, "id", "-u")
holds("a command that only looks is refused, as nothing would hold it to that", "error" in looked and looked["error"]["next"], looked)
print(f"     {looked['error']['message']}\n     -> {looked['error']['next']}")
ran = client.exec(101, "id", "-u", mode="change")
holds("one in the change lane runs", ran.get("stdout", "").strip() == "0", ran)
sh("systemctl stop provost")
