//! `pveum` as a node has it, in front of a simulated cluster: the same words, outputs and exit codes, and the simulated
//! cluster's REST behind them.
//!
//! In: the words of a `pveum` call, and where the cluster is, from a file: `$PVEUM_STAND_IN`, else `/etc/pveum-stand-in`. Its
//! lines are `daemon = URL`, `token = FILE`, and for tests `calls = FILE` (each call is a line there), `kill = N before|after`
//! (the program that makes the N-th call that changes something dies then), `refuse = N` (the N-th such call is refused).

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use serde_json::Value;

/// What `pveum` exits with when the API refuses.
const REFUSED: u8 = 255;

/// Words, method, path with the names of the words that follow, and whether it prints what is answered.
#[rustfmt::skip]
const CALLS: &[(&[&str], &str, &str, bool)] = &[
    (&["user", "list"], "GET", "/access/users", true),
    (&["user", "add"], "POST", "/access/users <userid>", false),
    (&["user", "modify"], "PUT", "/access/users/{userid}", false),
    (&["user", "delete"], "DELETE", "/access/users/{userid}", false),
    (&["user", "permissions"], "GET", "/access/permissions <userid>", true),
    (&["user", "token", "list"], "GET", "/access/users/{userid}/token", true),
    (&["user", "token", "add"], "POST", "/access/users/{userid}/token/{tokenid}", true),
    (&["user", "token", "modify"], "PUT", "/access/users/{userid}/token/{tokenid}", true),
    (&["user", "token", "delete"], "DELETE", "/access/users/{userid}/token/{tokenid}", true),
    (&["user", "token", "remove"], "DELETE", "/access/users/{userid}/token/{tokenid}", true),
    (&["role", "list"], "GET", "/access/roles", true),
    (&["role", "add"], "POST", "/access/roles <roleid>", false),
    (&["role", "modify"], "PUT", "/access/roles/{roleid}", false),
    (&["role", "delete"], "DELETE", "/access/roles/{roleid}", false),
    (&["acl", "list"], "GET", "/access/acl", true),
    (&["acl", "modify"], "PUT", "/access/acl <path>", false),
    (&["acl", "delete"], "PUT", "/access/acl <path> delete", false),
    (&["pool", "list"], "GET", "/pools", true),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(said) => {
            eprint!("{said}");
            if !said.ends_with('\n') {
                eprintln!();
            }
            ExitCode::from(REFUSED)
        }
    }
}

fn run(words: &[String]) -> Result<(), String> {
    let settings = settings()?;
    let (begins, method, path, prints) = CALLS
        .iter()
        .filter(|(begins, ..)| words.len() >= begins.len() && begins.iter().zip(words).all(|(a, b)| a == b))
        .max_by_key(|(begins, ..)| begins.len())
        .ok_or_else(|| {
            format!(
                "ERROR: unknown command 'pveum {}'\nUSAGE: pveum <COMMAND> [ARGS] [OPTIONS]",
                words.join(" ")
            )
        })?;
    let (mut given, mut options) = (Vec::new(), BTreeMap::new());
    let mut rest = words[begins.len()..].iter();
    while let Some(word) = rest.next() {
        match word.strip_prefix("--").or_else(|| word.strip_prefix('-').filter(|name| !name.is_empty())) {
            None => given.push(word.clone()),
            Some(option) => {
                let (name, value) = match option.split_once('=') {
                    Some((name, value)) => (name.to_owned(), value.to_owned()),
                    None => (option.to_owned(), rest.next().ok_or("Option requires an argument")?.clone()),
                };
                options.insert(name, value);
            }
        }
    }
    let form = options.remove("output-format").unwrap_or_else(|| "text".to_owned());
    let target = place(path, given, &mut options, begins)?;
    let changes = *method != "GET";
    log(&settings, words)?;
    kill(&settings, changes, "before");
    if changes && settings.get("refuse").is_some_and(|number| number.parse() == Ok(made(&settings))) {
        return Err("cannot write: as the test has it".to_owned());
    }
    let answered = ask(&settings, method, &target, &options);
    kill(&settings, changes, "after");
    let data = answered?;
    match (prints, form.as_str()) {
        (false, _) => {}
        (true, "json") => print!("{data}"),
        (true, "json-pretty") => println!("{data:#}"),
        (true, _) if data.is_null() => {}
        (true, _) => println!("{data:#}"),
    }
    Ok(())
}

