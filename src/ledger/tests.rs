//! What the rooms' own tests do not hold: the journal's copy, and the mirror's catalogue.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::receipt::samples;
use super::*;

fn options(dir: &std::path::Path) -> Options {
    Options { checkpoint_every: Duration::from_secs(3600), ..Options::new(dir) }
}

#[test]
fn the_catalogue_explains_every_kind() {
    let catalogue = include_str!("../../systemd/provost.catalog");
    let mut ids = std::collections::BTreeSet::new();
    for kind in Kind::ALL {
        let id = copy::message_id(kind);
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(ids.insert(id), "{id} stands for two kinds");
        let (_, entry) =
            catalogue.split_once(&format!("\n-- {id}\n")).unwrap_or_else(|| panic!("{}", kind.name()));
        let entry = entry.split("\n-- ").next().unwrap_or_default();
        assert!(entry.starts_with("Subject: ") && entry.contains("\n\n"), "{}", kind.name());
        assert!(entry.contains("provost audit"), "{}: what to do", kind.name());
    }
    assert_eq!(catalogue.matches("\n-- ").count(), Kind::ALL.len());
}

/// One datagram of journald's native protocol, as it stands in its description.
fn fields(datagram: &[u8]) -> std::collections::BTreeMap<String, String> {
    let mut fields = std::collections::BTreeMap::new();
    let mut rest = datagram;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
        let line = std::str::from_utf8(&rest[..end]).unwrap();
        rest = &rest[end + 1..];
        match line.split_once('=') {
            Some((name, value)) => fields.insert(name.to_owned(), value.to_owned()),
            None => {
                let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
                let value = String::from_utf8(rest[8..8 + length].to_vec()).unwrap();
                assert_eq!(rest[8 + length], b'\n');
                rest = &rest[9 + length..];
                fields.insert(line.to_owned(), value)
            }
        };
    }
    fields
}

#[test]
fn the_journal_gets_a_copy_of_each_receipt_with_its_fields() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let socket = UnixDatagram::bind(&journal).unwrap();
    let count = samples::all().len() + 1;
    // Read as they come: a socket's queue is short.
    let reader = std::thread::spawn(move || {
        let mut held = vec![0; 1 << 16];
        let take = |_| socket.recv(&mut held).map(|length| held[..length].to_vec()).unwrap();
        (0..count).map(take).collect::<Vec<_>>()
    });
    let ledger =
        Ledger::open(Options { journal: Some(journal), ..options(&dir.path().join("log")) }).unwrap();
    let mut wanted = samples::all();
    wanted[1].why = Some("a\nMESSAGE=forged\n\u{1b}[2J".into());
    wanted[1].endpoint = Some("GET /a\nPROVOST_DECISION=allowed".into());
    for entry in &wanted {
        ledger.append_durable_blocking(entry.clone()).unwrap();
    }
    let (place, origin) = (ledger.place().clone(), ledger.status().origin);
    ledger.close();
    let segments = Segments::open(&place).unwrap();
    let key = PublicKey::parse(&std::fs::read_to_string(place.public_key()).unwrap()).unwrap();
    for (seq, datagram) in reader.join().unwrap().iter().enumerate() {
        let seq = seq as u64;
        let fields = fields(datagram);
        let line = segments.line(seq).unwrap();
        let receipt = Receipt::parse(&line).unwrap();
        let again = copy::Copy::again(&receipt, &tree::leaf_hash(&line), &key);
        assert_eq!(again.datagram, *datagram, "what is handed over again is the same");
        assert_eq!(fields["PROVOST_KEY"], key.id());
        assert_eq!(fields["PROVOST_SEQ"], seq.to_string());
        assert_eq!(fields["PROVOST_KIND"], receipt.kind.name());
        assert_eq!(fields["MESSAGE_ID"], copy::message_id(receipt.kind));
        assert_eq!(fields["PROVOST_HASH"], tree::hex(&tree::leaf_hash(&line).0));
        assert_eq!((fields["SYSLOG_IDENTIFIER"].as_str(), &fields["PROVOST_LOG"]), ("provost", &origin));
        assert_eq!(fields["PROVOST_PRINCIPAL"], receipt.principal_name());
        assert!(!fields["MESSAGE"].chars().any(char::is_control), "{}", fields["MESSAGE"]);
        if seq > 0 {
            assert_eq!(fields["PROVOST_DECISION"], "allowed");
            assert_eq!(
                (fields["PROVOST_GUEST"].as_str(), fields["PROVOST_PLAN"].as_str()),
                ("101", "0123456789abcdef")
            );
            assert_eq!(Some(&fields["PROVOST_ENDPOINT"]), receipt.endpoint.as_ref());
        }
    }
}

/// A journal that takes nothing: nobody waits for it, and what it lacks is counted.
#[test]
fn a_journal_that_hangs_delays_no_receipt_and_what_it_did_not_take_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let _hung = UnixDatagram::bind(&journal).unwrap();
    let ledger =
        Ledger::open(Options { journal: Some(journal), ..options(&dir.path().join("log")) }).unwrap();
    let entry = samples::all().remove(2);
    let begun = std::time::Instant::now();
    // More than a socket's queue holds.
    for _ in 0..64 {
        for _ in 0..31 {
            ledger.leave(entry.clone());
        }
        ledger.append_durable_blocking(entry.clone()).unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let end = begun + Duration::from_secs(60);
    while ledger.status().unmirrored == 0 {
        assert!(std::time::Instant::now() < end, "{:?}", ledger.status());
        ledger.append_durable_blocking(entry.clone()).unwrap();
    }
    assert_eq!(ledger.status().mirror, "journald");
}

/// Each that it does not take costs its patience: of a run that was killed, and of what is queued as this one ends, that would
/// be minutes.
#[test]
fn a_journal_that_hangs_holds_up_no_end() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, log, killed) =
        (dir.path().join("journal"), dir.path().join("log"), dir.path().join("killed"));
    let _hung = UnixDatagram::bind(&journal).unwrap();
    let entry = samples::all().remove(2);
    let ledger = Ledger::open(options(&log)).unwrap();
    for _ in 0..1500 {
        ledger.leave(entry.clone());
    }
    ledger.append_durable_blocking(entry.clone()).unwrap();
    // As a kill leaves it.
    std::fs::create_dir(&killed).unwrap();
    for file in std::fs::read_dir(&log).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), killed.join(file.file_name())).unwrap();
    }
    let ledger = Ledger::open(Options { journal: Some(journal), ..options(&killed) }).unwrap();
    for _ in 0..1500 {
        ledger.leave(entry.clone());
    }
    ledger.append_durable_blocking(entry).unwrap();
    let begun = std::time::Instant::now();
    ledger.close();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}
