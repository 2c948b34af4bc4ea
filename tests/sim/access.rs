//! Who may do what: PVE's computation, seen from outside.

use provost::sim::estate::recorded;
use serde_json::json;

use crate::client::{Answer, Connection, Lab};

/// A user with a token, made by the API; `privsep` as it is for tokens by default.
pub async fn user(lab: &Lab, name: &str, privsep: bool) -> String {
    assert_eq!(lab.call("POST", "/access/users", &format!("userid={name}")).await.status, 200);
    let path = format!("/access/users/{name}/token/tok");
    let made = lab.call("POST", &path, &format!("privsep={}", u8::from(privsep))).await.data();
    format!("{}={}", made["full-tokenid"].as_str().unwrap(), made["value"].as_str().unwrap())
}

async fn grant(lab: &Lab, path: &str, who: &str, role: &str) {
    let answer = lab.call("PUT", "/access/acl", &format!("path={path}&{who}&roles={role}")).await;
    assert_eq!(answer.status, 200, "{}", answer.reason);
}

pub async fn call_as(lab: &Lab, token: &str, method: &str, path: &str, form: &str) -> Answer {
    let mut connection = Connection::daemon(&lab.sim).await;
    connection.send(&lab.request(method, path, form).replace(&lab.token, token)).await;
    connection.receive().await.unwrap()
}

fn vmids(answer: &Answer) -> Vec<u64> {
    let mut vmids: Vec<u64> =
        answer.json()["data"].as_array().unwrap().iter().filter_map(|row| row["vmid"].as_u64()).collect();
    vmids.sort_unstable();
    vmids
}

#[tokio::test]
async fn who_may_see_nothing_gets_empty_lists_and_403_for_a_name() {
    let lab = Lab::new(recorded()).await;
    let token = user(&lab, "eve@pve", true).await;
    for path in
        ["/access/groups", "/nodes/pve1/qemu", "/nodes/pve1/lxc", "/storage", "/pools", "/nodes/pve1/storage"]
    {
        let answer = call_as(&lab, &token, "GET", path, "").await;
        assert_eq!((answer.status, answer.json()["data"].clone()), (200, json!([])), "{path}");
    }
    assert!(vmids(&call_as(&lab, &token, "GET", "/cluster/resources", "").await).is_empty());
    let refused = call_as(&lab, &token, "GET", "/nodes/pve1/qemu/104/config", "").await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (403, "Permission check failed (/vms/104, VM.Audit)")
    );
    let refused = call_as(&lab, &token, "PUT", "/nodes/pve1/qemu/104/config", "cores=1").await;
    assert_eq!(
        refused.reason,
        "Permission check failed (/vms/104, VM.Config.Disk|VM.Config.CDROM|VM.Config.CPU|VM.Config.Memory|\
         VM.Config.Network|VM.Config.HWType|VM.Config.Options|VM.Config.Cloudinit)"
    );
    assert_eq!(call_as(&lab, &token, "GET", "/access/permissions", "").await.json()["data"], json!({}));
}

#[tokio::test]
async fn a_separated_token_has_what_both_it_and_its_user_have() {
    let lab = Lab::new(recorded()).await;
    let token = user(&lab, "eve@pve", true).await;
    grant(&lab, "/vms", "users=eve@pve", "PVEVMAdmin").await;
    assert!(
        vmids(&call_as(&lab, &token, "GET", "/nodes/pve1/qemu", "").await).is_empty(),
        "its user's alone"
    );
    grant(&lab, "/vms/104", "tokens=eve@pve!tok", "Administrator").await;
    assert_eq!(vmids(&call_as(&lab, &token, "GET", "/nodes/pve1/qemu", "").await), [104]);
    // The user is no administrator.
    let held = call_as(&lab, &token, "GET", "/access/permissions?path=/vms/104", "").await.json();
    let held = &held["data"]["/vms/104"];
    assert_eq!((&held["VM.PowerMgmt"], held.get("Permissions.Modify")), (&json!(1), None));

    let whole = user(&lab, "kim@pve", false).await;
    grant(&lab, "/vms", "users=kim@pve", "PVEAuditor").await;
    assert_eq!(vmids(&call_as(&lab, &whole, "GET", "/nodes/pve1/qemu", "").await).len(), 5);
}

