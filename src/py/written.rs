//! Whether the contents of an object are there for the garbage collector to look at.

/// Stands in each class that has a `__dict__` and tells the collector what it holds.
///
/// CPython 3.11 makes the `__dict__` of a new object at once, which may start a collection. The object is known to the
/// collector by then, and its contents, which pyo3 writes afterwards, are zeros: no reference in them is valid. (3.12 makes
/// it at once as well, but collects between two instructions alone.)
pub(in crate::py) struct Written(u8);

impl Written {
    pub(in crate::py) const fn new() -> Self {
        Self(1)
    }

    pub(in crate::py) const fn is_so(&self) -> bool {
        self.0 != 0
    }
}
