//! The entering process in the eyes of a hostile root of the container: from before it joins the namespaces until its
//! exec it is undumpable, so there is nothing to open (CVE-2016-9962, CVE-2019-5736).

use std::io::{BufRead, BufReader, Read};

use serde_json::json;

use crate::own::Own;

const PEEPER: &str = include_str!("peeper.py");
const CALLS: u64 = 200;

#[test]
fn no_process_is_open_to_the_containers_root_before_its_exec() {
    // The names are looked up inside, after the namespaces are joined: a long file makes that moment long.
    let mut passwd = String::from("root:x:0:0:root:/root:/bin/sh\n");
    (0..10_000).for_each(|number| {
        passwd.push_str(&format!("nobody{number}:x:{}:1::/:/bin/false\n", 100_000 + number))
    });
    passwd.push_str("worker:x:2000:2000::/:/bin/sh\n");
    let own = Own::start(&[("etc/passwd", &passwd), ("etc/group", "root:x:0:\nworker:x:2000:\n")], "");
    let node = own.place.node();

    let mut peeper = own.place.attach(&[], &["python3", "-I", "-c", PEEPER, "provost-execd"]);
    let mut said = BufReader::new(peeper.stdout.take().expect("its output"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");

    let mut client = node.client();
    for call in 0..CALLS {
        // Half as root, half as another user, who is not looked up until the process is inside.
        let user = if call % 2 == 0 { "worker" } else { "root" };
        let ended = client.exec(json!({
            "guest": own.place.guest, "argv": ["/bin/sleep", "0.02"], "mode": "change", "user": user,
        }));
        assert_eq!(ended["exit_code"], 0, "{ended}");
    }
    drop(peeper.stdin.take());
    let mut text = String::new();
    said.read_to_string(&mut text).expect("its report");
    assert!(peeper.wait().expect("it ends").success());
    eprintln!("{text}");
    let times = |what: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(": "));
        line.map_or(0, |times| times.parse().expect("a number"))
    };

    assert!(!text.contains("got into"), "{text}");
    // It did look, in time and at the right processes.
    assert!(times("met") > CALLS / 2, "{text}");
    for way in ["exe", "mem", "environ", "fd", "maps", "cwd", "root"] {
        assert!(times(&format!("refused {way}")) > CALLS, "{way}: {text}");
        assert!(times(&format!("opened {way} of the command")) > CALLS / 4, "{way}: {text}");
    }
}
