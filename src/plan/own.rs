//! What a plan says to a virtual machine that plans something about itself. Policy decides whether it may; this says what it
//! means.

use super::Asker;
use super::blast::{Hit, Severity};

/// A word of warning, where who asks is in the machine that is asked about, or is hit with others.
pub fn warning(asker: &Asker, guests: &[u32], hits: &[Hit]) -> Option<String> {
    let vmid = asker.who.vmid?;
    let object = format!("qemu/{vmid}");
    let worst = hits.iter().filter(|hit| hit.object == object).map(|hit| hit.severity).max();
    match worst {
        Some(Severity::Stops | Severity::Unreachable | Severity::WontBoot | Severity::DataLost) => {
            Some(format!(
                "VM {vmid} is the machine that you speak from: this ends your session, perhaps before its answer, and \
             somebody else may have to bring you back"
            ))
        }
        _ if worst.is_some() || guests.contains(&vmid) => {
            Some(format!("VM {vmid} is the machine that you speak from: this changes it under you"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Who;

    #[test]
    fn a_machine_is_told_when_it_is_about_itself_and_nobody_else_is() {
        let asker = |vmid| {
            let who = Who { vmid, ..Who::default() };
            Asker { account: 1000.into(), behind: None, name: String::new(), who, taint: true }
        };
        let hit = |object: &str, severity| Hit { object: object.into(), severity, why: String::new() };
        let of = |vmid, guests: &[u32], hits: &[Hit]| warning(&asker(vmid), guests, hits).unwrap_or_default();
        let stops = [hit("qemu/121", Severity::Degraded), hit("qemu/120", Severity::Stops)];
        // By name, and with a whole node.
        assert!(of(Some(120), &[120], &stops).contains("ends your session"));
        assert!(of(Some(120), &[], &stops).contains("ends your session"));
        assert!(of(Some(121), &[], &stops).contains("under you"));
        assert!(of(Some(121), &[121], &[]).contains("under you"));
        for (vmid, guests) in [(Some(122), &[120][..]), (None, &[120])] {
            assert_eq!(of(vmid, guests, &stops), "");
        }
    }
}
