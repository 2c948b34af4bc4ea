//! What is said of a request, in words that PVE's clients know, and what is sent.

use serde_json::{Value, json};

use crate::catalog::{
    Catalog, Checked, Endpoint, Fault, Format, Kind, Method, Parameter, PathFault, Permission, Problem,
    Release, Schema, testing,
};

fn check(method: Method, path: &str, args: &Value) -> Result<Checked, Vec<Problem>> {
    let found = testing::catalog(Release::V9_2).endpoint(method, path).unwrap();
    found.check(args.as_object().unwrap())
}

fn refused(method: Method, path: &str, args: &Value) -> Vec<String> {
    check(method, path, args).unwrap_err().iter().map(Problem::to_string).collect()
}

#[test]
fn all_problems_come_in_one_answer() {
    let args = json!({
        "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=9999,bridg=1", "net77": "virtio", "memori": 512,
        "cores": 0, "onboot": "maybe", "bios": "uefi", "name": "a b",
    });
    insta::assert_snapshot!(refused(Method::Put, "/nodes/pve1/qemu/105/config", &args).join("\n"), @"
    bios: value 'uefi' does not have a value in the enumeration 'seabios, ovmf'
    cores: value must have a minimum value of 1
    memori: property is not defined in schema and the schema does not allow additional properties; near it are memory
    name: invalid format - invalid DNS name 'a b'
    net0.bridg: property is not defined in schema and the schema does not allow additional properties; near it are bridge
    net0.tag: value must have a maximum value of 4094
    net77: property is not defined in schema and the schema does not allow additional properties; the highest number is 31
    onboot: type check ('boolean') failed - got 'maybe'
    ");
}

#[test]
fn pves_own_words_are_there_for_who_answers_like_pve() {
    let problems = |path, args| check(Method::Get, path, &args).unwrap_err();
    let of = |path, args| Problem::pve_errors(&problems(path, args));
    // As recorded from PVE 9.2.
    assert_eq!(
        of("/nodes/pve1/storage/fast/file-restore/list", json!({})),
        [
            ("filepath", "property is missing and it is not optional"),
            ("volume", "property is missing and it is not optional")
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
    );
    assert_eq!(
        of("/cluster/replication/backup-weekly", json!({}))["id"],
        "invalid format - invalid replication job id 'backup-weekly'\n"
    );
}

#[test]
fn a_value_is_shown_unless_it_is_secret_at_that_endpoint() {
    let storage = json!({"storage": "extra", "type": "dir", "path": "/mnt/extra", "content": "iso,foo"});
    assert_eq!(
        refused(Method::Post, "/storage", &storage),
        ["content: invalid format - invalid storage content type 'iso,foo'"]
    );
    let written = json!({"file": "/etc/motd", "content": "s3cr3t".repeat(20_000)});
    let problems = refused(Method::Post, "/nodes/pve1/qemu/105/agent/file-write", &written).join("\n");
    assert!(problems.starts_with("content:") && !problems.contains("s3cr3t"), "{problems}");
    let token = json!({"name": "dns1", "key": {"s3cr3t": 1}});
    assert!(!refused(Method::Put, "/cluster/sdn/dns/dns1", &token).join("\n").contains("s3cr3t"));
}

#[test]
fn a_space_that_is_all_that_is_wrong_is_shown() {
    let fabric = json!({"id": "fab1", "protocol": "openfabric "});
    let problems = refused(Method::Post, "/cluster/sdn/fabrics/fabric", &fabric).join("\n");
    assert!(problems.contains("value 'openfabric ' does not have"), "{problems}");
    assert!(problems.contains("nearest is 'openfabric'"), "{problems}");
}

#[test]
fn a_request_is_rendered_with_every_value_encoded() {
    let checked = check(
        Method::Put,
        "/nodes/pve1/lxc/105/config",
        &json!({"net0": "name=eth0,bridge=vmbr0,ip=dhcp", "onboot": true, "delete": ["mp0", "mp1"], "description": null}),
    )
    .unwrap();
    assert_eq!(checked.path(), "/nodes/pve1/lxc/105/config");
    assert_eq!(checked.form(), "delete=mp0%2Cmp1&net0=name%3Deth0%2Cbridge%3Dvmbr0%2Cip%3Ddhcp&onboot=1");
    assert_eq!((checked.node(), checked.protected()), (Some("pve1"), true));
    assert_eq!(checked.template(), "/nodes/{node}/lxc/{vmid}/config");
    assert!(checked.unchecked().is_empty());
}

#[test]
fn what_stands_in_the_path_may_be_given_beside_it_but_not_otherwise() {
    let path = "/nodes/pve1/lxc/105/status/start";
    assert!(check(Method::Post, path, &json!({"vmid": 105, "node": "pve1"})).is_ok());
    let problems = check(Method::Post, path, &json!({"vmid": 106})).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].parameter.as_str(), &problems[0].fault), ("vmid", &Fault::Conflict));
}

