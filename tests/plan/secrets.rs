//! A secret that goes into a call comes out nowhere: not in the plan, not in a receipt, not in an error.

use provost::sim::estate::recorded;

use crate::site::Site;

const SECRET: &str = "correct-horse-battery";

fn nowhere(site: &Site) {
    for receipt in site.receipts() {
        let text = serde_json::to_string(&receipt).unwrap();
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[tokio::test]
async fn a_password_is_withheld_everywhere_and_cannot_be_given_back() {
    let site = Site::new(recorded()).await;
    let plan =
        site.plan("PUT /nodes/pve1/qemu/104/config", &format!("cipassword={SECRET} memory=3000")).await;
    let shown = serde_json::to_string(&plan.shown).unwrap();
    assert!(!shown.contains(SECRET), "{shown}");
    let applied = site.apply(&plan).await;
    nowhere(&site);
    let set = site.sim.with_estate(|estate| estate.guest(104).unwrap().get("cipassword").map(str::to_owned));
    assert_eq!(set.as_deref(), Some(SECRET), "the call itself has it");
    // It was not there before, so it is taken away again.
    site.undo(applied.receipt).await;
    let second = site.plan("PUT /nodes/pve1/qemu/104/config", &format!("cipassword={SECRET}")).await;
    site.apply(&second).await;
    let third = site.plan("PUT /nodes/pve1/qemu/104/config", "cipassword=another").await;
    assert_eq!(third.shown["undo"]["kind"], "none");
    assert!(
        third.shown["undo"]["why"].as_str().unwrap().contains("cipassword"),
        "{:#?}",
        third.shown["undo"]
    );
    nowhere(&site);
}

/// A call that is wrong beside its secret never becomes a request, and is on record all the same.
#[tokio::test]
async fn a_refusal_does_not_repeat_a_secret() {
    let site = Site::new(recorded()).await;
    for (call, secret) in [
        ("POST /cluster/sdn/dns", "key"),
        ("POST /nodes/pve1/qemu/104/agent/file-write", "content"),
        ("POST /nodes/pve1/qemu/104/agent/exec", "input-data"),
        ("POST /cluster/acme/plugins", "data"),
        ("PUT /nodes/pve1/subscription", "key"),
        ("POST /no/such/call", "password"),
    ] {
        site.refused(call, &format!("{secret}={SECRET} bogus=1")).await;
        nowhere(&site);
    }
    let refused = site.refused("POST /access/users", &format!("userid=nonsense password={SECRET}")).await;
    assert!(!refused.to_string().contains(SECRET), "{refused}");
    nowhere(&site);
}
