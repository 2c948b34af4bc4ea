//! A receipt as the journal gets it: one datagram in journald's native protocol, with a `MESSAGE_ID` a kind.
//!
//! In: an entry as it is written, or a receipt as it was read back. Out: the same bytes for both.

use super::note::PublicKey;
use super::receipt::body::Body;
use super::receipt::{Decision, Entry, Kind, Receipt, Seq};
use super::tree::{self, Hash};
use crate::text::{beginning, clean};

/// Bytes of one field; the receipt itself has all.
const MOST_FIELD: usize = 2048;

/// One `MESSAGE_ID` a kind, as `journalctl --new-id128` gave them. They are fixed for ever: `systemd/provost.catalog`
/// explains each.
pub const fn message_id(kind: Kind) -> &'static str {
    match kind {
        Kind::Start => "404a74597a3e4f07b32156c0fbde7c89",
        Kind::Session => "83ad590c29a14864b75e6c0706c5a6a8",
        Kind::Read => "62ec6e0f7e3040e7b091940b9b074d92",
        Kind::Plan => "a0e53b39044841fdbdfcab18b839a29f",
        Kind::Approval => "d3142b0563424d68b9348118eb6ea455",
        Kind::Intent => "d3aeb89235a54871a51442dbcd7966f2",
        Kind::Outcome => "92ab11b12b944b1896167ccf8b68df77",
        Kind::Exec => "6db520642c4a4f1c83c0923b9ea4a4de",
        Kind::File => "983c97510b4e466fac8322d0b64c133f",
        Kind::Refusal => "768c16d9a38d42fea4f7157feb332a01",
        Kind::Halt => "a2073f9ff797484185d6696b29ce5ad2",
        Kind::Repair => "ff4056cda4864dd68b10ad26e5246b86",
        Kind::Token => "a425269f4b214d289d9df797252f120e",
    }
}

#[derive(Debug)]
pub struct Copy {
    pub seq: Seq,
    pub kind: Kind,
    pub datagram: Vec<u8>,
}

/// What an entry and a receipt both have of it.
struct Told<'a> {
    principal: String,
    kind: Kind,
    guest: Option<u32>,
    endpoint: Option<&'a str>,
    decision: Option<Decision>,
    plan: Option<&'a str>,
    tool: Option<&'a str>,
    why: Option<&'a str>,
    /// Of one that says what the journal did not take: how many, the first and the last.
    unmirrored: Option<(u64, Seq, Seq)>,
}

impl Copy {
    pub fn of(entry: &Entry, seq: Seq, leaf: &Hash, log: &PublicKey) -> Self {
        let told = Told {
            principal: entry.principal.as_ref().map_or_else(|| "provost".into(), |who| who.name()),
            kind: entry.body.kind(),
            guest: entry.guest,
            endpoint: entry.endpoint.as_ref().map(|text| text.as_str()),
            decision: entry.decision,
            plan: entry.plan.as_ref().map(|text| text.as_str()),
            tool: entry.tool,
            why: entry.why.as_ref().map(|text| text.as_str()),
            unmirrored: match &entry.body {
                Body::Repair(repair) => range(repair.count, repair.first, repair.last),
                _ => None,
            },
        };
        told.copy(seq, leaf, log)
    }

    /// The one that was made, or should have been, as the receipt was written.
    pub fn again(receipt: &Receipt, leaf: &Hash, log: &PublicKey) -> Self {
        let number = |name: &str| receipt.body[name].as_u64();
        let told = Told {
            principal: receipt.principal_name(),
            kind: receipt.kind,
            guest: receipt.guest,
            endpoint: receipt.endpoint.as_deref(),
            decision: receipt.decision,
            plan: receipt.plan.as_deref(),
            tool: receipt.tool.as_deref(),
            why: receipt.why.as_deref(),
            unmirrored: match receipt.kind {
                Kind::Repair => range(number("count"), number("first"), number("last")),
                _ => None,
            },
        };
        told.copy(receipt.seq, leaf, log)
    }
}

impl Told<'_> {
    fn copy(&self, seq: Seq, leaf: &Hash, log: &PublicKey) -> Copy {
        let priority = match (self.kind, self.decision) {
            (Kind::Repair | Kind::Halt, _) | (_, Some(Decision::Refused)) => "4",
            (Kind::Read | Kind::Session, _) => "6",
            _ => "5",
        };
        let mut datagram = Vec::with_capacity(1024);
        let mut field = |name: &str, value: &str| put(&mut datagram, name, value);
        field("MESSAGE", &self.message(seq));
        field("MESSAGE_ID", message_id(self.kind));
        field("PRIORITY", priority);
        field("SYSLOG_IDENTIFIER", "provost");
        field("PROVOST_LOG", log.origin());
        field("PROVOST_KEY", &log.id());
        field("PROVOST_SEQ", &seq.to_string());
        field("PROVOST_KIND", self.kind.name());
        field("PROVOST_PRINCIPAL", &self.principal);
        field("PROVOST_HASH", &tree::hex(&leaf.0));
        if let Some(guest) = self.guest {
            field("PROVOST_GUEST", &guest.to_string());
        }
        let decision = self.decision.map(Decision::name);
        let texts = [
            ("PROVOST_ENDPOINT", self.endpoint),
            ("PROVOST_DECISION", decision),
            ("PROVOST_PLAN", self.plan),
            ("PROVOST_TOOL", self.tool),
        ];
        for (name, text) in texts {
            text.into_iter().for_each(|text| field(name, text));
        }
        if let Some((count, first, last)) = self.unmirrored {
            field("PROVOST_UNMIRRORED", &format!("{count} of {first}-{last}"));
        }
        Copy { seq, kind: self.kind, datagram }
    }

    /// One line for a person.
    fn message(&self, seq: Seq) -> String {
        let mut text = format!("#{seq} {} {}", self.kind.name(), self.principal);
        if let Some(decision) = self.decision {
            text += &format!(" {}", decision.name());
        }
        if let Some(guest) = self.guest {
            text += &format!(" guest {guest}");
        }
        if let Some(endpoint) = self.endpoint {
            text += &format!(" {endpoint}");
        }
        if let Some(why) = self.why {
            text += &format!(": {why}");
        }
        clean(text.as_bytes()).replace(['\n', '\t'], " ")
    }
}

fn range(count: Option<u64>, first: Option<Seq>, last: Option<Seq>) -> Option<(u64, Seq, Seq)> {
    Some((count?, first?, last?))
}

/// journald's native protocol: `NAME=VALUE\n`, or, for a value that could hold a line break, its length first.
fn put(datagram: &mut Vec<u8>, name: &str, value: &str) {
    let value = beginning(value, MOST_FIELD);
    datagram.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        datagram.push(b'\n');
        datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}