#[test]
fn an_object_becomes_a_property_string() {
    let net = json!({"model": "virtio", "bridge": "vmbr0", "firewall": true, "tag": 5});
    let checked = check(Method::Put, "/nodes/pve1/qemu/105/config", &json!({"net0": net})).unwrap();
    assert_eq!(checked.pairs(), [("net0".to_owned(), "virtio,bridge=vmbr0,firewall=1,tag=5".to_owned())]);
    let mount = json!({"mp0": {"volume": "local-lvm:8", "mp": "/mnt/a,b"}});
    assert_eq!(
        refused(Method::Put, "/nodes/pve1/lxc/105/config", &mount),
        ["mp0.mp: a property string cannot hold a comma within a value"]
    );
    let order = json!({"startup": {"order": 3, "up": 30}, "boot": {"order": ["scsi0", "net0"]}});
    let checked = check(Method::Put, "/nodes/pve1/qemu/105/config", &order).unwrap();
    assert_eq!(checked.form(), "boot=order%3Dscsi0%3Bnet0&startup=3%2Cup%3D30");
}

#[test]
fn a_property_string_is_read_as_pve_reads_it() {
    let lxc = |value: &str| refused_or_not("/nodes/pve1/lxc/105/config", "net0", value);
    assert_eq!(lxc("name=eth0,bridge=vmbr0"), [""; 0]);
    assert_eq!(lxc("bridge=vmbr0"), ["net0.name: property is missing and it is not optional"]);
    assert_eq!(
        lxc("eth0"),
        [
            "net0: invalid format - value without key, and no key is the default: 'eth0'",
            "net0.name: property is missing and it is not optional",
        ]
    );
    assert_eq!(lxc("name=eth0,name=eth1"), ["net0.name: invalid format - given twice"]);
    let qemu = |value: &str| refused_or_not("/nodes/pve1/qemu/105/config", "net0", value);
    assert_eq!(qemu("e1000=BC:24:11:00:00:01"), [""; 0]);
    assert_eq!(qemu("virtio,model=e1000"), ["net0.model: invalid format - given twice"]);
    assert_eq!(
        qemu("virtual"),
        [
            "net0.model: value 'virtual' does not have a value in the enumeration 'e1000, e1000-82540em, e1000-82544gc, \
         e1000-82545em, e1000e, i82551, i82557b, i82559er, ne2k_isa, ne2k_pci, pcnet, rtl8139, virtio, vmxnet3'; nearest \
         is 'virtio'"
        ]
    );
}

fn refused_or_not(path: &str, name: &str, value: &str) -> Vec<String> {
    check(Method::Put, path, &json!({name: value}))
        .err()
        .into_iter()
        .flatten()
        .map(|problem| problem.to_string())
        .collect()
}

#[test]
fn a_name_that_pve_has_under_another_is_asked_for() {
    let problems = refused(Method::Post, "/nodes/pve1/qemu", &json!({"vmid": 100, "memry": 1, "sockts": 1}));
    assert_eq!(problems.len(), 2);
    assert!(problems[0].ends_with("; near it are memory"), "{problems:?}");
    assert!(problems[1].contains("sockets"), "{problems:?}");
}