#[tokio::test]
async fn groups_pools_and_depth_decide_as_they_do_there() {
    let lab = Lab::new(recorded()).await;
    let token = user(&lab, "eve@pve", false).await;
    // The pool holds 104, and the group may use what is in it.
    lab.call("PUT", "/access/users/eve@pve", "groups=ops").await;
    assert_eq!(vmids(&call_as(&lab, &token, "GET", "/nodes/pve1/qemu", "").await), [104]);
    let power = "/nodes/pve1/qemu/104/status/start";
    assert_eq!(call_as(&lab, &token, "POST", power, "").await.status, 200);
    // Deeper replaces higher; NoAccess cancels the rest.
    grant(&lab, "/vms", "users=eve@pve", "PVEAuditor").await;
    assert_eq!(vmids(&call_as(&lab, &token, "GET", "/nodes/pve1/qemu", "").await).len(), 5);
    grant(&lab, "/vms/105", "users=eve@pve", "NoAccess").await;
    assert_eq!(vmids(&call_as(&lab, &token, "GET", "/nodes/pve1/qemu", "").await).len(), 4);
    // What does not propagate holds at its path alone.
    lab.call("PUT", "/access/acl", "path=/vms&users=eve@pve&roles=PVEAuditor&delete=1").await;
    grant(&lab, "/vms&propagate=0", "users=eve@pve", "PVEAuditor").await;
    assert_eq!(vmids(&call_as(&lab, &token, "GET", "/nodes/pve1/qemu", "").await), [104]);
}

#[tokio::test]
async fn each_key_of_a_configuration_needs_its_own_privilege() {
    let lab = Lab::new(recorded()).await;
    let token = user(&lab, "eve@pve", false).await;
    lab.call("POST", "/access/roles", "roleid=Tags&privs=VM.Audit,VM.Config.Options").await;
    grant(&lab, "/vms/104", "users=eve@pve", "Tags").await;
    let path = "/nodes/pve1/qemu/104/config";
    assert_eq!(call_as(&lab, &token, "PUT", path, "tags=x").await.status, 200);
    let refused = call_as(&lab, &token, "PUT", path, "memory=512").await;
    assert_eq!(refused.reason, "Permission check failed (/vms/104, VM.Config.Memory)");
    let refused = lab.call("PUT", path, "args=-S").await;
    assert_eq!(refused.reason, "Permission check failed (only root can set 'args' config)");
}

#[tokio::test]
async fn a_pools_privileges_let_a_guest_be_made_in_it() {
    let lab = Lab::new(recorded()).await;
    let token = user(&lab, "eve@pve", false).await;
    grant(&lab, "/pool/dev", "users=eve@pve", "PVEVMAdmin").await;
    let outside = call_as(&lab, &token, "POST", "/nodes/pve1/qemu", "vmid=300&memory=512").await;
    assert_eq!(outside.reason, "Permission check failed (/vms/300, VM.Allocate)");
    let inside = call_as(&lab, &token, "POST", "/nodes/pve1/qemu", "vmid=300&memory=512&pool=dev").await;
    assert_eq!(inside.status, 200, "{}", inside.reason);
    // A disk needs its storage's, too.
    let disk = "vmid=301&pool=dev&scsi0=fast%3A1";
    let refused = call_as(&lab, &token, "POST", "/nodes/pve1/qemu", disk).await;
    assert_eq!(refused.reason, "Permission check failed (/storage/fast, Datastore.AllocateSpace)");
}

#[tokio::test]
async fn who_is_disabled_expired_or_removed_is_nobody() {
    let lab = Lab::new(recorded()).await;
    let token = user(&lab, "eve@pve", false).await;
    assert_eq!(call_as(&lab, &token, "GET", "/version", "").await.status, 200);
    lab.call("PUT", "/access/users/eve@pve", "enable=0").await;
    assert_eq!(call_as(&lab, &token, "GET", "/version", "").await.status, 401);
    lab.call("PUT", "/access/users/eve@pve", "enable=1&expire=1").await;
    assert_eq!(call_as(&lab, &token, "GET", "/version", "").await.status, 401);
    lab.call("PUT", "/access/users/eve@pve", "expire=0").await;
    assert_eq!(call_as(&lab, &token, "GET", "/version", "").await.status, 200);
    grant(&lab, "/vms/104", "users=eve@pve", "PVEAuditor").await;
    lab.call("DELETE", "/access/users/eve@pve", "").await;
    assert_eq!(call_as(&lab, &token, "GET", "/version", "").await.status, 401);
    assert!(!lab.get("/access/acl").await.to_string().contains("eve@pve"));
}

#[tokio::test]
async fn some_things_are_for_no_token() {
    let lab = Lab::new(recorded()).await;
    for (method, path, form) in [
        ("PUT", "/access/password", "userid=root@pam&password=secret12"),
        ("GET", "/cluster/backup-info", ""),
        ("POST", "/cluster/config", "clustername=x"),
        ("PUT", "/nodes/pve1/lxc/101/config", "features=mount%3Dnfs"),
    ] {
        assert_eq!(lab.call(method, path, form).await.status, 403, "{method} {path}");
    }
}
