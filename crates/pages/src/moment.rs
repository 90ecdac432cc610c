//! Instants as people read them.

use base::Timestamp;

use crate::Language;

/// An instant in a language, to the minute, in UTC: pages know no other zone without a script.
pub(crate) fn moment(language: Language, at: Timestamp) -> String {
    let text = at.to_string();
    let (Some(date), Some(time)) = (text.get(..10), text.get(11..16)) else { return text };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let (Some(year), Some(month), Some(day)) = (year, month, day) else { return text };
    let plain = |digits: &str| digits.trim_start_matches('0').to_owned();
    match language {
        Language::English => format!("{} {} {year}, {time} UTC", plain(day), month_name(month)),
        Language::German => format!("{}.{}.{year}, {time} UTC", plain(day), plain(month)),
        Language::Spanish => format!("{day}/{month}/{year}, {time} UTC"),
        Language::Chinese => {
            format!("{year}\u{5e74}{}\u{6708}{}\u{65e5} {time} UTC", plain(month), plain(day))
        }
    }
}

fn month_name(month: &str) -> &'static str {
    const NAMES: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number: usize = month.parse().unwrap_or_default();
    number.checked_sub(1).and_then(|at| NAMES.get(at)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use base::Timestamp;

    use super::moment;
    use crate::Language;

    #[test]
    fn each_language_has_its_form() {
        let at = Timestamp::from_seconds(1_796_130_300);
        let all = Language::ALL.map(|language| moment(language, at));
        assert_eq!(
            all,
            [
                "1 Dec 2026, 13:05 UTC",
                "1.12.2026, 13:05 UTC",
                "01/12/2026, 13:05 UTC",
                "2026\u{5e74}12\u{6708}1\u{65e5} 13:05 UTC"
            ]
        );
    }
}