#[test]
fn types_are_as_loose_as_perl_and_no_looser() {
    let with = |name: &str, value: Value| {
        check(Method::Put, "/nodes/pve1/qemu/105/config", &json!({name: value}))
            .map(|checked| checked.pairs()[0].1.clone())
            .map_err(|problems| problems[0].fault.clone())
    };
    for (value, sent) in [
        (json!(true), "1"),
        (json!(false), "0"),
        (json!(1), "1"),
        (json!("YES"), "1"),
        (json!("off"), "0"),
        (json!("0"), "0"),
    ] {
        assert_eq!(with("onboot", value.clone()), Ok(sent.to_owned()), "{value}");
    }
    for (value, sent) in [(json!(4), "4"), (json!("4"), "4"), (json!(4.0), "4")] {
        assert_eq!(with("cores", value.clone()), Ok(sent.to_owned()), "{value}");
    }
    for value in [
        json!(4.5),
        json!("4.5"),
        json!("0x4"),
        json!(" 4"),
        json!("1e1"),
        json!([4]),
        json!({}),
        json!(""),
        json!("4\n"),
    ] {
        assert!(matches!(with("cores", value.clone()), Err(Fault::Type { .. })), "{value}");
    }
    for value in [json!("1.5"), json!(0.5), json!("1e1")] {
        assert!(with("cpulimit", value.clone()).is_ok(), "{value}");
    }
    for value in [json!("nan"), json!("inf"), json!("one"), json!("")] {
        assert!(matches!(with("cpulimit", value.clone()), Err(Fault::Type { .. })), "{value}");
    }
}

#[test]
fn a_list_may_be_an_array_or_a_string() {
    for vms in [json!("100,101"), json!("100 101"), json!([100, 101]), json!(["100", "101"])] {
        let checked = check(Method::Put, "/pools/dev", &json!({"vms": vms})).unwrap();
        assert!(matches!(checked.pairs()[0].1.as_str(), "100,101" | "100 101"));
    }
    // A string is one value where it can be, as a command line with spaces is; else it is a list of them.
    let fabric = |delete: Value| json!({"protocol": "openfabric", "delete": delete});
    for value in [json!(["hello_interval", "csnp_interval"]), json!("hello_interval,csnp_interval")] {
        let checked = check(Method::Put, "/cluster/sdn/fabrics/fabric/fab1", &fabric(value)).unwrap();
        let sent: Vec<_> = checked.pairs().iter().filter(|(name, _)| name == "delete").collect();
        assert_eq!(sent.len(), 2, "{sent:?}");
    }
    let command = json!({"command": "ls -l /a,b"});
    let checked = check(Method::Post, "/nodes/pve1/qemu/105/agent/exec", &command).unwrap();
    assert_eq!(checked.pairs(), [("command".to_owned(), "ls -l /a,b".to_owned())]);
}

#[test]
fn one_parameter_may_ask_for_another() {
    let problems = refused(Method::Post, "/cluster/backup", &json!({"dow": "mon"}));
    assert!(
        problems.iter().any(|it| it.starts_with("starttime: missing property - 'dow' requires")),
        "{problems:?}"
    );
}

#[test]
fn secrets_are_in_no_message_and_no_debug() {
    let args = json!({"userid": "a@pve", "password": "hunter2"});
    let problems = check(Method::Post, "/access/users", &args).unwrap_err();
    assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
    let long = json!({"userid": "a@pve", "password": "hunter2hunter2"});
    let checked = check(Method::Post, "/access/users", &long).unwrap();
    assert!(!format!("{checked:?}").contains("hunter2") && checked.form().contains("hunter2"));
}

