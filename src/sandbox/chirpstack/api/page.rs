//! Lists: the part of one that is asked for (CS 4.4).

/// A page of a list. Without a limit there is the number alone.
pub(super) fn page<T>(all: Vec<T>, limit: u32, offset: u32) -> (u32, Vec<T>) {
    let total = u32::try_from(all.len()).unwrap_or(u32::MAX);
    (total, all.into_iter().skip(offset as usize).take(limit as usize).collect())
}

/// Whether a name has this in it, in any case; `%` stands for any characters and `_` for one.
pub(super) fn contains(name: &str, search: &str) -> bool {
    if search.is_empty() {
        return true;
    }
    let name: Vec<_> = name.to_lowercase().chars().collect();
    let pattern: Vec<_> = format!("%{}%", search.to_lowercase()).chars().collect();
    // Which beginnings of the name the pattern takes so far.
    let mut taken = vec![false; name.len() + 1];
    taken[0] = true;
    for part in pattern {
        if part == '%' {
            let first = taken.iter().position(|taken| *taken).unwrap_or(taken.len());
            taken[first..].fill(true);
        } else {
            for at in (1..taken.len()).rev() {
                taken[at] = taken[at - 1] && (part == '_' || part == name[at - 1]);
            }
            taken[0] = false;
        }
    }
    taken[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_parts_of_names() {
        for search in ["", "probe", "PROBE-03", "%", "s_il", "soil%03"] {
            assert!(contains("soil-probe-03", search), "{search}");
        }
        for search in ["probe-04", "70b3d57ed005f1a2", "s_oil"] {
            assert!(!contains("soil-probe-03", search), "{search}");
        }
        assert!(contains("", "%") && !contains("", "a"));
    }

    #[test]
    fn without_a_limit_there_is_the_number_alone() {
        assert_eq!(page(vec![1, 2, 3], 0, 0), (3, vec![]));
        assert_eq!(page(vec![1, 2, 3], 2, 2), (3, vec![3]));
        assert_eq!(page(vec![1, 2, 3], 2, 200), (3, vec![]));
    }
}
