//! `writ completion`: a small script per shell that asks the program itself, so that it is never out of date.

use clap::{Arg, Args, Command, CommandFactory, ValueEnum};

use super::Cli;
use super::exit::Outcome;
use super::output::emit;

/// Prints the completion script of a shell.
#[derive(Debug, Args)]
#[command(
    before_help = "$ writ completion bash",
    after_help = "Put it where your shell looks, for example: writ completion bash > ~/.local/share/bash-completion/completions/writ"
)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

/// What the scripts call: prints what the last word could be, one per line.
#[derive(Debug, Args)]
pub(crate) struct Complete {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Completion {
    pub(crate) fn run(&self) -> Outcome {
        emit(match self.shell {
            Shell::Bash => {
                "_writ() {\n    local IFS=$'\\n'\n    COMPREPLY=($(writ complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))\n}\ncomplete -o default -F _writ writ\n"
            }
            Shell::Zsh => {
                "#compdef writ\n_writ() {\n    local -a found\n    found=(${(f)\"$(writ complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"})\n    if (( ${#found} )); then compadd -a found; else _files; fi\n}\ncompdef _writ writ\n"
            }
            Shell::Fish => {
                "complete -c writ -a '(writ complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'\n"
            }
            Shell::Powershell => {
                "Register-ArgumentCompleter -Native -CommandName writ -ScriptBlock {\n    param($word, $ast, $cursor)\n    $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })\n    if (-not $word) { $words += '' }\n    writ complete -- @words 2>$null | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }\n}\n"
            }
        })
    }
}

impl Complete {
    pub(crate) fn run(&self) -> Outcome {
        let mut root = Cli::command();
        root.build();
        emit(&candidates(&root, &self.words).into_iter().map(|word| word + "\n").collect::<String>())
    }
}

/// What the last of `words` could become.
fn candidates(root: &Command, words: &[String]) -> Vec<String> {
    let (typed, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let mut command = root;
    let mut values = 0;
    let mut awaited: Option<&Arg> = None;
    for word in before {
        let value_of = awaited.take();
        if word.starts_with('-') {
            awaited =
                option(command, word).filter(|arg| arg.get_action().takes_values() && !word.contains('='));
        } else if value_of.is_none() {
            match command.find_subcommand(word) {
                Some(found) => (command, values) = (found, 0),
                None => values += 1,
            }
        }
    }
    let mut found: Vec<String> = if let Some(arg) = awaited {
        possible(arg)
    } else if typed.starts_with('-') {
        let options = command.get_opts().chain(command.get_arguments().filter(|arg| !arg.is_positional()));
        options
            .filter(|arg| !arg.is_hide_set())
            .filter_map(|arg| Some(format!("--{}", arg.get_long()?)))
            .collect()
    } else {
        let subcommands = command.get_subcommands().filter(|command| !command.is_hide_set());
        let values = command.get_positionals().nth(values).map(possible).unwrap_or_default();
        subcommands.map(|command| command.get_name().to_owned()).chain(values).collect()
    };
    found.retain(|word| word.starts_with(typed));
    found.sort();
    found.dedup();
    found
}

fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let word = word.split('=').next().unwrap_or_default();
    command.get_arguments().find(|arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => arg
            .get_short()
            .is_some_and(|short| word.strip_prefix('-') == Some(short.encode_utf8(&mut [0; 4]))),
    })
}

fn possible(arg: &Arg) -> Vec<String> {
    let values = arg.get_possible_values();
    values.iter().filter(|value| !value.is_hide_set()).map(|value| value.get_name().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, candidates};

    fn complete(line: &str) -> String {
        let mut root = Cli::command();
        root.build();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        candidates(&root, &words).join(" ")
    }

    #[test]
    fn words_options_and_values_are_completed() {
        assert_eq!(complete("agent s"), "show suspend");
        assert_eq!(complete("agent keys "), "add help list revoke");
        assert_eq!(complete("agent create ada --ow"), "--owner");
        assert_eq!(complete("-o y"), "yaml");
        assert_eq!(complete("agent list --output j"), "json");
        assert_eq!(complete("kill ta"), "task");
        assert_eq!(complete("connect c"), "claude-code codex cursor");
        assert_eq!(complete("tool label shop/send_mail s"), "send");
        assert_eq!(complete("agent create a"), "", "a name is the person's to choose");
        assert!(complete("").contains("agent") && !complete("").contains("complete "));
    }
}
