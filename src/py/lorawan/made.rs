//! Python objects of one message that are made when they are read, and are the same from then on.

use std::sync::OnceLock;

use pyo3::prelude::*;

use crate::sync::Mutex;

/// Containers that were read, by their index. Most messages have one at most that anybody reads: that one costs neither a
/// lock nor memory of its own.
#[derive(Default)]
pub(super) struct Made {
    first: OnceLock<(u32, Py<PyAny>)>,
    /// In use only when there is a first one.
    others: Mutex<Vec<(u32, Py<PyAny>)>>,
}

impl Made {
    pub(super) fn find(&self, index: u32, py: Python<'_>) -> Option<Py<PyAny>> {
        let (known, object) = self.first.get()?;
        if *known == index {
            return Some(object.clone_ref(py));
        }
        let others = self.others.lock();
        others.iter().find(|(known, _)| *known == index).map(|(_, object)| object.clone_ref(py))
    }

    /// Keep an object that was not found before; gives the one that is kept. Another thread may have made one in between:
    /// everybody must get the same.
    pub(super) fn keep(&self, index: u32, object: Py<PyAny>, py: Python<'_>) -> Py<PyAny> {
        let kept = object.clone_ref(py);
        let Err((_, object)) = self.first.set((index, object)) else { return kept };
        if let Some((known, first)) = self.first.get()
            && *known == index
        {
            return first.clone_ref(py);
        }
        let mut others = self.others.lock();
        if let Some((_, known)) = others.iter().find(|(known, _)| *known == index) {
            return known.clone_ref(py);
        }
        others.push((index, object));
        kept
    }
}
