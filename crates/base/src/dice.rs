//! Chance as an argument.

use std::sync::Arc;

/// A source of unpredictable bytes. The binary's is the operating system's; tests use a seeded one.
pub trait Dice: Send + Sync + 'static {
    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]);
}

/// Dice that many tasks hold.
pub type SharedDice = Arc<dyn Dice>;

impl dyn Dice {
    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
}
