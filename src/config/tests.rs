use super::*;

fn refused(text: &str) -> String {
    parse(Path::new("/etc/provost/provost.toml"), text).expect_err("must be refused").to_string()
}

#[test]
fn an_empty_file_lists_no_container_and_no_role() {
    let config = parse(Path::new("x"), "").unwrap();
    assert!(!config.exec.enabled && !config.exec.privileged && !config.exec.host);
    assert!(!config.exec.containers.contains(101));
    assert!(config.roles.is_empty() && config.approval.members.is_empty());
}

#[test]
fn what_only_full_has_waits_for_approval_unless_the_role_says_otherwise() {
    let of = |keys: &str| {
        let text = format!("[[role]]\nname='a'\nmembers=[]\n{keys}");
        parse(Path::new("x"), &text).unwrap().roles[0].approval().to_vec()
    };
    assert_eq!(of(""), [Tier::Destructive, Tier::Lockout, Tier::Host]);
    assert_eq!(of("approval=['host']"), [Tier::Host]);
    assert_eq!(of("approval=[]"), []);
}

#[test]
fn what_is_not_written_of_the_api_is_as_the_product_has_it() {
    let host = tempfile::tempdir().unwrap();
    let on = |text: &str| parse_on(host.path(), Path::new("x"), text).unwrap().pve;
    assert_eq!(on("").url, "https://127.0.0.1:8006");
    std::fs::create_dir_all(host.path().join("usr/sbin")).unwrap();
    std::fs::write(host.path().join("usr/sbin/proxmox-backup-manager"), "").unwrap();
    let pve = on("");
    assert_eq!(
        (pve.product(), pve.url.as_str(), pve.daemon.as_str()),
        (Product::Backup, "https://127.0.0.1:8007", "")
    );
    let pve = on("[pve]\nurl = 'https://127.0.0.1:8006'\ncertificate = '/x.pem'");
    assert_eq!((pve.product(), pve.url.as_str()), (Product::Backup, "https://127.0.0.1:8006"));
    assert_eq!(pve.certificate, Path::new("/x.pem"));
    let pve = on("[pve]\nproduct = 'pve'");
    assert_eq!((pve.product(), pve.daemon.as_str()), (Product::Pve, "http://127.0.0.1:85"));
    let pve = on("[pve]\nproduct = 'datacenter'");
    assert!(pve.url.ends_with(":8443") && pve.apidoc.to_str().unwrap().contains("datacenter"));
    assert!(refused("[pve]\nproduct = 'backups'").contains("\"backup\""));
}

#[test]
fn the_documented_example_is_accepted() {
    let config = parse(Path::new("x"), include_str!("example.toml")).unwrap();
    assert_eq!(config.roles[0].name, "operator");
    assert!(config.exec.containers.contains(101) && config.exec.containers.contains(250));
    assert!(!config.exec.containers.contains(300));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_valid_one() {
    let message = refused("[exec]\nenabled = true\ncontainer = [101]\n");
    assert!(message.contains("line 3") && message.contains("\"containers\""), "{message}");
    let message = refused("[[role]]\nname='a'\nmembers=[]\nprofil='full'\n");
    assert!(message.contains("\"profile\""), "{message}");
}

#[test]
fn what_is_wrong_only_beside_the_rest_is_refused_with_its_line_too() {
    for (text, says) in [
        ("# a\n[exec]\nenabled=true\nmax_parallel=0", "line 4: [exec] max_parallel is 0"),
        ("[exec]\nmax_output=4194304\n\nmax_parallel=1024", "line 2: [exec] max_output"),
        ("exec.max_parallel=0", "line 1: [exec] max_parallel"),
        ("[exec]\nhost_roots=[\n'/srv',\n'/']", "line 2: [exec] host_roots: /"),
        ("[approval]\nmembers=['vm:120']", "line 2: [approval] members"),
        ("[[role]]\nname='a'\nmembers=[]\n\n[[role]]\nname='a'\nmembers=[]", "line 6: role \"a\""),
        // What a key that is not there comes to.
        ("[listen]\nmax_sessions=0", "line 2: [listen] max_sessions is 0"),
    ] {
        let message = refused(text);
        assert!(message.starts_with(&format!("/etc/provost/provost.toml: {says}")), "{text}: {message}");
    }
}

#[test]
fn every_error_of_the_text_itself_names_its_line_and_what_would_be_right() {
    for (text, line, says) in [
        ("[exec\nenabled = true", 1, "expected `]`"),
        ("[listen]\nunix = /run/x", 2, "string"),
        ("[exec]\nenabled = 'yes'", 2, "expected a boolean"),
        ("[exec]\n[exec]", 2, "duplicate key"),
        ("[exce]", 1, "\"exec\""),
        ("[[role]]\nmembers=[]", 1, "missing field `name`"),
        ("[[role]]\nname='a'\nmembers=['alice']", 3, "user:alice"),
    ] {
        let message = refused(text);
        assert!(message.contains(&format!("line {line}, ")) && message.contains(says), "{text}: {message}");
    }
}

#[test]
fn values_that_mean_nothing_are_refused_with_what_would() {
    for (text, says) in [
        ("[listen]\nhttp_hosts=['https://x.example']", "provost.example.org"),
        ("[listen]\nhttp_origins=['null']", "https://chat.example.org"),
        ("[exec]\ncontainers=['200-199']", "200-199"),
        ("[exec]\ncontainers=[0]", "guest id"),
        ("[exec]\ncontainers=['tag:ai']", "tag:ai"),
        ("[[role]]\nname='a'\nmembers=['alice']", "user:alice"),
        ("[[role]]\nname='a'\nmembers=[]\nprofile='root'", "observe"),
        ("[[role]]\nname='a'\nmembers=[]\nrate='fast'", "30/min"),
        ("[[role]]\nname='a'\nmembers=[]\n[[role]]\nname='a'\nmembers=[]", "twice"),
        ("[[role]]\nname='a'\nmembers=[]\napproval=['read']", "destructive"),
        ("[[role]]\nname='a'\nmembers=[]\ntainted_approval=['all']", "change"),
        ("[[role]]\nname='a'\nmembers=[]\ndeny=['/access']", "GET /access/*"),
        ("[approval]\nmembers=['alice']", "user:alice"),
        ("[approval]\nmembers=['vsock:1101']", "a person on the node"),
        ("[approval]\nmembers=['vm:120']", "a person on the node"),
        ("[[role]]\nname='a'\nmembers=['vsock:2']", "from 3 to"),
        ("[[role]]\nname='a'\nmembers=['vsock:4294967295']", "from 3 to"),
        ("[[role]]\nname='a'\nmembers=['vm:99']", "from 100 on"),
        ("[listen]\nvsock=0", "1 to 4294967294"),
        ("[listen]\nunix_mode='0999'", "octal"),
        ("[exec]\nhost_roots=['/']", "host_roots"),
        ("[exec]\nhost_roots=['etc']", "host_roots"),
        ("[exec]\nhost_roots=['/etc/../root']", "host_roots"),
        ("[exec]\nhost_roots=['/proc/sys']", "window into the kernel"),
    ] {
        let message = refused(text);
        assert!(message.contains(says), "{text}: {message}");
    }
}
