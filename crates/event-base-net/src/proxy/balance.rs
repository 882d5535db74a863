//! The order in which servers take turns.

/// One cycle of turns in which each server has as many as its weight, spread evenly: turn k of w is placed at
/// (k + 1/2)/w of the cycle.
pub(super) fn cycle(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().fold(0, |divisor, weight| common_divisor(*weight, divisor));
    let mut turns: Vec<(f64, u32)> = Vec::new();
    for (index, weight) in (0..).zip(weights) {
        let weight = weight / divisor;
        turns.extend((0..weight).map(|turn| ((f64::from(turn) + 0.5) / f64::from(weight), index)));
    }
    turns.sort_unstable_by(|(place, index), (other, next)| place.total_cmp(other).then(index.cmp(next)));
    turns.into_iter().map(|(_, index)| index).collect()
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_has_each_server_as_often_as_its_weight_and_spreads_its_turns() {
        assert_eq!(cycle(&[7, 7, 7]), [0, 1, 2]);
        assert_eq!(cycle(&[]), []);
        let turns = cycle(&[4, 2, 1]);
        let count = |server| turns.iter().filter(|turn| **turn == server).count();
        assert_eq!([count(0), count(1), count(2)], [4, 2, 1]);
        let twice: Vec<_> = turns.iter().chain(&turns).collect();
        assert!(twice.windows(3).all(|three| three != [&0, &0, &0]), "{turns:?}");
        assert!(twice.windows(2).all(|two| two != [&1, &1]), "{turns:?}");
    }
}
