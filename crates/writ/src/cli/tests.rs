//! The tree of commands as a whole.

use clap::{Command, CommandFactory, Parser};

use super::{Cli, exit::Exit};

#[test]
fn the_tree_is_well_formed() {
    Cli::command().debug_assert();
}

/// Every command below `command`, with its path.
fn leaves(path: &str, command: &Command, out: &mut Vec<(String, Command)>) {
    let path = if path.is_empty() {
        command.get_name().to_owned()
    } else {
        format!("{path} {}", command.get_name())
    };
    if command.get_subcommands().next().is_none() {
        out.push((path, command.clone()));
        return;
    }
    command.get_subcommands().for_each(|inner| leaves(&path, inner, out));
}

fn all() -> Vec<(String, Command)> {
    let mut out = Vec::new();
    leaves("", &Cli::command(), &mut out);
    out.retain(|(_, command)| !command.is_hide_set());
    assert!(out.len() > 60, "the walk found {} commands", out.len());
    out
}

/// Splits a line as a shell does, as far as the examples use it.
fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut quote, mut open) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (None, '"' | '\'') => (quote, open) = (Some(c), true),
            (Some(q), c) if q == c => quote = None,
            (None, ' ') if open => {
                out.push(std::mem::take(&mut word));
                open = false;
            }
            (None, ' ') => {}
            (_, c) => {
                word.push(c);
                open = true;
            }
        }
    }
    out.extend(open.then_some(word));
    out
}

#[test]
fn every_command_begins_with_an_example_that_works() {
    for (path, command) in all() {
        let help = command.get_before_help().map(ToString::to_string).unwrap_or_default();
        let example = help.strip_prefix("$ ").unwrap_or_else(|| panic!("`{path}` begins without an example"));
        assert!(example.starts_with(&path), "the example of `{path}` is of another command: {example}");
        if let Err(error) = Cli::try_parse_from(words(example)) {
            panic!("the example of `{path}` is refused: {error}");
        }
        assert!(command.get_about().is_some(), "`{path}` does not say what it does");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "`{path}` does not explain `{}`", argument.get_id());
        }
    }
}

#[test]
fn a_page_about_a_noun_begins_with_an_example_too() {
    fn pages(path: &str, command: &Command, out: &mut Vec<(String, Command)>) {
        let path = format!("{path}{} ", command.get_name());
        command.get_subcommands().for_each(|inner| pages(&path, inner, out));
        out.push((path, command.clone()));
    }
    let mut all = Vec::new();
    pages("", &super::tree(), &mut all);
    all.retain(|(_, command)| !command.is_hide_set());
    for (path, command) in all {
        let help = command.get_before_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.starts_with(format!("$ {path}").trim_end()), "`{path}` begins with `{help}`");
    }
}

#[test]
fn the_tree() {
    let lines = all().into_iter().map(|(path, command)| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        format!("{path:<28} {about}")
    });
    insta::assert_snapshot!("tree", lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_slip_is_answered_with_the_right_word() {
    let error = Cli::try_parse_from(["writ", "agnet", "list"]).unwrap_err();
    assert!(error.to_string().contains("agent"), "{error}");
    assert_eq!(error.exit_code(), Exit::Usage as i32);
    let error = Cli::try_parse_from(["writ", "agent", "lst"]).unwrap_err();
    assert!(error.to_string().contains("list"), "{error}");
}

#[test]
fn secrets_are_no_arguments() {
    for (path, command) in all() {
        for argument in command.get_arguments() {
            let name = argument.get_id().as_str();
            let is_value = ["token", "password", "value", "secret_value", "client_secret"].contains(&name);
            assert!(!is_value, "`{path}` takes `{name}` on the command line, where everybody can read it");
        }
    }
}

/// Every `writ ...` in the crates' sources: between backticks, or where a text in quotes says what to type.
fn commands_told() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let crates = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for name in ["base", "control", "gateway", "policy", "store", "wire", "writ"] {
        rust_files(&crates.join(name).join("src"), &mut files);
    }
    let mut told = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("cli/tests.rs")) {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            for start in ["`writ ", ": writ ", " \"writ ", "(\"writ "] {
                let end = |c: char| c == '`' || (start != "`writ " && "\",:;".contains(c));
                told.extend(line.split(start).skip(1).map(|rest| {
                    let text = rest.split(end).next().unwrap_or_default().replace('\\', "");
                    (file.display().to_string(), text)
                }));
            }
        }
    }
    told
}

fn rust_files(folder: &std::path::Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn every_command_that_a_text_tells_to_type_exists() {
    let mut root = Cli::command();
    root.build();
    let told = commands_told();
    assert!(told.len() > 40, "the search found {} commands", told.len());
    for (file, text) in told {
        let mut command = &root;
        for word in words(&text).iter().map(|word| word.trim_matches(['(', ')', ',', '.', ';', ':'])) {
            if let Some(flag) = word.strip_prefix("--") {
                let known = command.get_arguments().any(|argument| argument.get_long() == Some(flag));
                assert!(known, "{file}: `writ {text}`: there is no `--{flag}`");
            } else if word.starts_with('{') && command.get_name() == "writ" {
                // The noun comes from the code; its verbs are those of all nouns.
                command = command.find_subcommand("agent").unwrap();
            } else if command.has_subcommands() && word != "..." {
                let inner = command.find_subcommand(word);
                command = inner.unwrap_or_else(|| panic!("{file}: `writ {text}`: there is no `{word}`"));
            }
        }
    }
}
