//! `provost client-config CLIENT`: what goes into a well-known MCP client's configuration, and into which file.
//!
//! It reads no secret and changes nothing: who connects is known by the Unix account that ssh logs in to.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::program::typed;
use crate::config;

#[derive(Debug, Args)]
pub struct ClientConfig {
    client: Client,
    /// This node, as the workstation names it for ssh [default: its host name]
    #[arg(long, value_name = "HOST", value_parser = host)]
    host: Option<String>,
    /// The Unix user on the node [default: whoever ssh logs in as]
    #[arg(long, value_name = "USER", value_parser = host)]
    user: Option<String>,
    /// The way: ssh runs the bridge on the node; or a socket that `ssh -L` has brought to the workstation
    #[arg(long, value_enum, default_value_t = Way::Ssh)]
    via: Way,
    /// Many nodes by one entry: hosts as `provost connect` takes them, or the fleet's file
    #[cfg(feature = "agent")]
    #[arg(long, value_name = "HOST|FILE", num_args = 1.., conflicts_with_all = ["host", "user", "via"])]
    fleet: Vec<String>,
    /// What the client calls it [default: the host, where --host names one, else provost]
    #[arg(long, value_name = "NAME", value_parser = host)]
    name: Option<String>,
    /// The snippet alone
    #[arg(long)]
    json: bool,
    /// The configuration [default: /etc/provost/provost.toml]
    #[arg(long, env = "PROVOST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Client {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    Vscode,
    Zed,
    /// Any that starts a program and speaks with it over standard input and output
    Generic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    Ssh,
    Socket,
}

