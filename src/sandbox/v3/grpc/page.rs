//! Lists that come in pages (V3 3.1).

use crate::sandbox::v3::failure::Failure;

/// A page's length unless one is given, and at most.
const USUAL: usize = 100;
const LONGEST: u32 = 1000;

/// What a request says of the page that it asks for.
pub(super) struct Asked<'r> {
    /// The request's name.
    pub(super) of: &'static str,
    /// A field, with a dash before it for the last first.
    pub(super) order: &'r str,
    pub(super) limit: u32,
    pub(super) page: u32,
}

impl Asked<'_> {
    /// The page, and how many there are in all; `key` sorts by a field.
    pub(super) fn of<T>(&self, mut all: Vec<T>, key: impl Fn(&T, &str) -> Vec<u8>) -> Result<(Vec<T>, usize), Failure> {
        if self.limit > LONGEST {
            return Err(Failure::invalid(&[(self.of, "limit")], "value must be less than or equal to 1000"));
        }
        let (field, is_reversed) = self.order.strip_prefix('-').map_or((self.order, false), |field| (field, true));
        all.sort_by_cached_key(|one| key(one, field));
        if is_reversed {
            all.reverse();
        }
        let total = all.len();
        let limit = if self.limit == 0 { USUAL } else { self.limit as usize };
        let before = (self.page.max(1) as usize - 1).saturating_mul(limit);
        Ok((all.into_iter().skip(before).take(limit).collect(), total))
    }
}

/// A time, so that it sorts.
pub(super) fn sortable(at: Option<prost_types::Timestamp>) -> Vec<u8> {
    let at = at.unwrap_or_default();
    [(at.seconds ^ i64::MIN).to_be_bytes().to_vec(), at.nanos.to_be_bytes().to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_cut_out_of_what_is_sorted() {
        let page = |order, limit, page| {
            let asked = Asked { of: "Request", order, limit, page };
            asked.of(vec![3_u8, 1, 2], |one, _| vec![*one]).map_err(|_| ())
        };
        assert_eq!(page("", 0, 0), Ok((vec![1, 2, 3], 3)));
        assert_eq!(page("-id", 2, 1), Ok((vec![3, 2], 3)));
        assert_eq!((page("id", 3, 1), page("id", 3, 2)), (Ok((vec![1, 2, 3], 3)), Ok((vec![], 3))));
        assert_eq!(page("id", 1000, u32::MAX), Ok((vec![], 3)));
        assert_eq!(page("id", 1001, 1), Err(()));
    }
}