#[test]
fn what_a_guest_wrote_is_not_echoed_raw() {
    let args = json!({"bios": format!("\u{1b}[31m{}", "x".repeat(10_000))});
    let problems = refused(Method::Put, "/nodes/pve1/qemu/105/config", &args);
    assert!(!problems[0].contains('\u{1b}') && problems[0].len() < 400, "{problems:?}");
    let long_name = json!({"x".repeat(100_000): 1});
    let problems = refused(Method::Put, "/nodes/pve1/qemu/105/config", &long_name);
    assert!(problems[0].len() < 400, "{}", problems[0].len());
}

#[test]
fn a_value_that_would_leave_its_place_in_the_path_is_refused() {
    let catalog = testing::catalog(Release::V9_2);
    let endpoint = catalog.template(Method::Get, "/nodes/{node}/tasks/{upid}/log").unwrap();
    for (upid, fault) in [
        ("..", PathFault::Dots),
        ("a/../b", PathFault::Dots),
        ("", PathFault::EmptySegment),
        ("a?b", PathFault::Query),
        ("a\0b", PathFault::Control),
        ("%2e%2e", PathFault::EncodedTwice),
    ] {
        let args = json!({"node": "pve1", "upid": upid});
        let problems = endpoint.check(args.as_object().unwrap()).unwrap_err();
        assert_eq!(problems[0].fault, Fault::Path(fault), "{upid:?}");
    }
    let args = json!({"node": "pve1", "upid": "UPID:pve1:00:11:22:vzdump:a/b:root@pam:"});
    let checked = endpoint.check(args.as_object().unwrap()).unwrap();
    assert_eq!(
        checked.path(),
        "/nodes/pve1/tasks/UPID%3Apve1%3A00%3A11%3A22%3Avzdump%3Aa%2Fb%3Aroot%40pam%3A/log"
    );
}

#[test]
fn a_path_is_rendered_for_showing() {
    let endpoint =
        testing::catalog(Release::V9_2).template(Method::Put, "/nodes/{node}/lxc/{vmid}/config").unwrap();
    let (path, rest) =
        endpoint.render(json!({"node": "pve1", "vmid": 105, "cores": 2}).as_object().unwrap()).unwrap();
    assert_eq!((path.as_str(), Value::Object(rest)), ("/nodes/pve1/lxc/105/config", json!({"cores": 2})));
    let problems = endpoint.render(json!({"node": "../x"}).as_object().unwrap()).unwrap_err();
    let faults: Vec<_> = problems.into_iter().map(|problem| problem.fault).collect();
    assert_eq!(faults, [Fault::Missing, Fault::Path(PathFault::Dots)]);
}

#[test]
fn a_format_or_a_pattern_that_nobody_here_knows_is_passed_and_said() {
    let schema = |format: Option<&str>, pattern: Option<&str>| Schema {
        kind: Kind::String,
        format: format.map(|name| Format::Named(name.into())),
        pattern: pattern.map(str::to_owned),
        ..Schema::default()
    };
    let parameter = |name: &str, schema| {
        Parameter {
            name: name.into(),
            family: false,
            optional: false,
            requires: None,
            schema,
            variants: None,
        }
        .into()
    };
    let endpoint = Endpoint {
        product: crate::product::Product::Pve,
        method: Method::Post,
        path: "/a".into(),
        description: String::new(),
        protected: false,
        proxyto: None,
        allowtoken: true,
        permission: Permission::Root,
        parameters: vec![
            parameter("f", schema(Some("pve-brand-new"), None)),
            parameter("p", schema(None, Some("(?{ system('x') })"))),
        ],
        additional: false,
        returns: Schema::default().into(),
    };
    let catalog = Catalog::new(vec![endpoint]);
    let args = json!({"f": "x", "p": "y"});
    let checked = catalog.endpoints()[0].check(args.as_object().unwrap()).unwrap();
    let unchecked: Vec<_> = checked.unchecked().iter().map(|it| it.what.as_str()).collect();
    assert_eq!(unchecked, ["format pve-brand-new", "pattern (?{ system('x') })"]);
}
