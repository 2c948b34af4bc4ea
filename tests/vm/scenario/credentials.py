"""The token in a file, and back as a credential of systemd's, sealed to this host, with the key that signs the receipts: then
neither lies open on its disk, and the daemon has both."""

import os
import stat

from node import CONFIG, LEDGER, SEALED, Client, doctor, holds, read, run, sh, show, start, stop, unsealed, verified, write

TOKEN, KEY = "/etc/provost/pve-token", f"{LEDGER}/ledger.key"
STORE = os.path.dirname(SEALED)
DROP_IN = "/etc/systemd/system/provost.service.d/provost-setup.conf"
SETUP = ["setup", "--yes", "--profile", "provision", "--member", "user:root", "--containers", "101"]


def reads(how):
    answer = Client().begin().call("read", path="/nodes/pve1/lxc")
    holds(f"the node's API is read with the token {how}", answer.get("total", 0) > 0, answer)


done = run("provost", *SETUP, "--store", "file")
holds("setup puts the token into a file", done.returncode == 0 and os.path.exists(TOKEN) and not os.path.exists(SEALED), done)
held = os.stat(TOKEN)
holds("which only the daemon's account and root can read", (stat.S_IMODE(held.st_mode), held.st_uid) == (0o400, int(sh("id -u provost"))), held)
start()
reads("of the file")
pid, line = show("MainPID"), read(TOKEN)
rotated = run("provost", "token", "rotate", "--yes")
holds("a file is rotated, and the daemon that runs goes on", rotated.returncode == 0 and read(TOKEN) != line and show("MainPID") == pid, rotated)
reads("that came after it")

done = run("provost", *SETUP, "--store", "credential")
holds("setup makes a token that is a credential", done.returncode == 0 and 'token = "pve-token"' in read(CONFIG), (done, read(CONFIG)))
start()
reads("that systemd has decrypted")
line = unsealed()
secret = line.split("=", 1)[1]
holds("it lies sealed, is root's alone, and is shown nowhere", stat.S_IMODE(os.stat(SEALED).st_mode) == 0o400 and not any(
    secret in text for text in (read(SEALED), read(CONFIG), done.stdout, done.stderr, sh("journalctl --no-pager -b"))))
holds("and the file that was in the clear is gone", not os.path.exists(TOKEN), os.listdir("/etc/provost"))
checks = [check for check in doctor()[1] if check["check"] == "token"]
holds("doctor says so", checks and all(check["state"] == "good" for check in checks) and SEALED in checks[0]["evidence"], checks)
again = run("provost", *SETUP)
holds("setup again finds nothing to do", again.returncode == 0 and "nothing to do" in again.stdout, again)
rotated = run("provost", "token", "rotate", "--yes")
holds("the token is rotated where it lies", rotated.returncode == 0 and unsealed() not in ("", line), rotated)
reads("that came after it")

# Another board, another firmware: what was sealed cannot be opened any more.
with open(SEALED, "w") as file:
    file.write("bm9uc2Vuc2U=\n")
checks = [check for check in doctor()[1] if check["check"] == "token"]
holds("doctor says that this host cannot decrypt it", checks[0]["state"] == "bad" and "provost setup" in checks[0]["mend"], checks)
done = run("provost", *SETUP)
holds("setup makes another in its place", done.returncode == 0 and unsealed() not in ("", line), done)
start()
reads("that was made in place of one that was lost")

# A role with a token of its own: the unit loads that one by what setup told systemd.
shared = read(CONFIG)
done = run("provost", "setup", "--yes", "--role", "small", "--profile", "observe", "--member", "user:alice", "--guests", "101", "--own-token")
holds("a role's own token is a credential too", done.returncode == 0 and "pve-token-small" in read(DROP_IN), done)
start()
works = [check["evidence"] for check in doctor()[1] if check["check"] == "token works" and check["state"] == "good"]
holds(f"and PVE takes both from the daemon: {works}", len(works) == 2, works)
write(CONFIG, shared)
done = run("provost", *SETUP)
holds("once no role has it systemd is told nothing any more", done.returncode == 0 and not os.path.exists(DROP_IN), done)
start()
reads("of all roles")

public = read(f"{LEDGER}/ledger.pub")
stop()
sh(f"systemd-creds encrypt --name=ledger-key {KEY} {STORE}/ledger-key && mv {KEY} /root/ledger.key")
start()
sh("provost audit checkpoint >/dev/null")
stop()
holds("the log goes on under a key that is nowhere beside it", read(f"{LEDGER}/ledger.pub") == public and not os.path.exists(KEY))
verified()
os.unlink(f"{STORE}/ledger-key")
sh("systemctl start provost.service", check=False)
checks = [check for check in doctor()[1] if check["state"] == "bad"]
holds("without it nothing is signed, and doctor says what is missing", any(KEY in check["evidence"] for check in checks), checks)

# As it was.
stop()
sh(f"mv /root/ledger.key {KEY}")
start("provost-execd.socket")
reads("as before")
