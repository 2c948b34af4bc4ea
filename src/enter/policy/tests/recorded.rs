//! The filters that `lxc-attach` installed for some policies, next to ours.
//!
//! Each `recorded/NAME.bpf` was read with PTRACE_SECCOMP_GET_FILTER from a process that `lxc-attach` had
//! started in a container with `NAME.policy`, on x86_64: the same ones from LXC 5.0.2 with libseccomp 2.5.4
//! and from LXC 6.0.4 with libseccomp 2.6.0. A line is an instruction: code, jt, jf, k, in hexadecimal.

use std::fmt::Write;

use super::*;

macro_rules! recorded {
    ($($name:ident)*) => {
        &[$((
            stringify!($name),
            include_str!(concat!("../recorded/", stringify!($name), ".policy")),
            include_str!(concat!("../recorded/", stringify!($name), ".bpf")),
        )),*]
    };
}

const RECORDED: &[(&str, &str, &str)] =
    recorded!(debian pve_unprivileged pve_mknod arguments allowlist sections lenient numbers);

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "recorded on x86_64")]
fn the_filter_is_the_one_that_lxc_attach_installed() {
    for (name, policy, expected) in RECORDED {
        let mut listing = String::new();
        for instruction in compiled(policy).program.instructions() {
            let libc::sock_filter { code, jt, jf, k } = instruction;
            writeln!(listing, "{code:02x} {jt:02x} {jf:02x} {k:08x}").unwrap();
        }
        assert_eq!(
            &listing,
            expected,
            "{name}: not what lxc-attach installed. If libseccomp is newer than {:?}, record again.",
            libseccomp::ScmpVersion::from((2, 6, 0)),
        );
    }
}
