//! Medians and their spread.

use serde::Serialize;

/// A figure over all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spread {
    /// The median: the figure.
    pub(crate) median: f64,
    /// The smallest value.
    pub(crate) min: f64,
    /// The first quartile.
    pub(crate) lower_quartile: f64,
    /// The third quartile.
    pub(crate) upper_quartile: f64,
}

impl Spread {
    /// The spread of at least one value.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self {
            median: quantile(&sorted, 0.5),
            min: quantile(&sorted, 0.0),
            lower_quartile: quantile(&sorted, 0.25),
            upper_quartile: quantile(&sorted, 0.75),
        }
    }

    /// The interquartile range, as a share of the median.
    pub(crate) fn relative(&self) -> f64 {
        (self.upper_quartile - self.lower_quartile) / self.median
    }
}

/// The value below which a share of the sorted, non-empty values lies,
/// between two of them by linear interpolation.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    below + (above - below) * position.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_count_has_its_median_between_the_middle_values() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread.median, 2.5);
        assert_eq!(spread.min, 1.0);
        assert_eq!(spread.lower_quartile, 1.75);
        assert_eq!(spread.upper_quartile, 3.25);
        assert_eq!(spread.relative(), 0.6);
    }

    #[test]
    fn one_value_is_its_own_spread() {
        let spread = Spread::of(&[7.0]);
        assert_eq!(spread.median, 7.0);
        assert_eq!(spread.relative(), 0.0);
    }
}
