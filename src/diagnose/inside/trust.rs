//! Certificates: read out as they are and parsed here, so that the container needs no program for them.

use x509_parser::parse_x509_certificate;
use x509_parser::pem::parse_x509_pem;

use super::super::{Gathered, Page};

const DAY: i64 = 86_400;
/// Bytes of one. The longest in use have some thousands.
const MOST: usize = 64 << 10;

pub fn certificates(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let section = gathered.section("certificates")?;
    // A line that begins so is in no PEM.
    let files = section.split("file /").skip(1).filter_map(|part| part.split_once('\n'));
    let mut count = 0;
    for (name, pem) in files {
        count += 1;
        let name = format!("/{name}");
        match expiry(pem) {
            Ok((subject, until)) => judge(page, &name, &subject, until),
            Err(why) => page.cannot_tell(format!("{name} is no certificate that can be read: {why}")),
        }
    }
    page.fact(format!("{count} certificates in the usual places"));
    Ok(())
}

fn judge(page: &mut Page<'_>, name: &str, subject: &str, until: i64) {
    let days = (until - page.now).div_euclid(DAY);
    let evidence = format!(
        "subject {}; valid until {}",
        crate::text::quoted(subject, 120),
        crate::diagnose::page::date(until)
    );
    if until <= page.now {
        page.flag(
            "certificate_expired",
            format!("the certificate {name} expired {} days ago", -days),
            evidence,
        );
    } else if (days as f64) < page.limit("certificate_expires") {
        page.flag("certificate_expires", format!("the certificate {name} expires in {days} days"), evidence);
    }
}

/// Whom the first certificate is for, and until when, in seconds since 1970.
fn expiry(pem: &str) -> Result<(String, i64), String> {
    let pem = pem.get(..pem.len().min(MOST)).ok_or("it is not of text")?;
    let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(|error| error.to_string())?;
    let (_, certificate) = parse_x509_certificate(&pem.contents).map_err(|error| error.to_string())?;
    Ok((certificate.subject().to_string(), certificate.validity().not_after.timestamp()))
}
