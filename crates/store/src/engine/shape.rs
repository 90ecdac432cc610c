//! Statements over many rows, in a few fixed shapes, so that each is prepared once per connection and the text
//! stays static.

/// Rows of one statement, largest first.
const ROWS: [usize; 3] = [64, 8, 1];

/// One statement in each shape.
pub(crate) struct Shaped([String; 3]);

impl Shaped {
    /// `text` writes the statement for a number of rows.
    pub(crate) fn new(text: impl Fn(usize) -> String) -> Self {
        Self(ROWS.map(text))
    }

    /// Cuts `items` into shapes: each with the statement to run for it.
    pub(crate) fn split<'a, T>(
        &'static self,
        items: &'a [T],
    ) -> impl Iterator<Item = (&'static str, &'a [T])> {
        let mut rest = items;
        std::iter::from_fn(move || {
            let shape = ROWS.iter().position(|&rows| rows <= rest.len())?;
            let (now, later) = rest.split_at(ROWS[shape]);
            rest = later;
            Some((self.0[shape].as_str(), now))
        })
    }
}

/// `($1, $2), ($3, $4)`: the values of `rows` rows with `columns` columns.
pub(crate) fn values(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let columns: Vec<String> =
            (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", columns.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// `$1, $2`: a list of `count` parameters.
pub(crate) fn list(count: usize) -> String {
    (1..=count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}
