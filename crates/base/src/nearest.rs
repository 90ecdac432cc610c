//! What somebody may have meant.

/// The longest text that is compared, in characters: what strangers write costs no more than this.
const LENGTH_MAX: usize = 128;

/// The name that a mistyped one was probably meant to be: the nearest by letters added, left out, replaced or
/// swapped, where a third of the letters is right at least twice over. The first of those that are equally near.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed: Vec<char> = typed.chars().take(LENGTH_MAX + 1).collect();
    if typed.len() > LENGTH_MAX {
        return None;
    }
    let near = |name: &'a str| {
        let letters: Vec<char> = name.chars().take(LENGTH_MAX + 1).collect();
        let most = typed.len().max(letters.len()) / 3;
        // A name that begins with what was typed, or is the beginning of it, was abbreviated or spelt out.
        let begins = typed.len() >= 3 && letters.starts_with(&typed);
        let away = if begins { 1 } else { distance(&typed, &letters) };
        (away <= most.max(1) && away < typed.len()).then_some((away, name))
    };
    let found = names.into_iter().filter(|name| name.len() <= 4 * LENGTH_MAX).filter_map(near);
    found.min_by_key(|(away, _)| *away).map(|(_, name)| name)
}

/// How many letters must be added, left out, replaced or swapped with their neighbour (optimal string alignment).
fn distance(one: &[char], other: &[char]) -> usize {
    let width = other.len() + 1;
    let mut before_last = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut now = vec![row + 1; width];
        for column in 1..width {
            let same = usize::from(*letter != other[column - 1]);
            now[column] = (last[column] + 1).min(now[column - 1] + 1).min(last[column - 1] + same);
            let swapped =
                row > 0 && column > 1 && *letter == other[column - 2] && one[row - 1] == other[column - 1];
            if swapped {
                now[column] = now[column].min(before_last[column - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, now);
    }
    last[width - 1]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised() {
        let names = ["reader", "editor", "operator", "support", "shop/read_ticket"];
        for (typed, meant) in [
            ("raeder", Some("reader")),
            ("readr", Some("reader")),
            ("supprot", Some("support")),
            ("oper", Some("operator")),
            ("shop/read_tiket", Some("shop/read_ticket")),
            ("banana", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
    }

    #[test]
    fn a_long_text_costs_nothing() {
        assert_eq!(nearest(&"a".repeat(1_000_000), ["a"]), None);
        let long = "a".repeat(100_000);
        assert_eq!(nearest("aaa", [long.as_str()]), None);
    }
}
