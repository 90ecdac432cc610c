//! What each client is told, and what becomes of the files that it is told in.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::client::{Client, Language, Scope, Token};
use super::edit::{Edited, Place, Refused, put, take};
use super::place::Found;
use super::{entry_name, plain_url, variable_name};
use crate::cli::environment::Homes;

const URL: &str = "https://writ.example/mcp/shop";
const BY_VARIABLE: Token<'_> = Token::Variable("WRIT_MCP_TOKEN");

fn place(client: Client) -> Place<'static> {
    Place { language: client.language(), list: client.list(), name: "writ-shop", force: false }
}

fn put_into(client: Client, text: &str) -> Result<Edited, Refused> {
    put(text, &place(client), &client.entry(URL, &BY_VARIABLE))
}

fn text_of(edited: Result<Edited, Refused>) -> String {
    match edited {
        Ok(Edited::Text(text) | Edited::Instead(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// Files that people have: with servers of their own, and with comments.
fn files(client: Client) -> [String; 3] {
    let list = client.list();
    match client.language() {
        Language::Json => [
            format!("{{\n    \"theme\": \"dark\",\n    \"{list}\": {{\n        \"files\": {{ \"command\": \"npx\", \"args\": [\"files\", \"/srv\"] }}\n    }}\n}}\n"),
            format!("// mine\n{{\n\t\"{list}\": {{\n\t\t// the old one\n\t\t\"files\": {{ \"command\": \"npx\" }}, // keep\n\t}},\n\t\"big\": 12345678901234567890.10, /* exact */\n}}\n"),
            "{ \"theme\": \"dark\" }".to_owned(),
        ],
        Language::Toml => [
            "model = \"o\"\n\n[mcp_servers.files]\ncommand = \"npx\"\nargs = [\"files\", \"/srv\"]\n".to_owned(),
            "# mine\nmodel = \"o\" # keep\n\n[mcp_servers.files] # the old one\ncommand = 'npx'\n\n[profiles.fast]\nbig = 1_000\n".to_owned(),
            "model = \"o\"\n".to_owned(),
        ],
    }
}

#[test]
fn each_client_is_told_in_its_own_form() {
    for client in Client::value_variants() {
        let mut shown = String::new();
        writeln!(shown, "--- alone\n{}", text_of(put_into(*client, ""))).unwrap();
        for text in files(*client) {
            let with = text_of(put_into(*client, &text));
            writeln!(shown, "--- among others\n{with}").unwrap();
            assert_eq!(
                put_into(*client, &with),
                Ok(Edited::Same),
                "{client:?}: what is there is not written again"
            );
            let without = text_of(take(&with, &place(*client), &client.entry(URL, &BY_VARIABLE)));
            let squeezed = |text: &str| text.replace([' ', '\n', '\t'], "").replace(",}", "}");
            let emptied = format!("\"{}\":{{}}", client.list());
            let left = squeezed(&without).replace(&format!(",{emptied}"), "");
            assert_eq!(left, squeezed(&text), "{client:?}: all else is as it was");
        }
        insta::assert_snapshot!(format!("connect_{}", client.word()), shown);
    }
}

#[test]
fn where_the_files_are() {
    let homes = Homes { home: Some("/h".into()), config: Some("/h/.config".into()), codex: None };
    let mut shown = String::new();
    for client in Client::value_variants() {
        let show =
            |file: Option<PathBuf>| file.map_or_else(|| "-".to_owned(), |file| file.display().to_string());
        let [linux, macos] = [false, true].map(|macos| show(client.file(Scope::User, &homes, macos)));
        let project = show(client.file(Scope::Project, &homes, false));
        writeln!(shown, "{}: {linux} | {macos} | {project}", client.word()).unwrap();
        assert_eq!(client.file(Scope::User, &Homes::default(), false), None, "{client:?} has no home");
    }
    insta::assert_snapshot!(shown, @r"
    claude-code: /h/.claude.json | /h/.claude.json | .mcp.json
    cursor: /h/.cursor/mcp.json | /h/.cursor/mcp.json | .cursor/mcp.json
    vscode: /h/.config/Code/User/mcp.json | /h/Library/Application Support/Code/User/mcp.json | .vscode/mcp.json
    codex: /h/.codex/config.toml | /h/.codex/config.toml | .codex/config.toml
    gemini: /h/.gemini/settings.json | /h/.gemini/settings.json | .gemini/settings.json
    windsurf: /h/.codeium/windsurf/mcp_config.json | /h/.codeium/windsurf/mcp_config.json | -
    zed: /h/.config/zed/settings.json | /h/.config/zed/settings.json | -
    opencode: /h/.config/opencode/opencode.json | /h/.config/opencode/opencode.json | opencode.json
    ");
    let codex = Homes { codex: Some("/c".into()), ..homes };
    assert_eq!(Client::Codex.file(Scope::User, &codex, false), Some("/c/config.toml".into()));
}

#[test]
fn a_file_that_is_not_plain_is_left_alone() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let json = [
        "{",
        "{} {}",
        "[]",
        "null",
        "{'mcpServers': {}}",
        "{mcpServers: {}}",
        "{\"mcpServers\": {} \"a\": 1}",
        "{\"mcpServers\": []}",
        "{\"mcpServers\": null}",
        "{\"mcpServers\": {}, \"mcpServers\": {}}",
        r#"{"mcpServers": {}, "mcpS\u0065rvers": {}}"#,
        r#"{"mcpServers": {"writ-shop": {}, "writ\u002dshop": {}}}"#,
        r#"{"mcpServers": {"writ-shop": {"url": "https://writ.example/mcp/shop", "url": "https://evil.example"}}}"#,
        r#"{"mcpServers": {"writ-shop": {"url": "https://writ.example/mcp/shop", "headers": "none"}}}"#,
        &deep,
    ];
    for text in json {
        let refused = put_into(Client::ClaudeCode, text);
        assert!(matches!(refused, Err(Refused::Form(_))), "{}: {refused:?}", &text[..text.len().min(90)]);
    }
    for text in [
        "mcp_servers = 1",
        "mcp_servers = { files = { command = 'x' } }",
        "mcp_servers.files.command = 'x'",
        "[[mcp_servers]]\na = 1",
        "[mcp_servers.a]\n[mcp_servers.a]",
        "= 1",
    ] {
        let refused = put_into(Client::Codex, text);
        assert!(matches!(refused, Err(Refused::Form(_))), "{text}: {refused:?}");
    }
}

#[test]
fn an_entry_of_another_server_is_lost_by_force_alone() {
    let json = [
        r#"{"mcpServers": {"writ-shop": {"type": "http", "url": "https://other.example/mcp"}, "b": {}}}"#,
        r#"{"mcpServers": {"writ-shop": {"command": "npx"}, "b": {}}}"#,
        r#"{"mcpServers": {"writ-shop": "text", "b": {}}}"#,
    ];
    let toml = [
        "[mcp_servers.writ-shop]\nurl = 'https://other.example/mcp'\n\n[mcp_servers.b]\nurl = 'x'\n",
        "[mcp_servers]\nwrit-shop = 1\n\n[mcp_servers.b]\nurl = 'x'\n",
    ];
    let all =
        json.map(|text| (Client::ClaudeCode, text)).into_iter().chain(toml.map(|text| (Client::Codex, text)));
    for (client, text) in all {
        let entry = client.entry(URL, &BY_VARIABLE);
        assert!(matches!(put_into(client, text), Err(Refused::Other { .. })), "{text}");
        assert!(matches!(take(text, &place(client), &entry), Err(Refused::Other { .. })), "{text}");
        let forced = Place { force: true, ..place(client) };
        let Ok(Edited::Instead(with)) = put(text, &forced, &entry) else { panic!("{text}") };
        assert!(with.contains(URL) && !with.contains("other") && !with.contains("npx"), "{with}");
        assert_eq!(put_into(client, &with), Ok(Edited::Same), "{with}");
        let without = text_of(take(text, &forced, &entry));
        assert!(!without.contains("writ-shop") && without.contains('b'), "{without}");
    }
}

#[test]
fn what_a_person_added_to_the_entry_stays() {
    let text = r#"{
  "mcpServers": {
    "writ-shop": {
      "type": "sse", // was wrong
      "url": "https://writ.example/mcp/shop",
      "timeout": 9,
      "headers": { "X-Team": "a", "Authorization": "Bearer ${OLD}" }
    }
  }
}
"#;
    let with = text_of(put_into(Client::ClaudeCode, text));
    let wanted = text.replace("sse", "http").replace("${OLD}", "${WRIT_MCP_TOKEN}");
    assert_eq!(with, wanted);

    let text = "[mcp_servers.writ-shop]\nurl = \"https://writ.example/mcp/shop\"\nbearer_token_env_var = \"OLD\" # mine\ntool_timeout_sec = 9\n";
    let with = text_of(put_into(Client::Codex, text));
    assert!(
        with.contains("tool_timeout_sec = 9") && with.contains("\"WRIT_MCP_TOKEN\"") && !with.contains("OLD"),
        "{with}"
    );
}

#[test]
fn a_file_is_replaced_as_a_whole_and_through_its_link() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("dotfiles.json");
    std::fs::write(&real, "{}").unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink("dotfiles.json", &link).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;

    Found::read(&link).unwrap().replace("{ }", false).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink(), "the link stays");
    assert_eq!((std::fs::read_to_string(&real).unwrap().as_str(), mode(&real)), ("{ }", 0o640));
    Found::read(&link).unwrap().replace("{\"t\": 1}", true).unwrap();
    assert_eq!(mode(&real), 0o600, "a file with a token is its owner's alone");

    let found = Found::read(&link).unwrap();
    std::fs::write(&real, "{\"other\": 1}").unwrap();
    assert!(found.replace("{}", false).unwrap_err().what.contains("changed at the same time"));
    assert_eq!(std::fs::read_to_string(&real).unwrap(), "{\"other\": 1}");

    let new = folder.path().join("deep/er/new.json");
    Found::read(&new).unwrap().replace("{}", false).unwrap();
    assert_eq!((std::fs::read_to_string(&new).unwrap().as_str(), mode(&new)), ("{}", 0o644));

    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
    for wrong in ["dangling", "deep"] {
        assert!(Found::read(&folder.path().join(wrong)).is_err(), "{wrong}");
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 4, "nothing is left beside them");
}

#[test]
fn nothing_is_written_that_a_client_would_take_for_a_variable() {
    for url in [URL, "http://127.0.0.1:8420/mcp", "https://[::1]:8420/mcp/a.b-c_d"] {
        assert_eq!(plain_url(url.to_owned()).unwrap(), url);
    }
    for url in [
        "https://a/${HOME}",
        "https://a/{file:~/.ssh/id}",
        "https://a/$HOME",
        "https://a/%24x",
        "https://a/\"",
        "https://a/\u{202e}",
    ] {
        assert!(plain_url(url.to_owned()).is_err(), "{url}");
    }
    assert!(entry_name("writ-shop_2").is_ok());
    for name in ["", "a.b", "${x}", "a b", "a\nb", &"a".repeat(65)] {
        assert!(entry_name(name).is_err(), "{name}");
    }
    assert!(variable_name("MY_TOKEN2").is_ok());
    for name in ["", "WRIT_TOKEN", "2A", "A-B", "A}", "A:-x"] {
        assert!(variable_name(name).is_err(), "{name}");
    }
}