/// The path of the call, and into the options what it takes by place.
fn place(
    path: &str,
    given: Vec<String>,
    options: &mut BTreeMap<String, String>,
    begins: &[&str],
) -> Result<String, String> {
    let mut words = path.split(' ');
    let mut target = words.next().unwrap_or_default().to_owned();
    let mut given = given.into_iter();
    let mut missing =
        || given.next().ok_or_else(|| format!("400 not enough arguments\npveum {} …", begins.join(" ")));
    while let Some(start) = target.find('{') {
        let end = target[start..].find('}').map_or(target.len(), |end| start + end + 1);
        target.replace_range(start..end, &encoded(&missing()?));
    }
    for word in words {
        match word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) {
            Some(name) => drop(options.insert(name.to_owned(), missing()?)),
            None => drop(options.insert(word.to_owned(), "1".to_owned())),
        }
    }
    match given.next() {
        Some(_) => Err("400 too many arguments".to_owned()),
        None => Ok(target),
    }
}

fn settings() -> Result<BTreeMap<String, String>, String> {
    let file = std::env::var("PVEUM_STAND_IN").unwrap_or_else(|_| "/etc/pveum-stand-in".to_owned());
    let text = fs::read_to_string(&file).map_err(|error| format!("pveum stand-in: {file}: {error}"))?;
    let pair = |line: &str| line.split_once('=').map(|(a, b)| (a.trim().to_owned(), b.trim().to_owned()));
    Ok(text.lines().filter_map(pair).collect())
}

fn log(settings: &BTreeMap<String, String>, words: &[String]) -> Result<(), String> {
    let Some(file) = settings.get("calls") else { return Ok(()) };
    let opened = fs::OpenOptions::new().append(true).create(true).open(file);
    opened.and_then(|mut file| writeln!(file, "{}", words.join(" "))).map_err(|error| error.to_string())
}

/// The program that called, where a test wants that.
fn kill(settings: &BTreeMap<String, String>, changes: bool, when: &str) {
    let Some((number, at)) = settings.get("kill").and_then(|kill| kill.split_once(' ')) else { return };
    if !changes || at != when {
        return;
    }
    if number.parse() == Ok(made(settings)) {
        let parent = nix::unistd::getppid();
        let _ = nix::sys::signal::kill(parent, nix::sys::signal::Signal::SIGKILL);
        // As where the power goes: the call is not made, either.
        if when == "before" {
            std::process::exit(i32::from(REFUSED));
        }
    }
}

/// How many calls that change something there were, this one among them.
fn made(settings: &BTreeMap<String, String>) -> usize {
    let calls = settings.get("calls").and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    calls.lines().filter(|line| !line.contains(" list")).count()
}

fn ask(
    settings: &BTreeMap<String, String>,
    method: &str,
    path: &str,
    options: &BTreeMap<String, String>,
) -> Result<Value, String> {
    let broke = |error: std::io::Error| format!("ipcc_send_rec[1] failed: {error}");
    let need =
        |name: &str| settings.get(name).ok_or_else(|| format!("pveum stand-in: it is not told {name}"));
    let address = need("daemon")?.trim_start_matches("http://").to_owned();
    let token = fs::read_to_string(need("token")?).map_err(broke)?;
    let form: Vec<String> =
        options.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let form = form.join("&");
    let (query, body) = match method {
        "GET" | "DELETE" if !form.is_empty() => (format!("?{form}"), String::new()),
        _ => (String::new(), form),
    };
    let mut stream = TcpStream::connect(&address).map_err(broke)?;
    write!(
        stream,
        "{method} /api2/json{path}{query} HTTP/1.1\r\nHost: {address}\r\nAuthorization: PVEAPIToken={}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        token.trim(),
        body.len()
    )
    .map_err(broke)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(broke)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer has no end")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    let reason = head.lines().next().and_then(|line| line.splitn(3, ' ').nth(2)).unwrap_or_default();
    let body: Value = serde_json::from_str(body.trim()).unwrap_or_default();
    if status == "200" {
        return Ok(body["data"].clone());
    }
    let errors = body["errors"].as_object();
    match errors {
        Some(errors) => {
            let lines: String = errors
                .iter()
                .map(|(name, why)| format!("{name}: {}\n", why.as_str().unwrap_or_default().trim()))
                .collect();
            Err(format!("{status} {reason}\n{lines}"))
        }
        None => Err(reason.to_owned()),
    }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