/// Where a client has its configuration, by the system that it runs on; and what to do then.
struct Place {
    /// On each of [`SYSTEMS`].
    files: [&'static str; 3],
    then: &'static str,
}

const SYSTEMS: [&str; 3] = ["Linux", "macOS", "Windows"];

/// None: the client says by itself where.
fn place(client: Client) -> Option<Place> {
    Some(match client {
        Client::ClaudeDesktop => Place {
            files: [
                "~/.config/Claude/claude_desktop_config.json",
                "~/Library/Application Support/Claude/claude_desktop_config.json",
                r"%APPDATA%\Claude\claude_desktop_config.json",
            ],
            then: "Quit Claude Desktop and start it again. (Settings, Developer, Edit Config opens the file.)",
        },
        Client::ClaudeCode => Place {
            files: [".mcp.json in a project"; 3],
            then: "/mcp in a session shows whether it is connected.",
        },
        Client::Cursor => Place {
            files: [
                "~/.cursor/mcp.json, or .cursor/mcp.json in a project",
                "~/.cursor/mcp.json, or .cursor/mcp.json in a project",
                r"%USERPROFILE%\.cursor\mcp.json, or .cursor\mcp.json in a project",
            ],
            then: "Start Cursor again, and switch the server on under MCP in its settings.",
        },
        Client::Vscode => Place {
            files: [
                "~/.config/Code/User/mcp.json, or .vscode/mcp.json in a workspace",
                "~/Library/Application Support/Code/User/mcp.json, or .vscode/mcp.json in a workspace",
                r"%APPDATA%\Code\User\mcp.json, or .vscode\mcp.json in a workspace",
            ],
            then: "The command \"MCP: List Servers\" starts it. (\"MCP: Open User Configuration\" opens the file.)",
        },
        Client::Zed => Place {
            files: [
                "~/.config/zed/settings.json",
                "~/.config/zed/settings.json",
                r"%APPDATA%\Zed\settings.json",
            ],
            then: "Zed takes it up when the file is saved; the agent panel's settings show it.",
        },
        Client::Generic => return None,
    })
}

pub fn run(verb: &ClientConfig) -> ExitCode {
    match shown(&mut anstream::stdout().lock(), verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "provost client-config: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A name that ssh, a shell and a client take as a name: no option, nothing to expand.
fn host(text: &str) -> Result<String, String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:[]%".contains(&byte);
    match !text.is_empty() && text.len() <= 255 && text.bytes().all(good) && !text.starts_with('-') {
        true => Ok(text.to_owned()),
        false => Err("a name has letters, digits, '.', '_' and '-', and does not begin with '-'".into()),
    }
}

fn shown(out: &mut impl Write, verb: &ClientConfig) -> io::Result<()> {
    let host = verb.host.clone().or_else(own_name).unwrap_or_else(|| "NODE".to_owned());
    let login = verb.user.as_ref().map_or(host.clone(), |user| format!("{user}@{host}"));
    let name = verb.name.clone().unwrap_or_else(|| named(verb.host.as_deref()));
    let of_fleet = of_fleet(verb)?;
    let is_fleet = of_fleet.is_some();
    let command = of_fleet.clone().unwrap_or_else(|| command(verb.via, &login, &host));
    let snippet = snippet(verb.client, &name, &command);
    if verb.json {
        return writeln!(out, "{snippet:#}");
    }
    if verb.via == Way::Socket && !is_fleet {
        let remote = config::load(&config::path(verb.config.clone())).map(|config| config.listen.unix);
        let remote = remote.unwrap_or_else(|_| config::Listen::default().unix);
        writeln!(
            out,
            "First, on the workstation, and again whenever it was cut off (not on Windows, whose ssh cannot):\n"
        )?;
        writeln!(
            out,
            "  ssh -N -o StreamLocalBindUnlink=yes -o ExitOnForwardFailure=yes -L \"$HOME/{}:{}\" {login}\n",
            local(&host),
            remote.display()
        )?;
    }
    if verb.client == Client::ClaudeCode {
        writeln!(
            out,
            "This adds it for you in every project:\n\n  claude mcp add --scope user {name} -- {}\n",
            typed(&command)
        )?;
        writeln!(out, "Or, for whoever works in a project:\n")?;
    }
    match place(verb.client) {
        Some(place) => {
            writeln!(out, "Into this file; where it has that key already, the entry within it:")?;
            for (system, file) in SYSTEMS.iter().zip(place.files) {
                writeln!(out, "  {system:<8} {file}")?;
            }
            writeln!(out, "\n{snippet:#}\n\n{}", place.then)?;
        }
        None => writeln!(
            out,
            "The program that the client starts, and its arguments:\n\n{snippet:#}\n\n  {}",
            typed(&command)
        )?,
    }
    if let Some(command) = of_fleet {
        return writeln!(
            out,
            "\nprovost has to be on this machine, too (of the same package; nothing of it runs by itself). Whether every host \
             answers:  {} --check",
            typed(&command)
        );
    }
    writeln!(
        out,
        "\nThe account on {host} has to be in group provost (provost setup --operator NAME) and in a role. ssh must log in without \
         a question: try  ssh {login} provost --version"
    )
}

/// An entry for each node: two of one name would be one. With the characters that every client takes in it.
fn named(host: Option<&str>) -> String {
    let plain = |one: char| if one.is_ascii_alphanumeric() || "_-".contains(one) { one } else { '-' };
    let name: String = host.unwrap_or_default().chars().map(plain).collect();
    match name.trim_matches('-') {
        "" => "provost".to_owned(),
        name => name.to_owned(),
    }
}

/// The command that joins many nodes, where that is wanted.
#[cfg(feature = "agent")]
fn of_fleet(verb: &ClientConfig) -> io::Result<Option<Vec<String>>> {
    let wrong = |message: String| io::Error::new(io::ErrorKind::InvalidInput, message);
    let words = match &verb.fleet[..] {
        [] => return Ok(None),
        // A client starts it in a directory of its own choice.
        [file] if file.ends_with(".toml") => {
            let path = std::path::absolute(file)?;
            crate::connect::fleet::Fleet::read(&path).map_err(|error| wrong(error.to_string()))?;
            vec!["--config".to_owned(), path.display().to_string()]
        }
        hosts => {
            let parsed = hosts.iter().map(|host| host.parse()).collect::<Result<_, _>>();
            parsed.and_then(crate::connect::fleet::Fleet::of).map_err(|error| wrong(error.to_string()))?;
            hosts.to_vec()
        }
    };
    Ok(Some(["provost", "connect"].map(str::to_owned).into_iter().chain(words).collect()))
}

#[cfg(not(feature = "agent"))]
fn of_fleet(_: &ClientConfig) -> io::Result<Option<Vec<String>>> {
    Ok(None)
}

fn own_name() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    host(&name).ok()
}

/// The socket on the workstation, in the user's home, where nobody else can put one.
fn local(host: &str) -> String {
    let plain: String = host.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' }).collect();
    format!(".provost-{plain}.sock")
}

fn command(via: Way, login: &str, host: &str) -> Vec<String> {
    let words: Vec<String> = match via {
        // Without a terminal, and never with a question: what ssh printed would not be MCP.
        Way::Ssh => {
            ["ssh", "-T", "-o", "BatchMode=yes", login, "provost", "bridge"].map(str::to_owned).into()
        }
        Way::Socket => vec!["sh".into(), "-c".into(), format!("exec nc -U \"$HOME/{}\"", local(host))],
    };
    words
}

fn snippet(client: Client, name: &str, command: &[String]) -> Value {
    let (program, arguments) = (&command[0], &command[1..]);
    let plain = json!({ "command": program, "args": arguments });
    let typed = json!({ "type": "stdio", "command": program, "args": arguments });
    match client {
        Client::ClaudeDesktop => json!({ "mcpServers": { name: plain } }),
        Client::ClaudeCode | Client::Cursor => json!({ "mcpServers": { name: typed } }),
        Client::Vscode => json!({ "servers": { name: typed } }),
        Client::Zed => json!({ "context_servers": { name: plain } }),
        Client::Generic => plain,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        verb: ClientConfig,
    }

    fn said(words: &[&str]) -> Result<String, clap::Error> {
        let line = Line::try_parse_from([&["client-config"], words].concat())?;
        let mut out = Vec::new();
        shown(&mut out, &line.verb)?;
        Ok(String::from_utf8(out).unwrap())
    }

    const CLIENTS: [(&str, &str, &str); 6] = [
        ("claude-desktop", "/mcpServers/pve1", "claude_desktop_config.json"),
        ("claude-code", "/mcpServers/pve1", "claude mcp add --scope user pve1 -- ssh -T"),
        ("cursor", "/mcpServers/pve1", "~/.cursor/mcp.json"),
        ("vscode", "/servers/pve1", ".vscode/mcp.json"),
        ("zed", "/context_servers/pve1", "zed/settings.json"),
        ("generic", "", "ssh -T -o BatchMode=yes alice@pve1 provost bridge"),
    ];

    #[test]
    fn each_client_is_given_json_and_told_where_it_goes() {
        for (client, at, says) in CLIENTS {
            let words = [client, "--host", "pve1", "--user", "alice"];
            let text = said(&words).unwrap();
            assert!(text.contains(says), "{client}: {text}");
            let json: Value =
                serde_json::from_str(&said(&[&words[..], &["--json"]].concat()).unwrap()).unwrap();
            let entry = json.pointer(at).unwrap_or_else(|| panic!("{client}: {json}"));
            let arguments = json!(["-T", "-o", "BatchMode=yes", "alice@pve1", "provost", "bridge"]);
            assert_eq!((&entry["command"], &entry["args"]), (&json!("ssh"), &arguments), "{client}");
        }
    }

    #[test]
    fn nodes_have_entries_of_their_own_by_names_that_clients_take() {
        for (host, name) in [
            ("pve1", "pve1"),
            ("pve1.example.org", "pve1-example-org"),
            ("192.0.2.7", "192-0-2-7"),
            ("[2001:db8::7]", "2001-db8--7"),
        ] {
            let text = said(&["claude-code", "--host", host]).unwrap();
            assert!(text.contains(&format!("--scope user {name} -- ssh")), "{text}");
        }
        for words in [&["zed"][..], &["zed", "--name", "mine", "--host", "pve1"]] {
            let json: Value = serde_json::from_str(&said(&[words, &["--json"]].concat()).unwrap()).unwrap();
            let name = if words.len() == 1 { "provost" } else { "mine" };
            assert!(json["context_servers"][name].is_object(), "{json}");
        }
    }

    #[test]
    fn the_readme_shows_what_it_prints() {
        let readme = include_str!("../../README.md");
        let line = readme.lines().find_map(|line| line.strip_prefix("$ provost client-config ")).unwrap();
        let line = line.split('#').next().unwrap();
        let words: Vec<&str> = line.split_whitespace().chain(["--json"]).collect();
        let shown = readme.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
        let [printed, shown]: [Value; 2] =
            [&said(&words).unwrap(), shown].map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(printed, shown);
        assert_eq!(words[0], "claude-code");
    }

    #[cfg(feature = "agent")]
    #[test]
    fn a_fleet_is_one_entry_and_its_file_is_named_from_the_root() {
        let text = said(&["claude-code", "--fleet", "pve1", "two=alice@pve2"]).unwrap();
        assert!(
            text.contains("claude mcp add --scope user provost -- provost connect pve1 two=alice@pve2"),
            "{text}"
        );
        assert!(text.contains("provost connect pve1 two=alice@pve2 --check"), "{text}");
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), "[[host]]\nname = 'pve1'").unwrap();
        let path = file.path().to_str().unwrap();
        let json: Value = serde_json::from_str(&said(&["zed", "--fleet", path, "--json"]).unwrap()).unwrap();
        assert_eq!(
            json["context_servers"]["provost"]["args"],
            json!(["connect", "--config", path]),
            "{json}"
        );
        for wrong in [
            &["zed", "--fleet", "-oX"][..],
            &["zed", "--fleet", "a b"],
            &["zed", "--fleet", "a", "--host", "b"],
        ] {
            assert!(said(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_tunnelled_socket_is_one_of_the_users_own() {
        let words = ["cursor", "--host", "pve1.example", "--via", "socket", "--config", "/nowhere"];
        let text = said(&words).unwrap();
        assert!(
            text.contains("-L \"$HOME/.provost-pve1-example.sock:/run/provost/mcp.sock\" pve1.example"),
            "{text}"
        );
        assert!(text.contains("exec nc -U \\\"$HOME/.provost-pve1-example.sock\\\""), "{text}");
    }

    #[test]
    fn what_would_be_an_option_or_more_than_a_name_is_refused() {
        for bad in ["-oProxyCommand=x", "a b", "$(x)", "a;b", "", "a\"b", "a\nb"] {
            assert!(said(&["zed", &format!("--host={bad}")]).is_err(), "{bad}");
            assert!(said(&["zed", "--host", "pve1", &format!("--user={bad}")]).is_err(), "{bad}");
        }
    }
}
