use std::collections::BTreeSet;

use super::{FORMATS, Outcome, keys, outcome};
use crate::catalog::{Format, Schema, testing};

#[test]
fn the_table_is_in_order_so_that_it_can_be_searched() {
    assert!(FORMATS.windows(2).all(|pair| pair[0].name < pair[1].name));
}

/// What each format takes and what it refuses.
pub(in crate::catalog::check) const SAMPLES: &[(&str, &[&str], &[&str])] = &[
    (
        "CIDR",
        &["10.0.0.0/8", "fd00::/64"],
        &["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "10.0.0.0/08x"],
    ),
    ("CIDRv4", &["192.168.1.5/24"], &["192.168.1.5/4", "fd00::/64", "1.2.3.256/24", "192.168.1.5/024x"]),
    ("CIDRv6", &["2001:db8::1/64"], &["10.0.0.0/8", "2001:db8::1/4", "2001:db8:::1/64"]),
    ("FullRangeCIDR", &["0.0.0.0/0", "::/0"], &["0.0.0.0", "0.0.0.0/-1", "::/129"]),
    ("IPorCIDR", &["10.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "::1"], &["ten", "10.0.0.0/8/8"]),
    ("IPorCIDRorAlias", &["10.0.0.1", "10.0.0.0/8", "admins", "dc/admins"], &["-x", "10.0.0.0/99", "a b"]),
    ("address", &["10.0.0.1", "fe80::1", "pve1.example.com"], &["pve1..example", "a b", "-pve", "", "0"]),
    ("bridge-pair", &["vmbr0:vmbr1", "vmbr0", "1", "my-br:vmbr1"], &["vmbr0:", ":", "a b"]),
    ("disk-size", &["32", "1.5G", "512M", "4GiB"], &["32GB", "G", "-1", "1.G", "4iB"]),
    ("dns-name", &["example.com", "a", "xn--p1ai.test"], &["", "a..b", "-a", "a-", "a_b", "a b"]),
    ("email", &["root@localhost", "a.b+c@example.com"], &["root", "@x", "a@", "a b@c", "a@b@c"]),
    (
        "email-or-username",
        &["root", "root@pam", "a.b-c", "a@example.com"],
        &["a b@pam", "a b", ".root", "a@"],
    ),
    ("graphite-path", &["proxmox.stats"], &["", "a b", "a_b", "a..b"]),
    ("ip", &["10.0.0.1", "::1"], &["10.0.0", "10.0.0.1/8", ":::", "01.2.3.4"]),
    ("ipv4", &["10.0.0.1"], &["::1", "10.0.0.256"]),
    ("ipv4mask", &["255.255.255.0", "0.0.0.0"], &["255.0.255.0", "24", "255.255.255"]),
    ("ipv6", &["::1", "fe80::1"], &["10.0.0.1", "fe80::1%eth0", "g::"]),
    ("ldap-simple-attr", &["uid"], &["u id", "u=d", ""]),
    (
        "lxc-ip-with-ll-iface",
        &["10.0.0.1", "fe80::1%eth0"],
        &["10.0.0.1%eth0", "fe80::1%", "fd00::1%eth0", "x"],
    ),
    (
        "mac-addr",
        &["BC:24:11:00:00:01", "02:00:00:00:00:00"],
        &["01:00:00:00:00:00", "BC-24-11-00-00-01", "BC:24:11"],
    ),
    ("mac-prefix", &["BC:24:11", "BC:24:11:", "BC", "BC:2", "BC:24:11:0"], &["01:00", "B", "BC:24:11:00"]),
    (
        "pem-certificate",
        &["-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"],
        &["AA==", "", "-----BEGIN KEY-----\nAA==\n-----END KEY-----"],
    ),
    ("pem-certificate-chain", &["-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"], &["AA=="]),
    ("pem-string", &["-----BEGIN KEY-----\nAA==\n-----END KEY-----"], &["AA==", "-----BEGIN KEY-----"]),
    ("pve-acme-alias", &["_acme-challenge.example.com"], &["a b", "a..b", "alias"]),
    (
        "pve-acme-domain",
        &["example.com", "a_b.example.com"],
        &["*", "*.example.com", "_a.b", "example", "a b"],
    ),
    ("pve-bridge-id", &["vmbr0", "my-bridge_1.2"], &["", "a b", "a/b"]),
    (
        "pve-calendar-event",
        &[
            "daily",
            "mon..fri 02:30",
            "*/15",
            "sat",
            "*-*-01 04:00:00",
            "sun,wed 1,13:0/30",
            "8..17:0/15",
            "daily UTC",
            "2026-12-24 18:00",
            "fri..mon",
        ],
        &["", "fortnightly", "70:00", "mon..", "*-13-01", "1:2:3:4", "Daily", "*/0", "02:30 02:30"],
    ),
    (
        "pve-command-batch",
        &["[]", r#"[{"path":"/version","method":"GET"}]"#],
        &["{}", "x", r#"[{"path":"/version"}]"#],
    ),
    ("pve-configid", &["backup-1", "ab"], &["a", "1ab", "a b", "", "a.b"]),
    ("pve-cpuset", &["0", "0-3,8"], &["0-", "a", "0,,1", "3-0"]),
    ("pve-ct-timezone", &["host", "Europe/Vienna", "UTC"], &["", "../etc", "/etc/localtime", "CET"]),
    ("pve-day-of-week", &["mon", "sun"], &["day", "", "monday", "Mon"]),
    ("pve-dir-override", &["iso=other/place"], &["iso", "=x", "iso=", "iso=../x", "isos=x"]),
    (
        "pve-fw-addr-spec",
        &[
            "10.0.0.1",
            "10.0.0.0/8,10.1.0.0/16",
            "10.0.0.1-10.0.0.9",
            "+admins",
            "+dc/admins",
            "alias1",
            "guest/alias1",
            "+sdn/vnet-all",
        ],
        &["+", "10.0.0.1-", "a b", "10.0.0.1-fd00::1", "10.0.0.300", "10.0.0.1,fd00::1"],
    ),
    ("pve-fw-comment-spec", &["any text"], &["two\nlines"]),
    ("pve-fw-conntrack-helper", &["ftp", "ftp,sip"], &["http", "ftp,"]),
    (
        "pve-fw-dport-spec",
        &["80", "80,443", "8000:8100", "https"],
        &["80,", "70000", "9:8", "8 0", "80, 443"],
    ),
    ("pve-fw-icmp-type-spec", &["any", "echo-request", "no-route"], &["8", "3/1", "echo"]),
    ("pve-fw-protocol-spec", &["tcp", "17", "ipv6-icmp"], &["t p", "300"]),
    ("pve-fw-sport-spec", &["1024:65535"], &["70000"]),
    ("pve-groupid", &["admins", "a.b-c_d"], &["", "a b", "a/b"]),
    ("pve-ha-group-node", &["pve1", "pve1:2"], &["pve1:", ":2", "pve_1"]),
    ("pve-ha-node", &["pve1", "pve1:2"], &["pve1:x"]),
    ("pve-ha-resource-id", &["vm:105", "ct:106"], &["105", "VM:105", "vm:"]),
    ("pve-ha-resource-or-vm-id", &["vm:105", "105"], &["vm", "vm:"]),
    ("pve-hotplug-features", &["network,disk,usb", "0", "1"], &["network,gpu"]),
    (
        "pve-iface",
        &["eno1", "vmbr0", "bond0.100", "ENP3s0f0:1"],
        &["e", "a b", "-x", "x/y", "my-iface", "9x", "eno1."],
    ),
    ("pve-ipv4-config", &["dhcp", "manual", "10.0.0.5/24"], &["auto", "10.0.0.5"]),
    ("pve-ipv6-config", &["auto", "dhcp", "fd00::5/64"], &["10.0.0.5/24", "fd00::5"]),
    ("pve-lxc-dev-string", &["/dev/ttyUSB0"], &["ttyUSB0", "/etc/passwd", "/dev/../etc/passwd"]),
    ("pve-lxc-mp-string", &["/mnt/data", "mnt"], &["/mnt/../etc", "../x", "/./x"]),
    ("pve-node", &["pve1", "p", "node-2"], &["", "-a", "a-", "a.b", "a_b", "a/b"]),
    ("pve-phys-bits", &["host", "40"], &["7", "65", "x"]),
    ("pve-poolid", &["dev", "dev/web"], &["", "/dev", "a/b/c/d", "a b"]),
    ("pve-priv", &["VM.Audit"], &["VM Audit", ""]),
    (
        "pve-qm-bootdev",
        &["scsi30", "net0", "usb13", "hostpci15", "ide2"],
        &["", "scsi31", "scsi99", "foo1", "efidisk0", "tpmstate0", "net32", "net00", "scsi", "usb14"],
    ),
    ("pve-qm-bootdisk", &["scsi0", "virtio1"], &["scsi", "net0", "disk0", "ide4", "scsi00"]),
    ("pve-qm-ide", &["local:iso/x.iso", "none,media=cdrom"], &["", "media=cdrom", "x"]),
    ("pve-realm", &["pam", "my-ad.1"], &["p", "1pam", "a b"]),
    ("pve-replication-job-id", &["105-0"], &["backup-weekly", "105", "99-0", "105-"]),
    ("pve-roleid", &["PVEAdmin"], &["", "a b"]),
    ("pve-sdn-bgp-rt", &["65000:100"], &["65000", "a:b", ":", "10.0.0.1:7"]),
    ("pve-sdn-controller-id", &["evpn1", "my-ctl"], &["1a", "a-", "a b"]),
    ("pve-sdn-dns-id", &["pdns"], &["1a", "a-b"]),
    ("pve-sdn-fabric-id", &["fab-1"], &["toolongname", "a b", "-a", "a_b"]),
    ("pve-sdn-ipam-id", &["pve"], &["p-v", "1a"]),
    ("pve-sdn-isis-net", &["47.0023.0000.0000.0000.0000.0000.0000.1900.0004.00"], &["47", "47.00.00", "x"]),
    ("pve-sdn-prefix-list-id", &["pl1"], &["", "a b"]),
    ("pve-sdn-route-map-id", &["rm1"], &["", "a b"]),
    ("pve-sdn-subnet-id", &["zone1-10.0.0.0-24", "10.0.0.0/24"], &["", "a b", "zone1-10.0.0.0"]),
    ("pve-sdn-vnet-id", &["vnet1"], &["1v", "v-1", "v"]),
    ("pve-sdn-zone-id", &["zone1"], &["1z", "z_1"]),
    ("pve-storage-content", &["images", "vztmpl"], &["", "a b", "image"]),
    ("pve-storage-id", &["local", "local-lvm", "a.b_c1"], &["l", "1local", "local-", "a b", "a/b"]),
    ("pve-storage-options", &["vers=4.2,soft"], &["a\nb", "vers=4.2, soft", ""]),
    ("pve-storage-path", &["/mnt/backup"], &["mnt", "", "/", "/(x", "/a\nb"]),
    ("pve-storage-path-in-property-string", &["/mnt/backup"], &["mnt", "/,b", "/=b"]),
    (
        "pve-storage-portal-dns",
        &["10.0.0.1:3260", "san.example.com", "[fd00::1]:3260", "fd00::1"],
        &["", "10.0.0.1:port", "a b"],
    ),
    ("pve-storage-server", &["10.0.0.1", "nas.example.com"], &["", "a b", "nfs://x", "0"]),
    ("pve-storage-vgname", &["pve", "vg_1"], &["", "-vg", "a b", "v", "vg+1", "vg_"]),
    ("pve-storage-zfs-blocksize", &["8k", "16384", "1M"], &["9k", "8x", "256", "32m", "08k"]),
    ("pve-tag", &["web", "_x", "1a+b.c-d"], &["", "a b", "-x", "a/b"]),
    ("pve-task-status-type", &["ok", "warning", "OK"], &["fine", ""]),
    ("pve-tokenid", &["root@pam!agent"], &["root@pam", "root!agent", "root@pam!1"]),
    ("pve-userid", &["root@pam", "a.b@my-realm"], &["root", "@pam", "a b@pam", "a/b@pam", "a:b@pam"]),
    ("pve-vlan-id-or-range", &["10", "10-20"], &["1", "4095", "20-10", "x", "10-"]),
    (
        "pve-vm-cputype",
        &["host", "x86-64-v2-AES", "EPYC-v4", "EPYC-Milan-v9", "486", "custom-mine"],
        &["foo", "Host", "", "x86-64-v5", "custom-", "EPYC-v", "-v4"],
    ),
    ("pve-vmid", &["100", "999999999"], &["99", "0100", "1000000000", "x", "-100", "1e3"]),
    (
        "pve-volume-id",
        &["local:iso/x.iso", "local-lvm:vm-105-disk-0", "local-lvm:32"],
        &["local", "local:", ":x", "1:x"],
    ),
    ("pve-volume-id-or-absolute-path", &["local:1", "/dev/sdb"], &["dev/sdb", ""]),
    ("pve-volume-id-or-qm-path", &["local-lvm:32", "none", "cdrom", "/dev/sdb"], &["nothing", ""]),
    ("storage-pair", &["local:nfs1", "local", "1"], &["local:", ":", "1:2"]),
    ("string", &["any thing"], &[]),
    ("urlencoded", &["ssh-ed25519%20AAAA%3D"], &["a b", "a=b", "a/b", "a+b"]),
];

#[test]
fn every_format_takes_and_refuses_what_it_should() {
    assert_eq!(
        SAMPLES.iter().map(|(name, ..)| *name).collect::<Vec<_>>(),
        FORMATS.iter().map(|row| row.name).collect::<Vec<_>>(),
        "each format of the table has samples",
    );
    for (name, good, bad) in SAMPLES {
        for value in *good {
            assert_eq!(outcome(name, value), Outcome::Fits, "{name}: {value:?}");
        }
        for value in *bad {
            assert!(matches!(outcome(name, value), Outcome::Refused(_)), "{name}: {value:?}");
        }
    }
}

#[test]
fn a_suffix_makes_a_list_or_lets_it_be_empty() {
    for (name, value, fits) in [
        ("pve-vmid-list", "100,101;102 103\0 104", true),
        ("pve-vmid-list", "100,,101", true),
        ("pve-vmid-list", "100,99", false),
        ("pve-vmid-list", "", true),
        ("email-opt", "", true),
        ("email-opt", "root", false),
        ("email-or-username-list", "root,admin@example.com", true),
        ("pve-tag-list", "web;prod", true),
    ] {
        assert_eq!(outcome(name, value) == Outcome::Fits, fits, "{name}: {value:?}");
    }
    assert_eq!(outcome("pve-something-new", "x"), Outcome::Unknown);
    assert_eq!(outcome("pve-something-new-list", "x"), Outcome::Unknown);
}

#[test]
fn every_format_of_every_release_is_known_but_these() {
    const UNKNOWN: [&str; 1] = ["pve-sdn-fabric-wireguard-interface"];
    let mut names = BTreeSet::new();
    for (_, catalog) in testing::catalogs() {
        for endpoint in catalog.endpoints() {
            let parameters = endpoint.parameters.iter();
            parameters
                .for_each(|parameter| testing::schemas(parameter, &mut |schema| named(schema, &mut names)));
        }
    }
    assert!(names.len() > 100, "{}", names.len());
    let unknown: Vec<_> = names
        .iter()
        .filter(|name| keys::of(name).is_none() && matches!(outcome(name, "x"), Outcome::Unknown))
        .collect();
    assert_eq!(unknown, UNKNOWN);
}

fn named(schema: &Schema, names: &mut BTreeSet<String>) {
    if let Some(Format::Named(name)) = &schema.format {
        names.insert(name.clone());
    }
}
