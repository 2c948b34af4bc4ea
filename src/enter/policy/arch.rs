//! Which architectures a machine's processes can have, and which sections of a policy matter on it.

use libseccomp::ScmpArch;

/// What LXC arranges for one kind of machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host {
    /// The architectures beside the native one whose calls are filtered too, in the order in which they are
    /// merged (it is the order of the instructions), with the name that a policy calls them by.
    pub(super) compat: &'static [(ScmpArch, &'static str)],
    /// The sections whose rules count here.
    sections: &'static [&'static str],
}

/// The section names that LXC 5 and 6 know. Any other is an error, these are skipped where they do not count.
const SECTIONS: &[&str] = &[
    "all",
    "x86",
    "x32",
    "x86_64",
    "arm",
    "arm64",
    "ppc64le",
    "ppc64",
    "ppc",
    "mips64",
    "mips64n32",
    "mips",
    "mipsel64",
    "mipsel64n32",
    "mipsel",
    "s390x",
    "s390",
    "loongarch64",
];

pub(super) const X86_64: Host = Host {
    compat: &[(ScmpArch::X86, "x86"), (ScmpArch::X32, "x32")],
    sections: &["all", "x86", "x32", "x86_64"],
};

pub(super) const ARM64: Host = Host { compat: &[(ScmpArch::Arm, "arm")], sections: &["all", "arm", "arm64"] };

/// The machine that this program was built for; `None` where Proxmox VE does not run.
pub(super) const HOST: Option<Host> = if cfg!(target_arch = "x86_64") {
    Some(X86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(ARM64)
} else {
    None
};

impl Host {
    /// Whether the rules below the header `line` count on this machine; `None` for a header that LXC does
    /// not know. Names are all in lower or all in upper case, and nothing stands around them.
    pub(super) fn counts(&self, line: &str) -> Option<bool> {
        let written = line.strip_prefix('[')?.strip_suffix(']')?;
        let name = SECTIONS.iter().find(|name| written == **name || written == name.to_ascii_uppercase())?;
        Some(self.sections.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_counts_where_lxc_lets_it() {
        for (header, x86_64, arm64) in [
            ("[all]", Some(true), Some(true)),
            ("[ALL]", Some(true), Some(true)),
            ("[x86]", Some(true), Some(false)),
            ("[x32]", Some(true), Some(false)),
            ("[X86_64]", Some(true), Some(false)),
            ("[arm]", Some(false), Some(true)),
            ("[ARM64]", Some(false), Some(true)),
            ("[mipsel64n32]", Some(false), Some(false)),
            ("[All]", None, None),
            ("[all] ", None, None),
            ("[all]\r", None, None),
            ("[ all]", None, None),
            ("[amd64]", None, None),
            ("[", None, None),
            ("[]", None, None),
        ] {
            assert_eq!(X86_64.counts(header), x86_64, "{header:?} on x86_64");
            assert_eq!(ARM64.counts(header), arm64, "{header:?} on arm64");
        }
    }
}
