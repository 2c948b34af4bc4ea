//! Looking once more at what somebody was doing when the daemon ended.
//!
//! In: who it was, by a receipt. Out: a permit to look, as wide as that role's is now and no wider. There is no connection
//! whose peer the kernel could name, so nothing that acts may ever be had of it.

use super::{Denied, Permit, Policy, lane_name, membership, scope};
use crate::account::Account;
use crate::config::ExecLane;
use crate::exec::wire::{Guest, Mode};
use crate::ledger::receipt::Who;

impl Policy {
    /// For what this program itself asks. It counts for no `rate`, and goes on while everything is halted, as reading does.
    pub fn look_again(&self, who: Option<&Who>, guest: u32) -> Result<Permit, Denied> {
        let config = self.rules.now();
        let name = who.map_or_else(|| "nobody".to_owned(), Who::name);
        let was = who.and_then(|who| who.role.as_ref());
        let role = config.roles.iter().position(|role| was.is_some_and(|was| was.as_str() == role.name));
        let at = role.ok_or_else(|| Denied::NoRole { who: name.clone() })?;
        let role = &config.roles[at];
        if role.lane() < ExecLane::Inspect {
            let (role, allowed) = (role.name.clone(), lane_name(role.lane()));
            return Err(Denied::Lane { role, allowed, asked: lane_name(ExecLane::Inspect) });
        }
        if !membership::includes(role, self.members.as_ref(), guest) {
            return Err(Denied::Guest { guest, role: role.name.clone(), scope: scope(role) });
        }
        let mode = Mode::Inspect;
        let asked_by = format!("provostd, what became of a change by {name}");
        let account = who.and_then(Who::account).unwrap_or(Account::User(u32::MAX));
        Ok(Permit { guest: Guest::Vmid(guest), mode, judged: mode, asked_by, account, role: at, config })
    }
}
