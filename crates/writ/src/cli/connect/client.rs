//! What each MCP client reads: which file, in which form, and how a token that is not in the file is named.
//!
//! Sources, read in November 2026: Claude Code <https://code.claude.com/docs/en/mcp>; Cursor
//! <https://cursor.com/docs/mcp>; VS Code <https://code.visualstudio.com/docs/copilot/reference/mcp-configuration>;
//! Codex CLI <https://developers.openai.com/codex/mcp>; Gemini CLI
//! <https://github.com/google-gemini/gemini-cli/blob/main/docs/tools/mcp-server.md>; Windsurf
//! <https://docs.windsurf.com/windsurf/cascade/mcp>; Zed <https://zed.dev/docs/ai/mcp>, which takes what a header says
//! as it is (zed-industries/zed#60459); opencode <https://opencode.ai/v1/docs/mcp-servers.md>.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::environment::Homes;

/// The MCP clients whose settings Writ can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    ClaudeCode,
    Cursor,
    Vscode,
    Codex,
    Gemini,
    Windsurf,
    Zed,
    Opencode,
}

/// Whose settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Scope {
    /// The person's: every project.
    User,
    /// The project's, in the current folder.
    Project,
}

/// In which language a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// JSON, with the comments that these clients allow in it.
    Json,
    Toml,
}

/// What a member of an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    /// The headers, of which there is one: `Authorization`.
    Authorization(String),
}

/// How a client comes by the token.
pub(super) enum Token<'a> {
    /// From the environment variable of this name, when it starts.
    Variable(&'a str),
    /// It stands in the file.
    Text(&'a str),
}

/// One entry of a client's list of servers.
pub(super) struct Entry {
    /// The member that holds the address.
    pub(super) url_key: &'static str,
    pub(super) url: String,
    /// All members, the address included.
    pub(super) members: Vec<(&'static str, Value)>,
}

impl Client {
    /// The client's name on the command line.
    pub(super) fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub(super) const fn language(self) -> Language {
        match self {
            Self::Codex => Language::Toml,
            _ => Language::Json,
        }
    }

    /// The member of the file that lists the servers.
    pub(super) const fn list(self) -> &'static str {
        match self {
            Self::ClaudeCode | Self::Cursor | Self::Gemini | Self::Windsurf => "mcpServers",
            Self::Vscode => "servers",
            Self::Codex => "mcp_servers",
            Self::Zed => "context_servers",
            Self::Opencode => "mcp",
        }
    }

    /// Whether the client can take the token from its environment.
    pub(super) const fn reads_environment(self) -> bool {
        !matches!(self, Self::Zed)
    }

    /// The file; `None` where the client has none of this scope, or nothing says where a person's files are.
    pub(super) fn file(self, scope: Scope, homes: &Homes, macos: bool) -> Option<PathBuf> {
        if scope == Scope::Project {
            return match self {
                Self::ClaudeCode => Some(".mcp.json"),
                Self::Cursor => Some(".cursor/mcp.json"),
                Self::Vscode => Some(".vscode/mcp.json"),
                Self::Codex => Some(".codex/config.toml"),
                Self::Gemini => Some(".gemini/settings.json"),
                Self::Opencode => Some("opencode.json"),
                // Windsurf has no such file. Zed has one, but could only be told the token there.
                Self::Windsurf | Self::Zed => None,
            }
            .map(PathBuf::from);
        }
        let home = |path: &str| homes.home.as_ref().map(|home| home.join(path));
        let config = |path: &str| homes.config.as_ref().map(|config| config.join(path));
        match self {
            Self::ClaudeCode => home(".claude.json"),
            Self::Cursor => home(".cursor/mcp.json"),
            Self::Vscode if macos => home("Library/Application Support/Code/User/mcp.json"),
            Self::Vscode => config("Code/User/mcp.json"),
            Self::Codex => homes
                .codex
                .as_ref()
                .map(|codex| codex.join("config.toml"))
                .or_else(|| home(".codex/config.toml")),
            Self::Gemini => home(".gemini/settings.json"),
            Self::Windsurf => home(".codeium/windsurf/mcp_config.json"),
            Self::Zed if macos => home(".config/zed/settings.json"),
            Self::Zed => config("zed/settings.json"),
            Self::Opencode => config("opencode/opencode.json"),
        }
    }

    /// What the client reads about a server at `url`.
    pub(super) fn entry(self, url: &str, token: &Token<'_>) -> Entry {
        let (url_key, kind) = match self {
            Self::ClaudeCode | Self::Vscode => ("url", Some("http")),
            Self::Opencode => ("url", Some("remote")),
            // `url` is HTTP+SSE there.
            Self::Gemini => ("httpUrl", None),
            Self::Windsurf => ("serverUrl", None),
            Self::Cursor | Self::Codex | Self::Zed => ("url", None),
        };
        let mut members: Vec<_> =
            kind.map(|kind| ("type", Value::Text(kind.to_owned()))).into_iter().collect();
        members.push((url_key, Value::Text(url.to_owned())));
        members.push(match (self, token) {
            (Self::Codex, Token::Variable(name)) => ("bearer_token_env_var", Value::Text((*name).to_owned())),
            (Self::Codex, Token::Text(text)) => {
                ("http_headers", Value::Authorization(format!("Bearer {text}")))
            }
            (_, Token::Text(text)) => ("headers", Value::Authorization(format!("Bearer {text}"))),
            (_, Token::Variable(name)) => ("headers", Value::Authorization(self.bearer_of(name))),
        });
        if self == Self::Opencode {
            // Else it looks for a way to sign a person in.
            members.push(("oauth", Value::Flag(false)));
            members.push(("enabled", Value::Flag(true)));
        }
        Entry { url_key, url: url.to_owned(), members }
    }

    /// `Bearer`, and the variable as the client writes it.
    fn bearer_of(self, name: &str) -> String {
        match self {
            Self::Cursor | Self::Vscode | Self::Windsurf => format!("Bearer ${{env:{name}}}"),
            Self::Opencode => format!("Bearer {{env:{name}}}"),
            Self::ClaudeCode | Self::Gemini | Self::Codex | Self::Zed => format!("Bearer ${{{name}}}"),
        }
    }

    /// How a person sees that the client has read it.
    pub(super) const fn look(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude mcp list",
            Self::Codex => "codex mcp list",
            Self::Gemini => "gemini mcp list",
            Self::Opencode => "opencode mcp list",
            Self::Cursor => "restart Cursor from this shell (`cursor .`); Settings, MCP",
            Self::Vscode => "restart VS Code from this shell (`code .`); the command `MCP: List Servers`",
            Self::Windsurf => "restart Windsurf from this shell (`windsurf .`); Cascade, MCP servers",
            Self::Zed => "Zed reads it at once; Settings, AI, MCP Servers",
        }
    }
}
