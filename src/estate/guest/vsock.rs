//! The vsock CIDs that a VM is given. PVE has no key for it: they stand in `args`, which only root@pam may set, as QEMU's own
//! `-device vhost-vsock-pci,guest-cid=1101`.

use serde_json::Value;

/// CIDs that a guest can have. Those below are the kernel's: any hypervisor, this machine itself, its host; the last is
/// "any".
pub const CIDS: std::ops::Range<u32> = 3..u32::MAX;

/// What a configuration's `args` give. What no shell would read gives none, as PVE does not start it either.
#[must_use]
pub fn of_args(args: &str) -> Box<[u32]> {
    let words = shlex::split(args).unwrap_or_default();
    of_words(words.iter().map(String::as_str)).into()
}

/// What QEMU's words give, in their order.
pub fn of_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<u32> {
    let mut words = words.into_iter();
    let mut cids = Vec::new();
    while let Some(word) = words.next() {
        if matches!(word, "-device" | "--device") {
            cids.extend(words.next().and_then(of_device));
        }
    }
    cids
}

/// `vhost-vsock-pci,id=vsock0,guest-cid=1101`, or the same as JSON. vhost-user-vsock is another thing: its CID is one to the
/// program behind it, and none to the kernel.
fn of_device(text: &str) -> Option<u32> {
    let is_vsock = |driver: &str| driver.starts_with("vhost-vsock-");
    let cid = if text.starts_with('{') {
        let device: Value = serde_json::from_str(text).ok()?;
        device["driver"].as_str().filter(|driver| is_vsock(driver))?;
        device["guest-cid"].as_u64()?
    } else {
        let mut properties = text.split(',');
        let driver = properties.next()?;
        let driver = driver.strip_prefix("driver=").unwrap_or(driver);
        let mut set = properties.filter_map(|property| property.strip_prefix("guest-cid="));
        // Of a property that is set twice, QEMU takes the last.
        number(set.next_back().filter(|_| is_vsock(driver))?)?
    };
    u32::try_from(cid).ok().filter(|cid| CIDS.contains(cid))
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::of_args;

    #[test]
    fn a_cid_is_what_qemu_takes_for_one() {
        for (args, cids) in [
            ("-device vhost-vsock-pci,guest-cid=1101", &[1101][..]),
            ("-cpu host -device vhost-vsock-pci-non-transitional,id=v0,guest-cid=0x44d", &[1101]),
            (
                "-device 'driver=vhost-vsock-pci,guest-cid=5,guest-cid=6' -device vhost-vsock-pci,guest-cid=7",
                &[6, 7],
            ),
            (r#"-device '{"driver":"vhost-vsock-pci","guest-cid":1101}'"#, &[1101]),
            // None of these is a vsock device of the kernel's, with a CID that a guest can have.
            ("-device vhost-vsock-pci", &[]),
            ("-device vhost-vsock-pci,guest-cid=2", &[]),
            ("-device vhost-vsock-pci,guest-cid=4294967295", &[]),
            ("-device vhost-vsock-pci,guest-cid=4294968397", &[]),
            ("-device vhost-user-vsock-pci,guest-cid=1101", &[]),
            ("-device e1000,guest-cid=1101", &[]),
            ("-name 'vhost-vsock-pci,guest-cid=1101'", &[]),
            ("-name '-device vhost-vsock-pci,guest-cid=1101'", &[]),
            ("-device 'vhost-vsock-pci,guest-cid=1101", &[]),
            ("-device", &[]),
            ("", &[]),
        ] {
            assert_eq!(&*of_args(args), cids, "{args}");
        }
    }
}
