//! The `epoll_ctl` operation for a change.

use super::Change;
use crate::flags::What;

/// An operation of `epoll_ctl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// No system call.
    None,
    /// `EPOLL_CTL_ADD` with these interests.
    Add(What),
    /// `EPOLL_CTL_MOD` with these interests.
    Modify(What),
    /// `EPOLL_CTL_DEL`.
    Delete,
}

/// The operation for `change`, equal to libevent's table of 512 rows.
///
/// A change that adds nothing new to a registration is a modification too, so that the kernel reports whether the
/// descriptor is still the registered file.
pub(crate) fn operation(change: &Change) -> Operation {
    let wanted = change.wanted();
    match (change.registered.is_empty(), wanted.is_empty()) {
        (true, true) if change.remove.is_empty() => Operation::None,
        (_, true) => Operation::Delete,
        (true, false) => Operation::Add(wanted),
        (false, false) => Operation::Modify(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows: change of read / write / closed, `+` add, `-` remove, `.` leave. Columns: the registered set.
    /// Cells: A, M, D or `-`, then the interests passed (I read, O write, R closed; those of D are ignored).
    const COLUMNS: [&str; 8] = ["", "r", "w", "rw", "c", "cr", "cw", "crw"];
    const TABLE: &str = "
        ..+ A:R  M:IR  M:OR  M:IOR M:R   M:IR  M:OR  M:IOR
        ..- D    M:I   M:O   M:IO  D     M:I   M:O   M:IO
        +.. A:I  M:I   M:IO  M:IO  M:IR  M:IR  M:IOR M:IOR
        +.+ A:IR M:IR  M:IOR M:IOR M:IR  M:IR  M:IOR M:IOR
        +.- A:I  M:I   M:IO  M:IO  M:I   M:I   M:IO  M:IO
        -.. D    D     M:O   M:O   M:R   M:R   M:OR  M:OR
        -.+ A:R  M:R   M:OR  M:OR  M:R   M:R   M:OR  M:OR
        -.- D    D     M:O   M:O   D     D     M:O   M:O
        .+. A:O  M:IO  M:O   M:IO  M:OR  M:IOR M:OR  M:IOR
        .++ A:OR M:IOR M:OR  M:IOR M:OR  M:IOR M:OR  M:IOR
        .+- A:O  M:IO  M:O   M:IO  M:O   M:IO  M:O   M:IO
        ++. A:IO M:IO  M:IO  M:IO  M:IOR M:IOR M:IOR M:IOR
        +++ A:IOR M:IOR M:IOR M:IOR M:IOR M:IOR M:IOR M:IOR
        ++- A:IO M:IO  M:IO  M:IO  M:IO  M:IO  M:IO  M:IO
        -+. A:O  M:O   M:O   M:O   M:OR  M:OR  M:OR  M:OR
        -++ A:OR M:OR  M:OR  M:OR  M:OR  M:OR  M:OR  M:OR
        -+- A:O  M:O   M:O   M:O   M:O   M:O   M:O   M:O
        .-. D    M:I   D     M:I   M:R   M:IR  M:R   M:IR
        .-+ A:R  M:IR  M:R   M:IR  M:R   M:IR  M:R   M:IR
        .-- D    M:I   D     M:I   D     M:I   D     M:I
        +-. A:I  M:I   M:I   M:I   M:IR  M:IR  M:IR  M:IR
        +-+ A:IR M:IR  M:IR  M:IR  M:IR  M:IR  M:IR  M:IR
        +-- A:I  M:I   M:I   M:I   M:I   M:I   M:I   M:I
        --. D    D     D     D     M:R   M:R   M:R   M:R
        --+ A:R  M:R   M:R   M:R   M:R   M:R   M:R   M:R
        --- D    D     D     D     D     D     D     D
    ";

    fn set(letters: &str) -> What {
        letters.chars().fold(What::empty(), |set, letter| {
            set | match letter {
                'r' | 'I' => What::READ,
                'w' | 'O' => What::WRITE,
                'c' | 'R' => What::CLOSED,
                other => panic!("{other}"),
            }
        })
    }

    #[test]
    fn every_possible_change_gives_libevents_operation() {
        let mut cells = 0;
        for row in TABLE.lines().map(str::trim).filter(|row| !row.is_empty()) {
            let mut words = row.split_whitespace();
            let signs: Vec<char> = words.next().unwrap().chars().collect();
            let kinds = [What::READ, What::WRITE, What::CLOSED];
            let of = |sign| {
                kinds
                    .iter()
                    .zip(&signs)
                    .filter(|(_, s)| **s == sign)
                    .fold(What::empty(), |all, (k, _)| all | *k)
            };
            for (column, cell) in COLUMNS.iter().zip(words.by_ref()) {
                let registered = set(column);
                let change = Change {
                    fd: 0,
                    registered,
                    add: of('+'),
                    remove: of('-'),
                    edge: false,
                    exclusive: false,
                    token: 0,
                };
                let expected = match cell.split_once(':') {
                    Some(("A", passed)) => Operation::Add(set(passed)),
                    Some(("M", passed)) => Operation::Modify(set(passed)),
                    _ => Operation::Delete,
                };
                assert_eq!(operation(&change), expected, "row {row}, column {column:?}");
                cells += 1;
            }
        }
        assert_eq!(cells, 26 * 8);
    }

    #[test]
    fn an_empty_change_checks_that_the_registration_still_exists() {
        let mut change = Change {
            fd: 0,
            registered: What::READ,
            add: What::empty(),
            remove: What::empty(),
            edge: false,
            exclusive: false,
            token: 0,
        };
        assert_eq!(operation(&change), Operation::Modify(What::READ));
        change.registered = What::empty();
        assert_eq!(operation(&change), Operation::None);
    }
}
